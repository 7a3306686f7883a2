"""What a snapshot leaves out so that it is not larger than allowed; found by size, without reading it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from proj.model import LeftOut
from proj.source import git
from proj.source.contents import UnfitError
from proj.source.digests import sha256
from proj.source.secretfiles import secret_by_name
from proj.source.worktree import NO_LAZY_FETCH

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from proj.source.parts import Part, Wanted

_CHUNK_BYTES = 1024**2
_HASHED_BYTES = 64 * 1024**2
"""As much is read at most, of all files together, for the sake of their digests."""
_SUBMODULE = "160000"


def leave_out_largest(parts: Sequence[Part], limit_bytes: int) -> None:
    """Leave out the largest new files until the rest is no larger than `limit_bytes`."""
    sizes = [
        (status.st_size, part.below(wanted.path), part, wanted, status)
        for part in parts
        for wanted, status in _files(part)
    ]
    total = sum(each[0] for each in sizes)
    if total <= limit_bytes:
        return
    left: list[tuple[Part, Wanted, os.stat_result]] = []
    for size, _, part, wanted, status in sorted(sizes, key=lambda each: (-each[0], each[1])):
        if total <= limit_bytes:
            break
        total -= size
        del part.wanted[wanted.path]
        left.append((part, wanted, status))
    to_read = _HASHED_BYTES
    for part, wanted, status in reversed(left):  # the smallest first: more of them can be read
        digest = None
        if status.st_size <= to_read:
            to_read -= status.st_size
            digest = _digest(part.folder / wanted.path, status.st_size)
        reason = UnfitError("limit", f"it is too large to be kept with the run ({_in_words(status.st_size)})")
        part.leave_out(wanted, reason, status, digest)


def without_commits(part: Part, size_bytes: int) -> None:
    """Keep the files of a repository on what its remote has, if anything, and not its own commits.

    Args:
        part: A repository with commits that are not pushed; its contents have not been read.
        size_bytes: How large its commits would be.
    """
    if part.tree is None or part.commit is None or part.pushed:
        return
    base = part.bases[0] if part.bases else None
    before = dict(_entries(part, base)) if base is not None else {}
    after = dict(_entries(part, part.commit))
    changed = {change.path for change in part.tree.changes}
    for path, (mode, digest) in after.items():
        if mode == _SUBMODULE or before.get(path) == (mode, digest):
            continue
        if path in part.deleted or path in part.wanted or path in changed:
            continue
        part.want_committed(path, mode, digest, is_new=path not in before)
    for path in before.keys() - after.keys() - part.wanted.keys() - part.links.keys():
        part.note(path, "deleted")
        part.deleted.add(path)
    detail = (
        f"its commits that are not pushed are too large to be kept with the run ({_in_words(size_bytes)})"
    )
    part.left_out.append(LeftOut(path=part.below("").rstrip("/") or ".", reason="commits", detail=detail))
    part.restart_from(base, before)


def _in_words(size_bytes: int) -> str:
    from proj.sizes import in_words

    return in_words(size_bytes)


def _entries(part: Part, commit: str) -> Iterator[tuple[str, tuple[str, str]]]:
    listing = git.run(
        "ls-tree", "-r", "-z", "--full-tree", commit, cwd=part.folder, exact=True, env=NO_LAZY_FETCH
    ).stdout
    for line in listing.split("\0")[:-1]:
        meta, _, path = line.partition("\t")
        mode, _, digest = meta.split(" ")
        yield path, (mode, digest)


def _files(part: Part) -> Iterator[tuple[Wanted, os.stat_result]]:
    top = os.fspath(part.folder)
    for wanted in part.wanted.values():
        try:
            status = os.lstat(f"{top}/{wanted.path}")
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode) and secret_by_name(wanted.path) is None:
            yield wanted, status


def _digest(path: Path, size: int) -> str | None:
    """The digest of a file; None if it cannot be read, or is another than it was."""
    digest = sha256()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123  a descriptor is no path
            left = size + 1
            while left > 0 and (chunk := file.read(min(left, _CHUNK_BYTES))):
                left -= len(chunk)
                digest.update(chunk)
    except OSError:
        return None
    return f"sha256:{digest.hexdigest()}" if left == 1 else None
