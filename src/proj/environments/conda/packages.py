"""The conda packages in the cache: how many there are, and which of them no environment is made of.

Environments are hard links to them, so removing one takes nothing from an environment: it would only have to
be downloaded again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

import msgspec

from proj import files
from proj.environments.conda.explicit import entries, name_version_build
from proj.environments.conda.service import cache_folder, lock_file
from proj.environments.usage import size_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_REMOVED = "removed-"


class CachedPackages(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of conda packages, or was removed of it."""

    directory: str
    count: int
    size_bytes: int


def no_packages() -> CachedPackages:
    """None at all."""
    return _sum(())


def cached_packages() -> CachedPackages:
    """What there is."""
    return _sum(_packages())


def remove_packages(used_by: Iterable[str], *, everything: bool, dry_run: bool) -> CachedPackages | None:
    """Remove the packages that no environment is made of.

    Args:
        used_by: The locks of the environments that stay.
        everything: Remove all, and what is known of channels and packages besides.
        dry_run: Only say what would go.

    Returns:
        What is gone, or would be; None where packages are being installed and nothing goes.
    """
    used = {
        "-".join(name_version_build(entry.url)) for text in used_by for entry in entries(text) if entry.url
    }
    gone = [path for path in _packages() if everything or path.name not in used]
    if not gone and not (everything and cache_folder().is_dir()):
        return no_packages()
    try:
        descriptor = files.try_lock(lock_file())
    except OSError:
        descriptor = None
    if descriptor is None:
        return None
    try:
        found = _sum(gone)
        if not dry_run:
            rest = (cache_folder() / name for name in ("index", "repodata", "packages"))
            _remove([*gone, *(rest if everything else ())])
        return found
    finally:
        os.close(descriptor)


def _packages() -> list[Path]:
    try:
        return sorted(path for path in (cache_folder() / "packages").iterdir() if path.is_dir())
    except OSError:
        return []


def _sum(paths: Iterable[Path]) -> CachedPackages:
    sizes = [size_bytes(path) for path in paths]
    return CachedPackages(directory=str(cache_folder()), count=len(sizes), size_bytes=sum(sizes))


def _remove(paths: Iterable[Path]) -> None:
    """Remove folders, each of them whole or not at all: rattler would take what is left for a package."""
    for path in paths:
        with contextlib.suppress(OSError):
            path.rename(cache_folder() / f"{_REMOVED}{os.urandom(4).hex()}")
    for path in cache_folder().glob(f"{_REMOVED}*"):
        shutil.rmtree(path, ignore_errors=True)
