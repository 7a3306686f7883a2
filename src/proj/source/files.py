"""Small file work that the modules of this package share: locks, removal, what an OSError means."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING

from proj import events, files
from proj.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def locked(path: Path, waiting_for: str) -> Iterator[None]:
    """Hold the exclusive lock of `path`; the kernel releases it when this process ends, however that is."""
    make_folder(path.parent)
    try:
        descriptor = files.lock(path, on_wait=lambda: events.step(f"Waiting for another run: {waiting_for}"))
    except OSError as error:
        raise os_failure(error, f"Cannot write {path}") from error
    try:
        yield
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Create a folder and its parents.

    Raises:
        SourceError: It cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise os_failure(error, f"Cannot create {path}") from error


def remove_tree(path: Path) -> None:
    """Remove a folder with all in it, read-only folders too, without following links; warn if that fails."""
    import shutil

    for _ in range(3):  # a helper of a stopped git may still write for a moment
        shutil.rmtree(path, ignore_errors=True)
        if not os.path.lexists(path):
            return
        with contextlib.suppress(OSError):
            for folder, _folders, _files in os.walk(path):
                mode = os.lstat(folder).st_mode
                os.chmod(folder, stat.S_IMODE(mode) | stat.S_IRWXU)  # noqa: PTH101  a str from os.walk
    events.warning(f"Cannot remove {path}. Remove it by hand when nothing uses it.")


def free_bytes(path: Path) -> int:
    """How much this user may still write to the disk that holds `path`."""
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


def os_failure(error: OSError, what: str) -> SourceError:
    """The error for a file operation that failed."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SourceError(
            f"{what}: the disk is full.", hint="Free space, or set PROJ_CACHE to a folder on another disk."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return SourceError(f"{what}: no permission.", hint="Check who owns it, or set PROJ_CACHE elsewhere.")
    return SourceError(f"{what}: {error.strerror or error}")
