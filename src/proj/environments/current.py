"""The Python that a command finds on PATH: what it is, and what is installed for it.

To ask an interpreter means to start it, which a no-op run would wait for longer than for anything else. So an
answer is kept (`current-python.json` in the cache) as long as nothing has changed that it depends on.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from proj import files, paths
from proj.environments.facts import (
    is_isolated,
    packages_in,
    platform_name,
    virtual_environment_facts,
)
from proj.environments.numerics import numeric_libraries
from proj.errors import ProjError
from proj.model import EnvironmentFacts

# Python 2, too: it is the `python` of some machines.
_PROBE = """
import site, sys
kind = getattr(sys, "implementation", None)
places = getattr(site, "getsitepackages", list)() + [getattr(site, "USER_SITE", None) or ""]
words = [sys.executable, kind.name if kind else "cpython", "%d.%d.%d" % sys.version_info[:3]]
sys.stdout.write("\\0".join(["\\n".join(words), "\\n".join(sys.path[1:]), "\\n".join(places)]))
"""
_PROBE_TIMEOUT_S = 30
_IMPLEMENTATIONS = {"cpython": "CPython", "pypy": "PyPy"}
_REMEMBERED = 20

_Stamp = tuple[int, ...]
"""When something was changed; empty for what is not there."""


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What an interpreter said, and what that depends on."""

    program: _Stamp
    variables: Mapping[str, str]
    watched: Mapping[str, _Stamp]
    """Folders of `sys.path`, and those that would be on it if they were there."""
    executable: str
    implementation: str
    version: str
    sites: tuple[str, ...]


def current_facts() -> EnvironmentFacts:
    """Facts about the `python` that a command would find on PATH."""
    found = paths.find_program("python") or paths.find_program("python3")
    if found is None:
        return EnvironmentFacts(platform=platform_name())
    found = _behind_shim(found)
    folder = Path(found).parent.parent
    if is_isolated(folder):
        return virtual_environment_facts(folder)
    answer = _ask(found)
    if answer is None:
        return EnvironmentFacts(interpreter=found, platform=platform_name())
    return EnvironmentFacts(
        interpreter=answer.executable,
        implementation=_IMPLEMENTATIONS.get(answer.implementation, answer.implementation),
        python_version=answer.version,
        platform=platform_name(),
        packages=packages_in(Path(site) for site in answer.sites),
        libraries=numeric_libraries(Path(site) for site in answer.sites),
    )


def _ask(program: str) -> _Answer | None:
    """Ask the interpreter, or remember what it said; None if it says nothing sensible."""
    file = paths.cache() / "current-python.json"
    try:
        known = msgspec.json.decode(file.read_bytes(), type=dict[str, _Answer])
    except (OSError, msgspec.DecodeError):
        known = {}
    variables = {name: value for name, value in os.environ.items() if name.startswith("PYTHON")}
    stamp = _stamp(program)
    answer = known.get(program)
    if answer is not None and answer.program == stamp and answer.variables == variables:
        if all(_site_stamp(site) == then for site, then in answer.watched.items()):
            return answer
        del known[program]
    answer = _start(program, stamp, variables)
    if answer is not None and not _is_script(program):
        _remember(file, {**dict(list(known.items())[1 - _REMEMBERED :]), program: answer})
    return answer


def _start(program: str, stamp: _Stamp, variables: Mapping[str, str]) -> _Answer | None:
    from proj.process import run

    try:
        said = run([program, "-c", _PROBE], check=False, timeout_s=_PROBE_TIMEOUT_S).stdout
        words, path, places = (part.split("\n") for part in said.split("\0"))
        executable, implementation, version = words
    except (ProjError, OSError, ValueError):
        return None
    sites = tuple(filter(None, path))
    return _Answer(
        program=stamp,
        variables=variables,
        watched={site: _site_stamp(site) for site in {*sites, *filter(None, places)}},
        executable=executable,
        implementation=implementation,
        version=version,
        sites=sites,
    )


def _stamp(path: str) -> _Stamp:
    try:
        stat = os.stat(path)  # noqa: PTH116  strings are cheaper than Paths
    except OSError:
        return ()
    return (stat.st_mtime_ns, stat.st_size)


def _site_stamp(folder: str) -> _Stamp:
    """Stamp of a folder of packages and of its `.pth` files, which add to the path."""
    try:
        inside = sorted(entry.path for entry in os.scandir(folder) if entry.name.endswith(".pth"))
    except OSError:
        return ()
    return (*_stamp(folder), *(number for path in inside for number in _stamp(path)))


def _is_script(program: str) -> bool:
    """Whether it is a wrapper: what that starts may depend on anything."""
    try:
        with open(program, "rb") as file:  # noqa: PTH123  as above
            return file.read(2) == b"#!"
    except OSError:
        return True


def _remember(file: Path, answers: Mapping[str, _Answer]) -> None:
    with contextlib.suppress(OSError):  # without a memory the next run asks again
        files.write_whole(file, msgspec.json.encode(answers))


def _behind_shim(program: str) -> str:
    """The Python that a shim of pyenv would start; `program` itself if it is none, or that cannot be told.

    The shim is a chain of shell scripts that takes longer to find it than a no-op run takes in all.
    """
    folder, name = os.path.split(program)
    root = Path(folder).parent
    if Path(folder).name != "shims" or not (root / "versions").is_dir():
        return program
    version = (os.environ.get("PYENV_VERSION") or _pyenv_version(root)).split(":")[0].strip()
    found = str(root / "versions" / version / "bin" / name)
    return found if version and os.access(found, os.X_OK) else program


def _pyenv_version(root: Path) -> str:
    """What the nearest `.python-version` says, else pyenv's own `version` (pyenv's COMMANDS.md)."""
    here = Path.cwd()
    for path in (*(folder / ".python-version" for folder in (here, *here.parents)), root / "version"):
        try:
            lines = path.read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError):
            continue
        if lines:
            return lines[0]
    return ""
