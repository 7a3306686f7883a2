"""The packages of a run's lock, downloaded for the machine that the run was made on."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from typing import TYPE_CHECKING

import msgspec

from proj import events, record
from proj.environments.conda.download import download_packages
from proj.environments.conda.lock import parse_lock
from proj.environments.indexes import pip_settings, tool_variables
from proj.environments.interpreters import find_interpreters
from proj.environments.lock import LOCK_NAME
from proj.environments.toml import parse_toml
from proj.environments.uv import work_folder
from proj.environments.virtualenv import requirement_lines
from proj.errors import EnvironmentFailedError, NotFoundError, StoreError
from proj.process import run as call

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proj.environments.toml import TomlTable
    from proj.model import RunRecord
    from proj.tracking import Tracking

_HINT = "Export without --with-packages; the lock with its digests is in the archive in any case."
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def packages_of(
    tracking: Tracking, run: RunRecord, folder: Path, *, has_code: bool
) -> tuple[Path, ...] | None:
    """Download the files that a run's lock names, and compare them with its digests.

    Of several files of a package it is the one that the run's Python installs on this kind of machine.

    Args:
        tracking: Where the run is.
        run: The run.
        folder: Where they go; what is there already is used.
        has_code: Whether the archive holds the code, and thus what the lock names in it.

    Returns:
        The files, by name; None where nothing was locked.

    Raises:
        EnvironmentFailedError: They cannot be had, or are for another kind of machine.
        StoreError: The record cannot be read.
    """
    environment = _environment(tracking, run)
    name = environment.lock.rpartition("/")[2] if environment is not None and environment.lock else ""
    platform = re.fullmatch(r"conda-(.+)\.lock", name)
    if environment is None or environment.lock is None or not (name == LOCK_NAME or platform):
        events.note(f"The environment of run {run.run_id} has no lock, so it has no packages to add.")
        return None
    with tracking.artifacts.open(run.artifact_uri, environment.lock) as file:
        lock = file.read().decode("utf-8", "surrogateescape")
    folder.mkdir(parents=True, exist_ok=True)
    if platform is None:
        return _of_pip(lock, run, environment, folder, has_code=has_code)
    found = parse_lock(lock, origin="The recorded lock", platform=platform[1], shipped=True)
    files = download_packages(found, folder, what=f"the packages of run {run.run_id}", hint=_HINT)
    if found.pip:
        files += _of_pip(found.pip, run, environment, folder, has_code=has_code)
    return tuple(sorted(files))


def _of_pip(
    lock: str, run: RunRecord, environment: record.EnvironmentRecord, folder: Path, *, has_code: bool
) -> tuple[Path, ...]:
    packages = [table for table in _packages(lock) if not _is_in_code(table)]
    _tell_of_others(run, len(_packages(lock)) - len(packages), has_code=has_code)
    wanted, others = requirement_lines(_lines_of(lock, packages))
    if others:
        raise EnvironmentFailedError(
            f"The lock of run {run.run_id} names what cannot be downloaded with a digest: {others[0]}",
            hint=_HINT,
        )
    if not wanted:
        return ()
    events.step(f"Downloading {len(wanted)} packages of run {run.run_id}")
    return _download(wanted, packages, folder, run, environment)


def _environment(tracking: Tracking, run: RunRecord) -> record.EnvironmentRecord | None:
    try:
        with tracking.artifacts.open(run.artifact_uri, record.ENVIRONMENT) as file:
            return msgspec.json.decode(file.read(), type=record.EnvironmentRecord)
    except NotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise StoreError(f"{record.ENVIRONMENT} of run {run.run_id} is damaged: {error}") from error


def _packages(lock: str) -> list[TomlTable]:
    found = parse_toml(lock, "The lock").get("packages")
    return [table for table in found if isinstance(table, dict)] if isinstance(found, list) else []


def _files(package: TomlTable) -> Iterator[TomlTable]:
    wheels = package.get("wheels")
    for value in [*(wheels if isinstance(wheels, list) else []), package.get("sdist")]:
        if isinstance(value, dict):
            yield value


def _is_in_code(package: TomlTable) -> bool:
    """Whether it is a folder or file of the project."""
    archive = package.get("archive")
    if "directory" in package or (isinstance(archive, dict) and "path" in archive):
        return True
    files = list(_files(package))
    return bool(files) and all("path" in file and "url" not in file for file in files)


def _tell_of_others(run: RunRecord, count: int, *, has_code: bool) -> None:
    if count and not has_code:
        events.warning(
            f"{count} packages of run {run.run_id} are folders or files of its project, whose code is not "
            "in the archive."
        )


def _lines_of(lock: str, packages: list[TomlTable]) -> str:
    """The lock without what is in the code."""
    head, *blocks = lock.split("[[packages]]")
    names = {str(package.get("name")) for package in packages}
    kept = [
        block
        for block in blocks
        if (match := re.search(r'(?m)^name = "([^"]+)"', block)) and match[1] in names
    ]
    return "[[packages]]".join([head, *kept])


def _download(
    wanted: list[str],
    packages: list[TomlTable],
    folder: Path,
    run: RunRecord,
    environment: record.EnvironmentRecord,
) -> tuple[Path, ...]:
    python = _interpreter(run, environment)
    with work_folder() as work:
        variables: dict[str, str | None] = {
            name: value for name, value in tool_variables().items() if value is None
        }
        variables |= {"PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "NO_COLOR": "1"}
        seeded = work / "environment"
        argv = [sys.executable, "-m", "virtualenv", "--quiet", "--no-setuptools", "--python", python]
        made = call([*argv, str(seeded)], cwd=work, env=variables, check=False)
        if made.returncode == 0:
            file = work / "requirements.txt"
            file.write_text("\n".join([*_index_options(packages), *wanted]) + "\n", encoding="utf-8")
            pip = [str(seeded / "bin" / "python"), "-m", "pip", "download", "--no-deps", "--require-hashes"]
            target = work / "packages"
            made = call([*pip, "--dest", str(target), "-r", str(file)], cwd=work, env=variables, check=False)
        if made.returncode != 0:
            lines = [line for line in made.stderr.splitlines() if line.strip()]
            raise EnvironmentFailedError(
                f"The packages of run {run.run_id} cannot be downloaded.",
                hint=_HINT,
                details=tuple(lines[-8:]),
            )
        return _checked(sorted(target.iterdir()), "\n".join(wanted), folder)


def _checked(files: list[Path], wanted: str, folder: Path) -> tuple[Path, ...]:
    """Move files that have a digest of the lock into the folder."""
    known = set(_HASH.findall(wanted))
    for file in files:
        if hashlib.sha256(file.read_bytes()).hexdigest() not in known:
            raise EnvironmentFailedError(f"{file.name} has a digest that the lock does not name.")
        if not file.name.endswith(".whl"):
            events.warning(
                f"{file.name} is no wheel: it is built where it is installed, which may need more packages."
            )
        file.replace(folder / file.name)
    return tuple(folder / file.name for file in files)


def _interpreter(run: RunRecord, environment: record.EnvironmentRecord) -> str:
    """A Python here that installs the same files as that of the run."""
    facts = environment.facts
    here = os.uname()
    if facts.platform is not None and here.machine not in facts.platform:
        raise EnvironmentFailedError(
            f"Run {run.run_id} was made on {facts.platform}, whose packages are not those of this machine "
            f"({here.sysname} {here.machine}).",
            hint="Export with packages on a machine of that kind, or without --with-packages.",
        )
    if environment.kind == "conda" and facts.interpreter and os.access(facts.interpreter, os.X_OK):
        return facts.interpreter
    minor = (facts.python_version or "").split(".")[:2]
    for found in find_interpreters():
        if [str(number) for number in found.version[:2]] == minor:
            return found.path
    raise EnvironmentFailedError(
        f"Run {run.run_id} was made with Python {facts.python_version}, which is not on this machine.",
        hint=_HINT,
    )


def _index_options(packages: list[TomlTable]) -> list[str]:
    """The indexes that the lock names, behind those that the user has configured for pip.

    A file is taken for its digest, so it does not matter which of them it comes from.
    """
    named = list(dict.fromkeys(str(package["index"]) for package in packages if "index" in package))
    variables = tool_variables()
    first = variables.get("UV_DEFAULT_INDEX") or os.environ.get("UV_DEFAULT_INDEX")
    options = [f"--index-url {first}"] if first and "index-url" not in pip_settings() else []
    if not options and "index-url" not in pip_settings() and named:
        options = [f"--index-url {named[0]}"]
    return [*options, *(f"--extra-index-url {url}" for url in named)]
