"""Git's hash of the files in a folder, computed from what is on disk without git."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from proj.source.contents import blob_hash, object_hash

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FOLDER = b"40000"


def hash_tree(folder: Path, links: Mapping[str, str], *, digits: int = 40) -> str:
    """The hash that `git write-tree` would give the files below `folder`, byte for byte as they are.

    Args:
        folder: Any folder; its own `.git` does not count.
        links: Path of a submodule relative to `folder` -> the commit that stands for it.
        digits: 40 for SHA-1, 64 for SHA-256.

    Raises:
        OSError: Something in it cannot be read.
    """
    found = _hash_folder(os.fspath(folder), "", links, digits)
    return found if found is not None else object_hash(b"tree", b"", digits)


def _hash_folder(folder: str, below: str, links: Mapping[str, str], digits: int) -> str | None:
    """The hash of a folder; None for one without files, which git does not keep."""
    entries: list[tuple[bytes, bytes, str]] = []
    with os.scandir(folder) as listing:
        for entry in listing:
            path = f"{below}{entry.name}"
            if path == ".git":
                continue
            found = _hash_entry(entry, path, links, digits)
            if found is not None:
                entries.append((os.fsencode(entry.name), *found))
    if not entries:
        return None
    # git sorts folders as if their names ended with a slash
    entries.sort(key=lambda each: each[0] + b"/" if each[1] == _FOLDER else each[0])
    data = b"".join(b"%s %s\0%s" % (mode, name, bytes.fromhex(digest)) for name, mode, digest in entries)
    return object_hash(b"tree", data, digits)


def _hash_entry(
    entry: os.DirEntry[str], path: str, links: Mapping[str, str], digits: int
) -> tuple[bytes, str] | None:
    if path in links:
        return b"160000", links[path]
    status = entry.stat(follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):
        digest = _hash_folder(entry.path, f"{path}/", links, digits)
        return None if digest is None else (_FOLDER, digest)
    if stat.S_ISLNK(status.st_mode):
        return b"120000", blob_hash(os.fsencode(os.readlink(entry.path)), digits)  # noqa: PTH115  a str from scandir
    with open(entry.path, "rb") as file:  # noqa: PTH123  a str from scandir
        data = file.read()
    return b"100755" if status.st_mode & 0o100 else b"100644", blob_hash(data, digits)
