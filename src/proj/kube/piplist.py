"""A lock as lists of requirements, for installers of every age: pip reads no pylock.toml before 26.1."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from proj.errors import EnvironmentFailedError

_ALGORITHMS = ("sha256", "sha384", "sha512")
"""Those that pip takes."""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """The packages of a lock; paths are relative to the project's folder."""

    hashed: str
    """Those with hashes, for `--require-hashes`."""
    other: str
    """Folders and commits, which have none."""


def listed(lock: str) -> Listed:
    """Write a lock as requirements.

    Args:
        lock: pylock.toml (PEP 751).

    Raises:
        EnvironmentFailedError: It is no lock, or a package in it cannot be named to pip.
    """
    packages = _parsed(lock).get("packages")
    hashed: list[str] = []
    other: list[str] = []
    for package in packages if isinstance(packages, list) else ():
        line, has_hashes = _line(package)
        (hashed if has_hashes else other).append(line)
    return Listed(
        hashed="".join(f"{line}\n" for line in hashed), other="".join(f"{line}\n" for line in other)
    )


def _parsed(lock: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(lock)
    except tomllib.TOMLDecodeError as error:
        raise EnvironmentFailedError(f"The lock is not valid TOML: {error}.") from error


def _line(package: dict[str, Any]) -> tuple[str, bool]:
    name = str(package.get("name", ""))
    marker = f" ; {package['marker']}" if package.get("marker") else ""
    if isinstance(package.get("directory"), dict):
        return _folder(name, package["directory"], marker), False
    if isinstance(package.get("vcs"), dict):
        return _commit(name, package["vcs"], marker), False
    if isinstance(package.get("archive"), dict):
        archive = package["archive"]
        hashes = _hashes([archive])
        if archive.get("path"):
            return f"./{archive['path']}{marker}{hashes}", bool(hashes)
        below = f"#subdirectory={archive['subdirectory']}" if archive.get("subdirectory") else ""
        return f"{name} @ {archive.get('url')}{below}{marker}{hashes}", bool(hashes)
    files = [*package.get("wheels", ()), *([package["sdist"]] if package.get("sdist") else ())]
    hashes = _hashes(files)
    local = [str(file["path"]) for file in files if isinstance(file, dict) and file.get("path")]
    if local and hashes:
        return f"{_local(name, local[0])}{marker}{hashes}", True
    version = package.get("version")
    if version is None or not hashes:
        raise EnvironmentFailedError(
            f"The lock names {name or 'a package'} without a version or hashes, which a pod cannot install.",
            hint="`--upgrade` makes the lock anew.",
        )
    return f"{name}=={version}{marker}{hashes}", True


def _hashes(files: list[Any]) -> str:
    found = sorted({
        f"{algorithm}:{digest}"
        for file in files if isinstance(file, dict)
        for algorithm, digest in (file.get("hashes") or {}).items() if algorithm in _ALGORITHMS
    })  # fmt: skip
    return "".join(f" --hash={each}" for each in found)


def _folder(name: str, directory: dict[str, Any], marker: str) -> str:
    return f"{_local(name, str(directory.get('path', '.')))}{marker}"


def _local(name: str, path: str) -> str:
    """A path as pip takes it."""
    if path.startswith("/"):
        raise EnvironmentFailedError(
            f"The lock takes {name} from {path}, which only this machine has.",
            hint="Put it into the project's tree, or have an image made: `--delivery image`.",
        )
    return path if path.startswith(".") else f"./{path}"


def _commit(name: str, vcs: dict[str, Any], marker: str) -> str:
    kind, url = vcs.get("type", "git"), vcs.get("url")
    if not url:
        raise EnvironmentFailedError(f"The lock takes {name} from a repository of this machine.")
    below = f"#subdirectory={vcs['subdirectory']}" if vcs.get("subdirectory") else ""
    return f"{name} @ {kind}+{url}@{vcs.get('commit-id')}{below}{marker}"
