"""Archives, unpacked without trust: nothing outside the target, no devices, bounded in size and number.

Every entry is checked by the same code, whatever the format. Links are made last and then followed once: no
file is ever written through one, and none may lead out. These are the rules of PEP 706's `data` filter, which
Python 3.10 may lack.
"""

from __future__ import annotations

import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from typing import IO, TYPE_CHECKING, Literal

import msgspec

from proj.errors import SourceError
from proj.source.files import os_failure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_BYTES = 8 * 1024**3
"""Unpacked size from which an archive is refused; `PROJ_ARCHIVE_MAX_BYTES` replaces it."""
MAX_FILES = 200_000
"""Number of entries from which an archive is refused; `PROJ_ARCHIVE_MAX_FILES` replaces it."""
MAX_RATIO = 200
"""Unpacked to packed size from which an archive is taken for a bomb, once `RATIO_FROM_BYTES` are unpacked."""
RATIO_FROM_BYTES = 64 * 1024**2
_CHUNK_BYTES = 1024**2
_HEADER_MAX_BYTES = 8 * 1024**2
_IGNORED_AT_TOP = frozenset({"__MACOSX", ".DS_Store", "pax_global_header"})
_BROKEN: tuple[type[Exception], ...] = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    ImportError,
)


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    kind: Literal["file", "folder", "link", "hardlink", "other"]
    mode: int = 0o644
    target: str = ""
    open: Callable[[], IO[bytes]] | None = None


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much an archive may hold."""

    max_bytes: int = MAX_BYTES
    max_files: int = MAX_FILES

    @classmethod
    def configured(cls) -> Limits:
        """The limits that the environment variables set, else the defaults."""
        return cls(
            max_bytes=limit_from_environment("PROJ_ARCHIVE_MAX_BYTES", MAX_BYTES),
            max_files=limit_from_environment("PROJ_ARCHIVE_MAX_FILES", MAX_FILES),
        )


def limit_from_environment(variable: str, default: int) -> int:
    """A whole number out of an environment variable.

    Raises:
        SourceError: It is set and no such number.
    """
    text = os.environ.get(variable, "")
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise SourceError(f"{variable} is not a whole number: {text!r}")
    return int(text)


def unpack(archive: Path, target: Path, *, shown: str, limits: Limits | None = None) -> None:
    """Unpack an archive into the existing, empty folder `target`.

    Args:
        archive: A zip or tar file; told apart by content.
        target: Where to.
        shown: How the archive is called in messages.
        limits: How much it may hold; None: as configured.

    Raises:
        SourceError: It is none, is damaged, holds what is not allowed, or cannot be written.
    """
    writer = _Writer(target, archive.stat().st_size, shown, limits or Limits.configured())
    try:
        with archive.open("rb") as file:
            for entry in _entries(file, writer):
                writer.add(entry)
        writer.make_links()
    except OSError as error:
        if error.errno is None:  # gzip.BadGzipFile and its kin
            raise _damaged(shown, error) from error
        raise os_failure(error, f"Cannot unpack {shown}") from error
    except (*_BROKEN, *_broken_xz()) as error:
        raise _damaged(shown, error) from error


def _broken_xz() -> tuple[type[Exception], ...]:
    try:
        from lzma import LZMAError
    except ImportError:  # a Python that was built without it
        return ()
    return (LZMAError,)


def _damaged(shown: str, error: Exception) -> SourceError:
    if isinstance(error, RuntimeError) and "encrypted" in str(error):
        return SourceError(f"The archive {shown} is encrypted.", hint="Unpack it, and run the folder.")
    reason = "it ends too early" if isinstance(error, EOFError) else str(error)
    return SourceError(f"The archive {shown} cannot be read: {reason}", hint="Check that it is whole.")


def top_folder(target: Path) -> Path:
    """The folder that an archive means: its only top-level folder, as code hosts make it, else its top."""
    entries = [entry for entry in target.iterdir() if entry.name not in _IGNORED_AT_TOP]
    if len(entries) == 1 and entries[0].is_dir() and not entries[0].is_symlink():
        return entries[0]
    return target


# --- reading ------------------------------------------------------------------------------------------


def _entries(file: IO[bytes], writer: _Writer) -> Iterator[_Entry]:
    magic = file.read(6)
    file.seek(0)
    if magic[:2] == b"PK":
        with zipfile.ZipFile(file) as archive:
            yield from _zip_entries(archive)
        return
    with _decompressed(file, magic) as stream:
        bounded = _Bounded(stream, writer)
        with tarfile.open(fileobj=bounded, mode="r:") as tar:  # type: ignore[call-overload]  # never written to
            yield from _tar_entries(tar)
        while bounded.read(_CHUNK_BYTES):
            pass  # a checksum stands at the end of the stream, behind the last entry


def _decompressed(file: IO[bytes], magic: bytes) -> IO[bytes]:
    from typing import cast

    if magic[:2] == b"\x1f\x8b":
        import gzip

        return cast("IO[bytes]", gzip.GzipFile(fileobj=file, mode="rb"))
    if magic[:3] == b"BZh":
        import bz2

        return cast("IO[bytes]", bz2.BZ2File(file))
    if magic == b"\xfd7zXZ\x00":
        import lzma

        return cast("IO[bytes]", lzma.LZMAFile(file))
    plain = open(file.fileno(), "rb", closefd=False)  # noqa: SIM115  the caller closes it, apart from `file`
    plain.seek(0)  # `file` went back within its buffer only
    return plain


class _Bounded:
    """A decompressed stream that stops a bomb whose size no header tells."""

    def __init__(self, stream: IO[bytes], writer: _Writer) -> None:
        self._stream = stream
        self._writer = writer

    def read(self, size: int = -1) -> bytes:
        if (
            size < 0 or size > _HEADER_MAX_BYTES
        ):  # content is asked for in chunks; only a header is read in one
            raise tarfile.ReadError("a header is too large")
        data = self._stream.read(size)
        self._writer.check_size(self._stream.tell())
        return data

    def seek(self, position: int, whence: int = 0) -> int:
        self._writer.check_size(position)
        return self._stream.seek(position, whence)

    def tell(self) -> int:
        return self._stream.tell()


def _zip_entries(archive: zipfile.ZipFile) -> Iterator[_Entry]:
    for info in archive.infolist():
        name = info.filename
        if info.create_system == 0:  # DOS and Windows, where some programs write backslashes
            name = name.replace("\\", "/")
        mode = info.external_attr >> 16
        if info.is_dir() or name.endswith("/"):
            yield _Entry(name=name, kind="folder")
        elif stat.S_ISLNK(mode):
            with archive.open(info) as link:
                target = link.read(_CHUNK_BYTES).decode("utf-8", "surrogateescape")
            yield _Entry(name=name, kind="link", target=target)
        elif stat.S_IFMT(mode) in (0, stat.S_IFREG):
            yield _Entry(name=name, kind="file", mode=mode or 0o644, open=partial(archive.open, info))
        else:
            yield _Entry(name=name, kind="other")


def _tar_entries(tar: tarfile.TarFile) -> Iterator[_Entry]:
    for info in tar:
        if info.isdir():
            yield _Entry(name=info.name, kind="folder")
        elif info.issym():
            yield _Entry(name=info.name, kind="link", target=info.linkname)
        elif info.islnk():
            yield _Entry(name=info.name, kind="hardlink", target=info.linkname)
        elif info.isreg():
            yield _Entry(name=info.name, kind="file", mode=info.mode, open=partial(_content, tar, info))
        else:
            yield _Entry(name=info.name, kind="other")
        # tarfile remembers every header; nothing here looks back
        tar.members = []  # type: ignore[attr-defined]  # an attribute that typeshed leaves out


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(info)
    if content is None:
        raise tarfile.ReadError(f"no content for {info.name!r}")
    return content


# --- writing ------------------------------------------------------------------------------------------


class _Writer:
    """Writes checked entries below one folder."""

    def __init__(self, target: Path, packed_bytes: int, shown: str, limits: Limits) -> None:
        self._target = target
        self._packed_bytes = packed_bytes
        self._shown = shown
        self._limits = limits
        self._written_bytes = 0
        self._count = 0
        self._links: list[tuple[Path, str]] = []

    def add(self, entry: _Entry) -> None:
        self._count += 1
        if self._count > self._limits.max_files:
            raise SourceError(
                f"The archive {self._shown} holds more than {self._limits.max_files} entries.",
                hint="If you trust it, set PROJ_ARCHIVE_MAX_FILES.",
            )
        path = self._path(entry.name)
        if path == self._target:
            return
        if entry.kind == "folder":
            path.mkdir(parents=True, exist_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.kind == "link":
            self._links.append((path, entry.target))
        elif entry.kind == "hardlink":
            self._hardlink(path, entry)
        elif entry.kind == "file" and entry.open is not None:
            self._file(path, entry, entry.open)
        else:
            raise self._refused(entry.name, "is a device, a pipe or a socket")

    def make_links(self) -> None:
        made: dict[Path, str] = {}
        for path, target in self._links:
            if path in made:
                path.unlink()
            if os.path.lexists(path):
                raise self._refused(path.relative_to(self._target).as_posix(), "is there twice")
            path.symlink_to(target)
            made[path] = target
        root = os.path.realpath(self._target)
        for path, target in made.items():
            inside = os.path.realpath(path).startswith(root + os.sep) or os.path.realpath(path) == root
            if not inside or os.path.isabs(target):  # noqa: PTH117  a str
                raise self._refused(
                    path.relative_to(self._target).as_posix(), f"is a link that leads out ({target})"
                )

    def check_size(self, unpacked_bytes: int) -> None:
        if unpacked_bytes > self._limits.max_bytes:
            raise SourceError(
                f"The archive {self._shown} unpacks to more than {self._limits.max_bytes} bytes.",
                hint="If you trust it, set PROJ_ARCHIVE_MAX_BYTES.",
            )
        if unpacked_bytes > max(RATIO_FROM_BYTES, MAX_RATIO * self._packed_bytes):
            raise SourceError(
                f"The archive {self._shown} unpacks to more than {MAX_RATIO} times its size, as bombs do.",
                hint="If you trust it, unpack it, and run the folder.",
            )

    def _path(self, name: str) -> Path:
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/") or re.match(r"[A-Za-z]:[/\\]", name):
            raise self._refused(name, "has an absolute path")
        if ".." in parts or "\0" in name:
            raise self._refused(name, "leads out of it")
        return self._target.joinpath(*parts)

    def _file(self, path: Path, entry: _Entry, open_: Callable[[], IO[bytes]]) -> None:
        if path.is_dir():
            raise self._refused(entry.name, "is there twice")
        path.unlink(missing_ok=True)  # a later entry of the same name wins; never write into a hard link
        with open_() as source, path.open("xb") as sink:
            while chunk := source.read(_CHUNK_BYTES):
                self._written_bytes += len(chunk)
                self.check_size(self._written_bytes)
                sink.write(chunk)
        path.chmod(0o755 if entry.mode & 0o111 else 0o644)

    def _hardlink(self, path: Path, entry: _Entry) -> None:
        source = self._path(entry.target)
        if not source.is_file():
            raise self._refused(entry.name, f"is a hard link to what is not there ({entry.target})")
        path.unlink(missing_ok=True)
        os.link(source, path)

    def _refused(self, name: str, why: str) -> SourceError:
        return SourceError(
            f"The archive {self._shown} is refused: its entry {name!r} {why}.",
            hint="If you trust it, unpack it yourself, and run the folder.",
        )
