"""How much of a disk folders take."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def size_bytes(folder: Path) -> int:
    """The sum of a folder's files; 0 where there is none."""
    return sum(status.st_size for status in _files(str(folder)))


def own_bytes(folder: Path) -> int:
    """The sum of those files that have no other name: what is free once the folder is gone."""
    return sum(status.st_size for status in _files(str(folder)) if status.st_nlink == 1)


def _files(folder: str) -> Iterator[os.stat_result]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path)
            else:
                yield entry.stat(follow_symlinks=False)
        except OSError:  # noqa: PERF203  files come and go while they are counted
            continue
