"""The `pip:` section of a conda file: resolved by uv around what conda has installed, and installed after."""

from __future__ import annotations

import re
import zipfile
from email.parser import HeaderParser
from typing import TYPE_CHECKING

import msgspec

from proj import events
from proj.environments.conda.linking import link
from proj.environments.facts import packages_in
from proj.environments.interpreters import Interpreter, current_interpreter
from proj.environments.pythonspec import parse_version
from proj.environments.requirements import requirement_name
from proj.environments.resolve import Provided, resolve
from proj.environments.uv import work_folder
from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proj.environments.conda.declared import CondaProject
    from proj.environments.conda.lock import CondaLock
    from proj.environments.conda.program import Program
    from proj.environments.conda.target import Target
    from proj.model import EnvironmentRequest

_VALID_VERSION = re.compile(
    r"^v?(\d+!)?\d+(\.\d+)*[-_.]?((a|b|c|rc|alpha|beta|pre|preview)[-_.]?\d*)?"
    r"(-\d+|[-_.]?(post|rev|r)[-_.]?\d*)?([-_.]?dev[-_.]?\d*)?(\+[a-z0-9]+([-_.][a-z0-9]+)*)?$",
    re.IGNORECASE,
)


_WHEEL = "Wheel-Version: 1.0\nGenerator: proj\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def lock_pip(
    lock: CondaLock,
    project: CondaProject,
    request: EnvironmentRequest,
    target: Target | None = None,
    program: Program | None = None,
    linked: Path | None = None,
) -> CondaLock:
    """Resolve the `pip:` section around the conda packages of a lock.

    As with pip, what conda has installed stays where it will do, and is replaced where it will not. The conda
    packages are linked into a folder of their own for that: their interpreter and metadata are what counts.

    Args:
        lock: The conda packages.
        project: The declaration.
        request: The request.
        target: Where the environment will be; None: on this machine, whose wheels it takes.
        program: What links them; None: rattler.
        linked: Where it has linked them already; None: nowhere yet.

    Raises:
        EnvironmentFailedError: There is no solution, or the packages cannot be had.
    """
    with work_folder() as folder:
        prefix = linked or folder / "conda"
        if linked is None and program is not None:
            program.install(lock, prefix, project, request)
        elif linked is None:
            link(lock, project, prefix, request, scripts=False)
        interpreter = interpreter_of(prefix)
        if interpreter is None:
            raise EnvironmentFailedError(
                f"{project.origin} has a `pip:` section, and its conda packages bring no Python.",
                hint="Add `python` to its dependencies.",
            )
        if target is not None:  # what is linked here need not run here
            interpreter = msgspec.structs.replace(
                interpreter, path=current_interpreter().path, target=target.wheels
            )
        provided = provided_by(prefix, folder / "provided")
        resolved = resolve(project.pip, interpreter, request, provided)
    return msgspec.structs.replace(
        lock, pip=resolved.text, as_of_s=lock.as_of_s if lock.as_of_s is not None else resolved.as_of_s,
        notes=(*lock.notes, *(note for note in resolved.notes if note not in lock.notes)),
        build_needs=tuple(sorted(resolved.build_needs.items())),
    )  # fmt: skip


def interpreter_of(prefix: Path) -> Interpreter | None:
    """The Python of a conda environment; None where it has none."""
    for path in sorted((prefix / "conda-meta").glob("python-*.json")):
        match = re.fullmatch(r"python-(\d+\.\d+\.\d+[^-]*)-[^-]+", path.stem)
        version = parse_version(match[1]) if match else None
        if version is not None:
            return Interpreter(path=str(prefix / "bin" / "python"), version=version, origin="conda")
    return None


def provided_by(prefix: Path, folder: Path) -> Provided:
    """The Python distributions of a conda environment, as wheels of their metadata and nothing else."""
    folder.mkdir()
    versions: dict[str, str] = {}
    for site in sorted(prefix.glob("lib/python3*/site-packages")):
        for package in packages_in([site]):
            if _VALID_VERSION.match(package.version) and package.name not in versions:
                versions[package.name] = package.version
        for name, version, metadata in _metadata(site):
            if versions.get(requirement_name(name)) == version:
                _write_wheel(folder, name, version, metadata)
    events.progress(f"{len(versions)} Python packages come from conda")
    return Provided(folder=folder, versions=versions)


def _metadata(site: Path) -> Iterator[tuple[str, str, str]]:
    """Name, version and metadata of each distribution."""
    for pattern in ("*.dist-info/METADATA", "*.egg-info/PKG-INFO", "*.egg-info"):
        for path in sorted(site.glob(pattern)):
            try:
                text = path.read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue  # `*.egg-info` is a folder of some and a file of others
            headers = HeaderParser().parsestr(text, headersonly=True)
            if headers["Name"] and headers["Version"]:
                if path.parent.suffix == ".egg-info":
                    text = _with_requirements(text, path.parent / "requires.txt")
                yield headers["Name"], headers["Version"], text


def _with_requirements(metadata: str, file: Path) -> str:
    """Metadata of before wheels, whose requirements are in a file beside it (those without a condition)."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").partition("[")[0].splitlines()
    except OSError:
        return metadata
    requires = "".join(f"Requires-Dist: {line.strip()}\n" for line in lines if line.strip())
    head, _, _ = metadata.partition("\n\n")
    return f"{head.rstrip()}\n{requires}" if "Requires-Dist:" not in head else metadata


def _write_wheel(folder: Path, name: str, version: str, metadata: str) -> None:
    stem = f"{re.sub(r'[-_.]+', '_', name)}-{version.replace('-', '_')}"
    head = re.sub(r"(?m)^Metadata-Version: .*$", "Metadata-Version: 2.1", metadata.partition("\n\n")[0])
    files = {
        f"{stem}.dist-info/METADATA": head.rstrip() + "\n",
        f"{stem}.dist-info/WHEEL": _WHEEL,
    }
    files[f"{stem}.dist-info/RECORD"] = "".join(
        f"{path},,\n" for path in [*files, f"{stem}.dist-info/RECORD"]
    )
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
