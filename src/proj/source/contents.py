"""Files as they are on disk, read once: what is looked at is what is stored."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Literal

import msgspec

from proj.source.digests import sha1, sha256

if TYPE_CHECKING:
    from pathlib import Path

_TRIES = 3
_EXECUTABLE = 0o100
LITTLE_BYTES = 1024
"""Git LFS's pointers are smaller, by their specification."""


class Content(msgspec.Struct, frozen=True):
    """A file's bytes, or a link's target, with git's mode."""

    mode: str
    data: bytes


class UnfitError(Exception):
    """A path holds nothing that git could store.

    Args:
        reason: As in `LeftOut`.
        detail: As in `LeftOut`.
    """

    def __init__(
        self,
        reason: Literal["secret", "ignored", "unreadable", "special", "repository", "limit"],
        detail: str,
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def read_file(path: Path) -> Content | None:
    """Read what is at `path`, without following a link; None if it is gone.

    A file that changes meanwhile is read again, a few times.

    Raises:
        UnfitError: It is neither a file nor a link, or may not be read.
    """
    try:
        for _ in range(_TRIES):
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode):
                return Content("120000", os.fsencode(path.readlink()))
            if not stat.S_ISREG(status.st_mode):
                break
            mode = "100755" if status.st_mode & _EXECUTABLE else "100644"
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb") as file:  # noqa: PTH123  a descriptor is no path
                before = os.fstat(descriptor)
                data = file.read()
                after = os.fstat(descriptor)
            if (before.st_mtime_ns, len(data)) == (after.st_mtime_ns, after.st_size):
                return Content(mode, data)
        else:
            return Content(mode, data)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UnfitError("unreadable", f"it cannot be read: {error.strerror}") from error
    raise UnfitError("special", "it is neither a file nor a link")


def size_of(path: Path) -> int:
    """Bytes of the file at `path`; 0 for anything else."""
    try:
        status = path.lstat()
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def blob_hash(data: bytes, digits: int) -> str:
    """The name that git gives to bytes.

    Args:
        data: A file's content.
        digits: 40 in a repository of SHA-1, 64 in one of SHA-256.
    """
    return object_hash(b"blob", data, digits)


def object_hash(kind: bytes, data: bytes, digits: int) -> str:
    """The name that git gives to an object; see `blob_hash`."""
    digest = sha1() if digits == 40 else sha256()  # noqa: PLR2004  hex digits of SHA-1
    digest.update(b"%s %d\0" % (kind, len(data)))
    digest.update(data)
    return digest.hexdigest()
