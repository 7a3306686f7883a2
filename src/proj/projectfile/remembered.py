"""Project files that were read before: what the same bytes mean is remembered (`project-files` in the cache).

To import PyYAML and to parse takes a fifth of a no-op run, and a file is seldom changed between two runs.
Only what comes back as it was is kept, for the code that read it; nothing about which there is anything to
say, for that is said each time; and nothing that looks as if there were a secret in it.
"""

from __future__ import annotations

import contextlib
import os
import re
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from proj import files, paths, process
from proj.model import Project
from proj.projectfile.files import find, read
from proj.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

_REMEMBERED: Final = 20
_MOST_BYTES: Final = 32 * 1024
"""Of what a file means: all are read on each run."""
_PACKAGE: Final = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120  no Path on each run
_READERS: Final = (f"{_PACKAGE}/projectfile", f"{_PACKAGE}/yamltree")
"""Folders of the code that says what a file means, beside `model.py`."""


_BARE: Final = (
    r"(?i)\bauthorization\b|\bbearer\s"
    r"|\b(?:gh[pousr]_|github_pat_|glpat-|xox[a-z]-|[srp]k[-_]|hf_|npm_|dapi|akia|asia|aiza)(?=[\w-]*\d)[\w-]{8}"
)
"""What has no telling name, and is one: how the tokens of well-known services begin, and what heads one."""


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """A file that was read."""

    digest: str
    """Of its content, and of how it was read."""
    project: msgspec.Raw


class _Memory(msgspec.Struct, frozen=True, array_like=True):
    """All that is remembered."""

    reader: str
    """What `_reader` said of the code that read them."""
    files: tuple[_Kept, ...] = ()


def load(directory: Path, *, strict: bool = False) -> Project:
    """Read the project in a folder.

    Args:
        directory: The project's folder; one without a project file is a project without entry points.
        strict: Treat unknown keys as errors.

    Returns:
        The project; `diagnostics` holds what is odd but no error.

    Raises:
        ProjectInvalidError: The project file cannot be used; the message names each error and its place.
        SourceError: The folder cannot be read.
    """
    file = find(directory)
    if file is None:
        return Project(name=None, directory=directory, file=None)
    content = read(file)
    memory = _memory(_reader())
    digest = _digest(content, strict=strict)
    project = _recall(memory, digest)
    if project is not None and _is_there(project, directory):
        return msgspec.structs.replace(project, directory=directory, file=file)
    from proj.projectfile.parser import parse

    project = parse(content, file=file, strict=strict)
    if not project.diagnostics and not _may_hold_secrets(content, project):
        _remember(memory, digest, project)
    return project


def _digest(content: bytes, *, strict: bool) -> str:
    try:
        from _blake2 import blake2b  # `hashlib` loads OpenSSL, which every run would wait for
    except ImportError:  # another Python than CPython
        from hashlib import blake2b
    return f"{blake2b(content, digest_size=32).hexdigest()}{' strict' if strict else ''}"


def _may_hold_secrets(content: bytes, project: Project) -> bool:
    """Whether a file may hold what is to be written nowhere else: a container's variables, a password."""
    docker = project.environment.docker if project.environment is not None else None
    if docker is not None and (docker.environment or docker.build is not None):
        return True
    text = content.decode("utf-8", "replace")
    return process.is_secret(text, text) or re.search(_BARE, text) is not None


def _memory(reader: str) -> _Memory:
    """What this code has read before."""
    try:
        memory = msgspec.msgpack.decode(_place().read_bytes(), type=_Memory)
    except (OSError, msgspec.DecodeError):
        return _Memory(reader)
    return memory if memory.reader == reader else _Memory(reader)


def _recall(memory: _Memory, digest: str) -> Project | None:
    for kept in memory.files:
        if kept.digest == digest:
            with contextlib.suppress(msgspec.DecodeError):
                return _decoded(kept.project)
    return None


def _is_there(project: Project, directory: Path) -> bool:
    """Whether the file that it names as its environment is there: else the parser says what is wrong."""
    named = project.environment.file if project.environment is not None else None
    return named is None or os.path.exists(os.path.join(directory, named))  # noqa: PTH110, PTH118  on each run


def _remember(memory: _Memory, digest: str, project: Project) -> None:
    anywhere = msgspec.structs.replace(project, directory=Path(), file=None)
    # UnicodeEncodeError: half a character, which YAML can write; OSError: the next run parses again
    with contextlib.suppress(OSError, UnicodeEncodeError, msgspec.DecodeError):
        encoded = msgspec.Raw(msgspec.msgpack.encode(anywhere, enc_hook=str))
        if len(bytes(encoded)) > _MOST_BYTES or _decoded(encoded) != anywhere:
            return
        others = [kept for kept in memory.files if kept.digest != digest]
        kept = (_Kept(digest, encoded), *others[: _REMEMBERED - 1])
        files.write_whole(_place(), msgspec.msgpack.encode(_Memory(memory.reader, kept)), private=True)


def _decoded(project: msgspec.Raw) -> Project:
    return msgspec.msgpack.decode(project, type=Project, dec_hook=lambda _kind, value: Path(value))


def _place() -> Path:
    return paths.cache() / "project-files"


def _reader() -> str:
    """What the code is that says what a file means: ours, and PyYAML."""
    yaml = PathFinder.find_spec("yaml")
    stamps = [*_stamps(), _stamp(yaml.origin) if yaml is not None and yaml.origin else 0]
    return f"{__version__} {' '.join(map(str, stamps))}"


def _stamps() -> Iterator[int]:
    yield _stamp(f"{_PACKAGE}/model.py")
    for folder in _READERS:
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            named = sorted((entry.name, entry.stat().st_mtime_ns) for entry in entries if entry.is_file())
            yield from (stamp for _, stamp in named)


def _stamp(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116  no Path on each run
    except OSError:
        return 0
