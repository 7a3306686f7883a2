"""A comparison of two runs as text and as Markdown."""

from __future__ import annotations

import re
import shutil
import sys
from typing import TYPE_CHECKING

from proj.cli import wording
from proj.cli.output import Line, Table
from proj.compare import GROUPS, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from proj.cli.diff import DiffResult
    from proj.cli.output import Block
    from proj.compare import Row
    from proj.compare.code import FileChange

_SHORT_ID = 8
MAX_ITEM = 46
"""Characters of an item's name, and of a value, even where there is more room."""
MAX_VALUE = 46
GAP = 2
"""Blanks between the columns of a table."""
_LEAST = 10
_WIDE = 160
"""Where there is no terminal."""
_MARKS = {"added": "A", "removed": "D", "changed": "M", "mode": "T"}
_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def diff_blocks(result: DiffResult, *, show_all: bool, width: int | None = None) -> Iterator[Block]:
    """Yield a section for each group in which something differs or cannot be compared; the code in full.

    Args:
        result: The comparison.
        show_all: Whether rows that are the same are shown, too.
        width: Of the lines of tables; None: that of the terminal.
    """
    width = line_width() if width is None else width
    yield _heading(result)
    for group in GROUPS:
        rows = [row for row in result.rows if row.group == group]
        shown = rows if show_all else [row for row in rows if row.status is not Status.SAME]
        if shown or (group == "code" and (result.code or result.notes)):
            yield ""
            yield from _section(result, group, shown, width)
    alike = sum(row.status is Status.SAME for row in result.rows)
    yield ""
    if not result.different and alike == len(result.rows):
        yield f"No difference in {wording.counted(alike, 'item')}."
    elif not show_all:
        yield f"The same: {wording.counted(alike, 'item')}."
    if result.ignored:
        yield f"Ignored: {', '.join(map(wording.one_line, result.ignored))}."


def stat_blocks(result: DiffResult) -> Iterator[Block]:
    """Yield a line for each group: how many items differ, and which files of the code by how many lines."""
    yield _heading(result)
    rows = []
    for group in GROUPS:
        statuses = [row.status for row in result.rows if row.group == group]
        if statuses:
            counts = [str(statuses.count(status)) for status in Status]
            rows.append((group, *counts))
    yield ""
    numbers = ("SAME", "DIFFERENT", "NOT COMPARABLE")
    yield Table(columns=("GROUP", *numbers), rows=tuple(rows), right_aligned=frozenset(numbers))
    if result.code:
        yield ""
        yield _files(result.code)


def _heading(result: DiffResult) -> str:
    left, right = result.left, result.right
    return (
        f"A  {left.run_id[:_SHORT_ID]}  {wording.one_line(left.name)}\n"
        f"B  {right.run_id[:_SHORT_ID]}  {wording.one_line(right.name)}"
    )


def _section(result: DiffResult, group: str, rows: Sequence[Row], width: int) -> Iterator[Block]:
    if rows:
        yield _rows(group, rows, width)
    for row in rows:
        if row.reason:
            yield f"{wording.one_line(row.item)}: {wording.one_line(row.reason)}"
    if group == "code":
        for note in result.notes:
            yield f"note: {wording.one_line(note)}"
        if result.code:
            yield ""
            yield _files(result.code)
            yield from _lines(result.code)
    if group == "artifacts":
        yield from _lines(result.artifacts)


def _rows(group: str, rows: Sequence[Row], width: int) -> Table:
    remarks = [_remark(row) for row in rows]
    taken = max(map(len, remarks))
    values = [value for row in rows for value in shown_values(row)]
    item_width, value_width = column_widths(
        max(len(group), *(len(row.item) for row in rows)),
        max(map(len, values)),
        width - (taken + GAP if taken else 0),
    )
    return Table(
        columns=(group.upper(), "A", "B", ""),
        rows=tuple(
            (wording.shortened(row.item, item_width), *shown_values(row, value_width), remark)
            for row, remark in zip(rows, remarks, strict=True)
        ),
    )


def line_width() -> int:
    """How wide a table may be: as the terminal is, and a fixed width where there is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDE


def column_widths(item: int, value: int, room: int, *, values: int = 2) -> tuple[int, int]:
    """Share the room of a line between what is compared and its values; what is too long is cut.

    Args:
        item: Characters of the longest item.
        value: Characters of the longest value.
        room: Of the line.
        values: Columns of values.

    Returns:
        The width of the items, and that of each column of values.
    """
    left = room - values * GAP
    item_width = min(item, MAX_ITEM, max(left - values * value, left * 2 // 5, _LEAST))
    return item_width, min(value, MAX_VALUE, max((left - item_width) // values, _LEAST))


def _remark(row: Row) -> str:
    """What is to be said beside the values, in short."""
    parts = [row.status.value] if row.status is not Status.DIFFERENT else []
    return "; ".join(filter(None, (*parts, _delta(row))))


def _delta(row: Row) -> str | None:
    """By how much a metric has changed."""
    if row.group != "metrics" or row.left is None or row.right is None or row.left == row.right:
        return None
    left, right = float(row.left), float(row.right)
    delta = right - left
    if delta != delta or not left or abs(left) == float("inf"):  # noqa: PLR0124  NaN
        return None
    return f"{delta:+.6g} ({delta / abs(left):+.2%})"


def shown_values(row: Row, width: int = MAX_VALUE) -> tuple[str, str]:
    """Both values, cut to what fits; where they begin alike, from where they differ."""
    left, right = (None if value is None else _brief(value) for value in (row.left, row.right))
    if left is not None and right is not None and left != right and max(len(left), len(right)) > width:
        alike = next((i for i, pair in enumerate(zip(left, right, strict=False)) if pair[0] != pair[1]), 0)
        start = max(0, alike - width // 4)
        begun = "…" if start else ""
        left, right = f"{begun}{left[start:]}", f"{begun}{right[start:]}"
    empty = "none" if (row.group, row.item) == ("code", "uncommitted") else '""'
    return _shown(left, empty, width), _shown(right, empty, width)


def _brief(value: str) -> str:
    """A value in one line; of a hash, as much as tells it from others."""
    if re.fullmatch(r"sha256:[0-9a-f]{64}", value):
        return value[:19]
    if re.fullmatch(r"(commit )?([0-9a-f]{40}|[0-9a-f]{64})", value):
        return value[:-28] if len(value) < 64 else value[:19]  # noqa: PLR2004  hex digits of SHA-256
    return wording.one_line(value)


def _shown(value: str | None, empty: str, width: int) -> str:
    if value is None:
        return "-"
    return wording.shortened(value, width) if value else empty


def _files(changes: Iterable[FileChange]) -> Table:
    return Table(
        columns=("", "FILE", "LINES"),
        rows=tuple(
            (
                _MARKS[change.kind],
                wording.one_line(change.path),
                change.note or f"+{change.added} -{change.removed}",
            )
            for change in changes
        ),
    )


def _lines(changes: Iterable[FileChange]) -> Iterator[Block]:
    for change in changes:
        if change.diff:
            yield ""
        for line in change.diff:
            text = wording.harmless(line.expandtabs(4))
            colour = None if line.startswith(("+++", "---")) else _COLOURS.get(line[:1])
            yield Line("", text, "", colour) if colour else text


def markdown_lines(result: DiffResult) -> Iterator[str]:
    """Yield the lines of a Markdown page: a table of what is not the same, then the code."""
    left, right = result.left, result.right
    yield f"# `{left.run_id[:_SHORT_ID]}` and `{right.run_id[:_SHORT_ID]}`"
    yield ""
    yield f"A: {cell(left.name)} (`{left.run_id}`)  "
    yield f"B: {cell(right.name)} (`{right.run_id}`)"
    yield ""
    rows = [row for row in result.rows if row.status is not Status.SAME]
    if rows:
        yield "| group | item | A | B | |"
        yield "|---|---|---|---|---|"
        for row in rows:
            values = " | ".join(cell(value) for value in shown_values(row))
            remark = "; ".join(filter(None, (_remark(row), row.reason)))
            yield f"| {row.group} | {cell(row.item)} | {values} | {cell(remark)} |"
        yield ""
    yield f"The same: {wording.counted(len(result.rows) - len(rows), 'item')}."
    for note in result.notes:
        yield ""
        yield cell(note)
    for change in (*(result.code or ()), *result.artifacts):
        if change.diff:
            body = [wording.harmless(line.expandtabs(4)) for line in change.diff]
            longest = max((len(run) for run in re.findall("`+", "\n".join(body))), default=0)
            fence = "`" * max(3, longest + 1)
            yield ""
            yield f"{fence}diff"
            yield from body
            yield fence


def cell(text: str) -> str:
    """A text that is no markup, in one line."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", wording.one_line(text))
