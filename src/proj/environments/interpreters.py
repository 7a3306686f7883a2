"""Finding the Pythons of this machine, starting a process only where nothing else tells a version."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj import files, paths
from proj.environments.pythonspec import Version, parse_version, show

if TYPE_CHECKING:
    from collections.abc import Iterator

MINORS = range(6, 16)
"""Python 3.x versions that are looked for."""

_PROBE = "import platform,sys;print(platform.python_implementation(),'%d.%d.%d'%sys.version_info[:3])"
_USUAL_FOLDERS = ("/usr/local/bin", "/usr/bin", "/opt/homebrew/bin", "/opt/local/bin")


class Interpreter(msgspec.Struct, frozen=True, kw_only=True):
    """A Python on this machine."""

    path: str
    """Absolute path of the executable; never a pyenv shim."""
    version: Version
    """Major, minor, patch."""
    origin: str
    """How it was found: `uv`, `pyenv`, `PATH`, or the folder."""
    target: str | None = None
    """The platform to choose packages for, as uv names it, where that is another than this machine's: then
    `path` is but the Python that uv runs with, and `version` the one that packages are chosen for."""

    @property
    def version_text(self) -> str:
        """Such as `3.9.18`."""
        return show(self.version)


class _Probed(msgspec.Struct):
    """What running an interpreter once has told, for as long as the file stays the same."""

    mtime_ns: int
    size: int
    version: str
    """Empty for what is no CPython."""


def find_interpreters(*, remember: bool = True) -> tuple[Interpreter, ...]:
    """All CPythons from 3.6 on that are installed here, each once, newest first.

    Args:
        remember: Keep versions that were asked for in the cache, so that nobody needs to ask again.
    """
    memory = _Memory(paths.cache() / "interpreters.json")
    found: dict[str, Interpreter] = {}
    for interpreter in _candidates(memory):
        real = os.path.realpath(interpreter.path)
        if real not in found and (3, min(MINORS)) <= interpreter.version[:2]:
            found[real] = interpreter
    if remember:
        memory.save()
    return tuple(sorted(found.values(), key=lambda item: item.version, reverse=True))


def current_interpreter() -> Interpreter:
    """The Python that runs this program; outside of its virtual environment."""
    executable = getattr(sys, "_base_executable", None) or sys.executable
    return Interpreter(
        path=os.path.realpath(executable),
        version=tuple(sys.version_info[:3]),
        origin="the one that runs proj",
    )


def _candidates(memory: _Memory) -> Iterator[Interpreter]:
    yield current_interpreter()
    yield from _managed(uv_python_dir(), "uv", re.compile(r"^cpython-(\d+\.\d+\.\d+)(?!\d)[^+]*$"))
    for root in _pyenv_roots():
        yield from _managed(root / "versions", "pyenv", re.compile(r"^(\d+\.\d+\.\d+)$"))
    for folder, origin in _folders():
        for name in (*(f"python3.{minor}" for minor in reversed(MINORS)), "python3", "python"):
            path = os.path.join(folder, name)  # noqa: PTH118  a hundred of them: strings are cheaper than Paths
            version = memory.version(path)
            if version is not None:
                yield Interpreter(path=path, version=version, origin=origin)


def _managed(folder: Path, origin: str, pattern: re.Pattern[str]) -> Iterator[Interpreter]:
    """Installations whose folder's name tells the version."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder))
    except OSError:
        return
    for name in names:
        match = pattern.match(name)
        version = parse_version(match[1]) if match else None
        if version is None or (folder / name).is_symlink():
            continue
        for executable in (f"python{version[0]}.{version[1]}", "python3", "python"):
            path = folder / name / "bin" / executable
            if os.access(path, os.X_OK):
                yield Interpreter(path=str(path), version=version, origin=origin)
                break


def uv_python_dir() -> Path:
    """Where uv keeps the Pythons that it has installed."""
    configured = os.environ.get("UV_PYTHON_INSTALL_DIR")
    if configured:
        return Path(configured)
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data) / "uv" / "python"


def _pyenv_roots() -> list[Path]:
    roots = [os.environ.get("PYENV_ROOT"), str(Path.home() / ".pyenv")]
    # Shims on PATH tell where pyenv is even if its variables are not set.
    roots.extend(str(Path(entry).parent) for entry in _path_entries() if _is_shims(entry))
    return [Path(root) for root in dict.fromkeys(roots) if root]


def _folders() -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for entry in _path_entries():
        if entry not in seen and not _is_shims(entry):
            seen.add(entry)
            yield entry, "PATH"
    for entry in (*_USUAL_FOLDERS, *_opt_folders()):
        if entry not in seen:
            seen.add(entry)
            yield entry, entry


def _opt_folders() -> Iterator[str]:
    try:
        names = sorted(entry.name for entry in os.scandir("/opt") if "python" in entry.name.lower())
    except OSError:
        return
    for name in names:
        yield f"/opt/{name}/bin"
        try:
            yield from (f"{entry.path}/bin" for entry in os.scandir(f"/opt/{name}") if entry.is_dir())
        except OSError:
            continue


def _path_entries() -> list[str]:
    return [entry for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]


def _is_shims(folder: str) -> bool:
    return os.path.basename(folder.rstrip("/")) == "shims"  # noqa: PTH119  as above


class _Memory:
    """Versions of executables by path, kept on disk: each is started once in its life."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._changed = False
        try:
            self._known = msgspec.json.decode(file.read_bytes(), type=dict[str, _Probed])
        except (OSError, msgspec.DecodeError):
            self._known = {}

    def version(self, path: str) -> Version | None:
        """The version of the CPython at `path`; None if there is none."""
        try:
            if not os.access(path, os.X_OK):
                return None
            path = os.path.realpath(path)
            stat = os.stat(path)  # noqa: PTH116  as above
        except OSError:
            return None
        known = self._known.get(path)
        if known is None or (known.mtime_ns, known.size) != (stat.st_mtime_ns, stat.st_size):
            known = _Probed(mtime_ns=stat.st_mtime_ns, size=stat.st_size, version=_probe(path))
            self._known[path] = known
            self._changed = True
        return parse_version(known.version)

    def save(self) -> None:
        if not self._changed:
            return
        with contextlib.suppress(OSError):  # a memory, no more: without it the next run asks again
            files.write_whole(self._file, msgspec.json.encode(self._known))


def _probe(path: str) -> str:
    from proj.errors import ProjError
    from proj.process import run

    try:
        with open(path, "rb") as file:  # noqa: PTH123  as above
            if file.read(2) == b"#!":
                return ""  # a wrapper such as a shim: what it starts depends on where it is called
        answer = run([path, "-I", "-S", "-c", _PROBE], check=False, timeout_s=20).stdout.split()
    except (OSError, ProjError):
        return ""
    return answer[1] if answer[:1] == ["CPython"] and len(answer) > 1 else ""
