"""Files that several processes share: locks that end with their holder, and content that appears whole."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def lock(
    path: Path, *, shared: bool = False, create: bool = True, on_wait: Callable[[], None] | None = None
) -> int:
    """Lock a file, which others may remove while they hold it; wait for them.

    Args:
        path: The lock file.
        shared: Let others have a shared lock too.
        create: Whether it is made, with its folder, where it is not there.
        on_wait: Called once before waiting.

    Returns:
        The descriptor that has the lock until it is closed, by the kernel at the latest.

    Raises:
        OSError: It cannot be opened; without `create`, also if it is not there.
    """
    while True:
        descriptor = _open(path, create=create)
        try:
            mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            try:
                fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
            except BlockingIOError:
                if on_wait is not None:
                    on_wait()
                fcntl.flock(descriptor, mode)
            if _is_at(path, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # removed between opening and locking: begin again


def try_lock(path: Path) -> int | None:
    """Lock a file exclusively, as `lock` does, if nobody else holds it; else None."""
    while True:
        descriptor = _open(path, create=True)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(path, descriptor):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def write_whole(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write a file such that readers see all of it, or what was there before.

    Args:
        path: The file; its folder is made.
        content: All of it.
        private: Whether the user alone may read it.

    Raises:
        OSError: It cannot be written; nothing is left of it.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(0o600 if private else 0o666)
        temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def make_private(folder: Path) -> None:
    """Make a folder that the user alone can look into, with those above it that are not there either.

    Raises:
        OSError: It cannot be made.
    """
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_dir():
            raise
    except FileNotFoundError:
        if folder.parent.is_dir():  # such as /proc, where nothing can be made
            raise
        make_private(folder.parent)
        make_private(folder)


def _open(path: Path, *, create: bool) -> int:
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
