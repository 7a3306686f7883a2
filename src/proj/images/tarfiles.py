"""Tar files of which every byte follows from what is put in."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proj.errors import ImageError
from proj.model import _Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Protocol

    class _Sink(Protocol):
        def write(self, data: bytes, /) -> object: ...


MODIFIED_S: Final = 315_619_200
"""2 January 1980, UTC: in no time zone before 1980, which is where the time stamps of ZIP files begin."""
_BLOCK: Final = 512
_RECORD: Final = 20 * _BLOCK
_PIECE_BYTES: Final = 1 << 20
EXECUTABLE: Final = 0o111


class Entry(_Value, frozen=True):
    """Something in a tar file."""

    path: str
    """Relative to the root, `/` between folders; bytes that are no UTF-8 as surrogates."""
    mode: int
    """Permissions."""
    content: bytes | None = None
    """A file's bytes, if they are at hand."""
    file: Path | None = None
    """Where a file's bytes are, otherwise."""
    link: str | None = None
    """What a symbolic link names."""

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.content is None and self.file is None and self.link is None


def with_folders(entries: Iterable[Entry], *, folder_mode: Callable[[str], int]) -> list[Entry]:
    """The entries with all folders that they are in, sorted by their bytes.

    Args:
        entries: Of which no path is there twice.
        folder_mode: Path of a folder -> its permissions.
    """
    found = {entry.path: entry for entry in entries}
    for path in list(found):
        parent = path.rpartition("/")[0]
        while parent and parent not in found:
            found[parent] = Entry(path=parent, mode=folder_mode(parent))
            parent = parent.rpartition("/")[0]
    return [found[path] for path in sorted(found, key=lambda path: path.encode("utf-8", "surrogateescape"))]


def write_tar(entries: Iterable[Entry], sink: _Sink, *, owner: tuple[int, int] = (0, 0)) -> int:
    """Write a tar file (of GNU's format) of some entries, in their order.

    Args:
        entries: What is to be in it.
        sink: Takes its bytes.
        owner: User and group, by their numbers.

    Returns:
        Its size in bytes.

    Raises:
        ImageError: A file cannot be read, or changes while it is read.
    """
    written = 0
    for entry in entries:
        written += _write(entry, sink, owner)
    padding = -(written + 2 * _BLOCK) % _RECORD + 2 * _BLOCK
    sink.write(b"\0" * padding)
    return written + padding


def _write(entry: Entry, sink: _Sink, owner: tuple[int, int]) -> int:
    info = tarfile.TarInfo(f"{entry.path}/" if entry.is_folder else entry.path)
    info.mode, info.mtime = entry.mode, MODIFIED_S
    info.uid, info.gid = owner
    if entry.is_folder:
        info.type = tarfile.DIRTYPE
    elif entry.link is not None:
        info.type, info.linkname = tarfile.SYMTYPE, entry.link
    elif entry.content is not None:
        info.size = len(entry.content)
    else:
        return _write_file(entry, info, sink)
    header = _header(info)
    sink.write(header)
    if not entry.content:
        return len(header)
    sink.write(entry.content)
    return len(header) + len(entry.content) + _pad(len(entry.content), sink)


def _write_file(entry: Entry, info: tarfile.TarInfo, sink: _Sink) -> int:
    assert entry.file is not None  # noqa: S101  as `_write` has found
    try:
        with entry.file.open("rb") as stream:
            info.size = stream.seek(0, 2)
            stream.seek(0)
            header = _header(info)
            sink.write(header)
            left = info.size
            while left:
                data = stream.read(min(left, _PIECE_BYTES))
                if not data:
                    raise ImageError(f"{entry.file} became shorter while it was read.", hint="Try again.")
                sink.write(data)
                left -= len(data)
    except OSError as error:
        raise ImageError(f"Cannot read {entry.file}: {error.strerror or error}.") from error
    return len(header) + info.size + _pad(info.size, sink)


def _header(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _pad(size: int, sink: _Sink) -> int:
    padding = -size % _BLOCK
    sink.write(b"\0" * padding)
    return padding


def append(name: str, content: bytes | Path) -> Iterator[bytes]:
    """A file of an archive that is no layer, piece by piece; `end_archive` ends it.

    Raises:
        OSError: It cannot be read.
    """
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = 0o644, MODIFIED_S
    if isinstance(content, bytes):
        info.size = len(content)
        yield _header(info) + content
    else:
        info.size = content.stat().st_size
        yield _header(info)
        with content.open("rb") as stream:
            while data := stream.read(_PIECE_BYTES):
                yield data
    yield b"\0" * (-info.size % _BLOCK)


def end_archive() -> bytes:
    """The end of an archive."""
    return b"\0" * (2 * _BLOCK)
