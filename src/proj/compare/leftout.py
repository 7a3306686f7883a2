"""Rows of files that ran and are not kept with a run: the hash of its tree says nothing of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.compare.rows import Row, Status
from proj.sizes import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proj.compare.facts import SourceFacts
    from proj.model import LeftOut

_MOST_NAMED = 5
_REASONS = (
    (Status.DIFFERENT, "differing: {}"),
    (Status.NOT_COMPARABLE, "content not known, or left out of one run only: {}"),
)


def left_out_rows(left: SourceFacts | None, right: SourceFacts | None) -> Iterator[Row]:
    """Yield a row of all files that were left out of either run; none where there are none."""
    one, other = _missed(left), _missed(right)
    if not one and not other:
        return
    found: dict[Status, list[str]] = {status: [] for status in Status}
    for path in sorted({*one, *other}):
        found[_status(one.get(path), other.get(path))].append(path)
    told = [text.format(named(found[status])) for status, text in _REASONS if found[status]]
    worst = next((status for status, _ in _REASONS if found[status]), Status.SAME)
    yield Row(
        group="code",
        item="left out",
        status=worst,
        left=_shown(one),
        right=_shown(other),
        reason="; ".join(told) or None,
        required=True,
    )


def large_file_rows(left: SourceFacts | None, right: SourceFacts | None) -> Iterator[Row]:
    """Yield a row of the files of Git LFS, where their content was there: the tree has their pointers."""
    snapshots = [source.snapshot if source is not None else None for source in (left, right)]
    if snapshots[0] is None or snapshots[1] is None:
        return
    one, other = ({*snapshot.large_files} for snapshot in snapshots if snapshot is not None)
    if one or other:
        apart = named(sorted(one ^ other))
        yield Row(
            group="code",
            item="large files",
            status=Status.DIFFERENT if apart else Status.SAME,
            left=named(sorted(one)) or "pointers",
            right=named(sorted(other)) or "pointers",
            reason=f"in one of the runs a pointer of Git LFS was in place of: {apart}" if apart else None,
            required=True,
        )


def _missed(source: SourceFacts | None) -> Mapping[str, LeftOut]:
    snapshot = source.snapshot if source is not None else None
    return {left.path: left for left in snapshot.left_out if left.missed} if snapshot is not None else {}


def _status(one: LeftOut | None, other: LeftOut | None) -> Status:
    if one is None or other is None:
        return Status.NOT_COMPARABLE
    if one.absent or other.absent:
        return Status.SAME if one.absent and other.absent else Status.NOT_COMPARABLE
    for before, after in ((one.digest, other.digest), (one.size_bytes, other.size_bytes)):
        if before is not None and after is not None and before != after:
            return Status.DIFFERENT
    return Status.SAME if one.digest is not None and one.digest == other.digest else Status.NOT_COMPARABLE


def _shown(missed: Mapping[str, LeftOut]) -> str | None:
    return ", ".join(_described(left) for left in missed.values()) or None


def _described(left: LeftOut) -> str:
    if left.absent:
        return f"{left.path} (was not there)"
    known = [in_words(left.size_bytes)] if left.size_bytes is not None else []
    known += [left.digest] if left.digest is not None else []
    return f"{left.path} ({', '.join(known)})" if known else left.path


def named(paths: list[str]) -> str:
    """Name the first of some files, and say how many more there are."""
    more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
    return f"{', '.join(paths[:_MOST_NAMED])}{more}"
