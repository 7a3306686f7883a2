"""Private checkouts: folders below the cache that belong to one run, and go with it.

`checkouts/<id>.lock` is held (flock, shared) by every process that needs `checkouts/<id>/`; a checkout whose
lock nobody holds is stale, unless `<id>.kept` says that the user may want to look at it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import time
from typing import TYPE_CHECKING

from proj import paths
from proj.source.files import make_folder, os_failure, remove_tree

if TYPE_CHECKING:
    from pathlib import Path

_held: dict[str, int] = {}
"""Id -> the descriptor whose lock says that this process needs the checkout."""


def allocate(name: str) -> Path:
    """Create an empty folder of this process's own, called `name` as far as a file system allows.

    Those of processes that are gone are removed on the way.

    Raises:
        SourceError: The cache cannot be written.
    """
    base = _base()
    make_folder(base)
    prune()
    while True:
        identifier = secrets.token_hex(6)
        if _hold(base, identifier, create=True):
            break
    tree = base / identifier / folder_name(name)
    try:
        tree.mkdir(parents=True)
    except OSError as error:
        discard(tree)
        raise os_failure(error, f"Cannot create {tree}") from error
    return tree


def folder_name(name: str) -> str:
    """A name as that of a folder, which leads nowhere else and is no option: a run has any name."""
    plain = re.sub(r"[^\w.+@ -]+", "-", name)[:80].lstrip(".-").rstrip()
    return plain.encode("utf-8", "ignore")[:200].decode("utf-8", "ignore") or "project"


def hold(root: Path) -> bool:
    """Take a share in a checkout, so that it stays while this process lives. False if it is gone.

    For a supervisor that takes a run over: it holds before the process that made the checkout ends.
    """
    identifier = _identifier(root)
    return identifier is not None and (identifier in _held or _hold(_base(), identifier, create=False))


def lock_descriptor(root: Path) -> int | None:
    """The open file whose lock says that this process needs a checkout; None for any other path.

    A process that inherits it holds the checkout from its start on.
    """
    identifier = _identifier(root)
    return None if identifier is None else _held.get(identifier)


def keep(root: Path) -> None:
    """Let a checkout stay when its run is over, for `prune` to remove by age."""
    identifier = _identifier(root)
    if identifier is None:
        return
    with contextlib.suppress(OSError):
        (_base() / f"{identifier}.kept").touch()
    _let_go(identifier)


def discard(root: Path) -> None:
    """Remove a checkout; anything that is none is left alone. Nothing there is no error."""
    identifier = _identifier(root)
    if identifier is None:
        return
    base = _base()
    if (base / identifier).is_dir():
        remove_tree(base / identifier)
    for suffix in (".kept", ".lock"):
        with contextlib.suppress(OSError):
            (base / f"{identifier}{suffix}").unlink()
    _let_go(identifier)


def prune(*, kept_older_than_s: float | None = None) -> int:
    """Remove the checkouts of processes that are gone, and kept ones of a certain age.

    Args:
        kept_older_than_s: Age in seconds from which kept checkouts go too; None: they stay.

    Returns:
        How many were removed.
    """
    base = _base()
    try:
        names = [entry.name for entry in base.iterdir()]
    except OSError:
        return 0
    removed = 0
    for identifier in sorted({name.partition(".")[0] for name in names}):
        kept = base / f"{identifier}.kept"
        if identifier in _held or _is_young(kept, kept_older_than_s):
            continue
        removed += _remove_stale(base, identifier)
    return removed


def _is_young(kept: Path, older_than_s: float | None) -> bool:
    try:
        age_s = time.time() - kept.stat().st_mtime
    except OSError:
        return False
    return older_than_s is None or age_s < older_than_s


def _remove_stale(base: Path, identifier: str) -> bool:
    lock = base / f"{identifier}.lock"
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is_same_file(lock, descriptor):
            return False
        remove_tree(base / identifier)
        (base / f"{identifier}.kept").unlink(missing_ok=True)
        lock.unlink()
    except OSError:  # in use, or another user's
        return False
    else:
        return True
    finally:
        os.close(descriptor)


def _hold(base: Path, identifier: str, *, create: bool) -> bool:
    lock = base / f"{identifier}.lock"
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if create else 0)
    try:
        descriptor = os.open(lock, flags, 0o600)
    except (FileExistsError, FileNotFoundError):
        return False
    except OSError as error:
        raise os_failure(error, f"Cannot write {lock}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        # between our open and our lock, a pruning process may have taken it for stale
        if not _is_same_file(lock, descriptor) or (not create and not (base / identifier).is_dir()):
            os.close(descriptor)
            return False
    except BlockingIOError:
        os.close(descriptor)
        return False
    _held[identifier] = descriptor
    return True


def _let_go(identifier: str) -> None:
    descriptor = _held.pop(identifier, None)
    if descriptor is not None:
        os.close(descriptor)


def _is_same_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def _base() -> Path:
    return paths.cache() / "checkouts"


def _identifier(root: Path) -> str | None:
    """The id of the checkout that holds `root`; None for a path that is no checkout's."""
    base = _base()
    for parent, candidate in ((base, root), (base.resolve(), root.resolve())):
        if candidate.is_relative_to(parent):
            parts = candidate.relative_to(parent).parts
            if parts and ".." not in parts and re.fullmatch(r"[0-9a-f]{12}", parts[0]):
                return parts[0]
    return None
