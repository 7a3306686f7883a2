"""Locks that projects ship: explicit lists, conda-lock's `conda-lock.yml`, pixi's `pixi.lock`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from proj.environments.conda.explicit import SUFFIXES, is_explicit
from proj.environments.conda.lock import CondaLock, lock_name, parse_lock
from proj.environments.conda.messages import Failed, Locked, LockRead, PypiPackage, ReadLock
from proj.environments.conda.service import ask
from proj.environments.conda.urls import bare
from proj.environments.requirements import read_text
from proj.environments.yamlfile import load_yaml
from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from proj.environments.conda.declared import CondaProject

CONDA_LOCK = "conda-lock.yml"
PIXI_LOCK = "pixi.lock"


def shipped_lock(folder: Path, platform: str) -> Path | None:
    """The lock of conda packages that lies in a project's folder, beside its conda file."""
    candidates = (folder / lock_name(platform), folder / CONDA_LOCK, folder / PIXI_LOCK)
    return next((path for path in candidates if path.is_file()), None)


def read_shipped(path: Path, project: CondaProject, platform: str) -> CondaLock:
    """Read a lock that a project ships.

    Raises:
        EnvironmentFailedError: It is none of those that are known, or not for this platform.
    """
    if path.name != PIXI_LOCK:
        if path.suffix in (".yml", ".yaml"):
            return _without_secrets(_conda_lock(path, platform))
        text = read_text(path)
        if is_explicit(text):
            return parse_lock(text, origin=path.name, platform=platform, shipped=True)
    return _without_secrets(_pixi(path, project, platform))


def _without_secrets(lock: CondaLock) -> CondaLock:
    """A lock as it is kept and recorded; the secrets are in `CondaProject.lock_channels`."""
    packages = (msgspec.structs.replace(locked, url=bare(locked.url)) for locked in lock.packages)
    return msgspec.structs.replace(lock, packages=tuple(packages))


def _conda_lock(path: Path, platform: str) -> CondaLock:
    """conda-lock's own format (version 1)."""
    table = load_yaml(path)
    entries = table.get("package")
    if not isinstance(entries, list):
        raise EnvironmentFailedError(f"{path.name} is no lock of conda-lock's: it has no list `package`.")
    packages, pypi = [], []
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or entry.get("platform") != platform:
            continue
        if not (entry.get("name") and _is_located(entry)):
            raise EnvironmentFailedError(
                f"{path.name}: entry {number} of `package` has no name, or no URL of a package.",
                hint="Lock anew with conda-lock, or with `proj env lock`.",
            )
        if entry.get("category", "main") != "main" or str(entry.get("optional", "false")).lower() == "true":
            continue
        hashes = entry.get("hash")
        hashes = hashes if isinstance(hashes, dict) else {}
        if entry.get("manager") == "pip":
            pypi.append(
                PypiPackage(
                    name=str(entry["name"]), version=str(entry.get("version", "")),
                    location=str(entry.get("url", "")), sha256=hashes.get("sha256"),
                )
            )  # fmt: skip
        else:
            sha256 = hashes.get("sha256")
            packages.append(
                Locked(
                    url=str(entry.get("url", "")), sha256=sha256, md5=None if sha256 else hashes.get("md5")
                )
            )
    if not packages:
        known = sorted({str(entry.get("platform")) for entry in entries if isinstance(entry, dict)})
        raise EnvironmentFailedError(
            f"{path.name} has no packages for {platform}, only for {', '.join(known) or 'none'}.",
            hint=f"Lock for this platform too: `conda-lock -p {platform}`, or `proj env lock`.",
        )
    return CondaLock(platform=platform, packages=tuple(packages), pip=pylock_of(pypi, path), shipped=True)


def _is_located(entry: dict[str, object]) -> bool:
    """Whether an entry of conda-lock's says where its package is."""
    url = str(entry.get("url", "")).partition("#")[0]
    return entry.get("manager") == "pip" or ("://" in url and url.endswith(SUFFIXES))


def _pixi(path: Path, project: CondaProject, platform: str) -> CondaLock:
    def no_hint(failed: Failed) -> str | None:
        return "Lock for this platform too." if failed.cause == "platform" else None

    read = ask(
        ReadLock(path=str(path), platform=platform), LockRead, what=f"Cannot use {path.name}", hints=no_hint,
        secrets=project.secrets,
    )  # fmt: skip
    return CondaLock(platform=platform, packages=read.packages, pip=pylock_of(read.pypi, path), shipped=True)


def pylock_of(packages: Iterable[PypiPackage], path: Path) -> str:
    """Python packages of another tool's lock as a pylock.toml (PEP 751).

    Raises:
        EnvironmentFailedError: One of them has no hash, or is a folder.
    """
    listed: Sequence[PypiPackage] = sorted(packages, key=lambda package: package.name)
    if not listed:
        return ""
    lines = ['lock-version = "1.0"', 'created-by = "proj"']
    for package in listed:
        if "://" not in package.location or package.sha256 is None:
            raise EnvironmentFailedError(
                f"{path.name} has {package.name} from {bare(package.location) or 'nowhere'}, without a hash.",
                hint="Such packages cannot be taken from a lock: put them below `pip:` of a conda.yaml.",
            )
        url = bare(package.location.partition("#")[0])
        file = f"{{ url = {json.dumps(url)}, hashes = {{ sha256 = {json.dumps(package.sha256)} }} }}"
        lines += ["", "[[packages]]", f"name = {json.dumps(package.name.lower().replace('_', '-'))}"]
        lines += [f"version = {json.dumps(package.version)}"] if package.version else []
        lines.append(f"wheels = [{file}]" if url.endswith(".whl") else f"sdist = {file}")
    return "\n".join(lines) + "\n"
