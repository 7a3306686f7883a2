"""The cache of blobs: each a file named by its digest, which is there whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from typing import TYPE_CHECKING, Final

from proj import files, paths
from proj.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_UNUSED_S: Final = 30 * 24 * 3600
_ABANDONED_S: Final = 24 * 3600
_PRUNE_EVERY_S: Final = 24 * 3600
CHUNK_BYTES: Final = 1 << 20


class BlobCache:
    """Blobs below a folder that many processes share.

    Args:
        folder: None: that of `proj`'s cache.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or paths.cache() / "blobs"

    def path(self, digest: str) -> Path:
        """Where a blob is, if it is there."""
        return self.folder / "sha256" / digest.partition(":")[2]

    def find(self, digest: str, size_bytes: int | None = None) -> Path | None:
        """A blob's file; None if it is not there, or not of that size."""
        path = self.path(digest)
        try:
            size = path.stat().st_size
        except OSError:
            return None
        if size_bytes is not None and size != size_bytes:
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # what was used lately is kept
        return path

    def put(self, content: bytes) -> str:
        """Keep some bytes, and return their digest.

        Raises:
            ImageError: They cannot be written.
        """
        digest = digest_of(content)
        if self.find(digest, len(content)) is None:
            with unwritable(self.folder):
                files.write_whole(self.path(digest), content)
        return digest

    @contextlib.contextmanager
    def incoming(self) -> Iterator[Incoming]:
        """A new blob to be written; it is removed at the end unless it was kept.

        Raises:
            ImageError: It cannot be written.
        """
        folder = self.folder / "incoming"
        path = folder / os.urandom(12).hex()
        with unwritable(self.folder):
            folder.mkdir(parents=True, exist_ok=True)
            stream = path.open("xb")
        try:
            with stream, unwritable(self.folder):
                yield Incoming(self, path, stream)
        finally:
            with contextlib.suppress(OSError):
                path.unlink()

    def prune(self, *, unused_s: float = _UNUSED_S) -> int:
        """Remove what was not used for a time, and what killed processes left.

        Args:
            unused_s: Seconds.

        Returns:
            How many files were removed.
        """
        now = time.time()
        removed = 0
        for folder, age_s in ((self.folder / "sha256", unused_s), (self.folder / "incoming", _ABANDONED_S)):
            with contextlib.suppress(OSError):
                for path in folder.iterdir():
                    with contextlib.suppress(OSError):
                        if now - path.stat().st_mtime > age_s:
                            path.unlink()
                            removed += 1
        return removed

    def prune_sometimes(self) -> None:
        """Prune, once a day at most."""
        mark = self.folder / "pruned"
        with contextlib.suppress(OSError):
            if mark.exists() and time.time() - mark.stat().st_mtime < _PRUNE_EVERY_S:
                return
            self.folder.mkdir(parents=True, exist_ok=True)
            mark.touch()
        self.prune()


class Incoming:
    """A blob that is being written.

    Args:
        cache: Where it belongs.
        path: The file.
        stream: The file, open for writing.
    """

    def __init__(self, cache: BlobCache, path: Path, stream: object) -> None:
        self._cache = cache
        self._path = path
        self._stream = stream
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    @property
    def digest(self) -> str:
        """That of all bytes so far."""
        return f"sha256:{self._hash.hexdigest()}"

    def write(self, data: bytes) -> int:
        """Add bytes."""
        self._hash.update(data)
        self.size_bytes += len(data)
        written: int = self._stream.write(data)  # type: ignore[attr-defined]
        return written

    def restart(self) -> None:
        """Forget all bytes so far."""
        self._stream.seek(0)  # type: ignore[attr-defined]
        self._stream.truncate()  # type: ignore[attr-defined]
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def keep(self) -> str:
        """Make it a blob of the cache, and return its digest."""
        self._stream.flush()  # type: ignore[attr-defined]
        target = self._cache.path(self.digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        self._path.replace(target)
        return self.digest


def digest_of(content: bytes) -> str:
    """The digest of some bytes, `sha256:<hex>`."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@contextlib.contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """Turn what the file system says against writing into an error of ours."""
    try:
        yield
    except OSError as error:
        where = error.filename or folder
        raise ImageError(
            f"Cannot write {where}: {error.strerror or error}.",
            hint="Free space or give leave to write there; PROJ_CACHE names another folder for the cache.",
        ) from error
