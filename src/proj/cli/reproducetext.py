"""How a run that was made again compares, as text that fits the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.cli import wording
from proj.cli.difftext import GAP, MAX_ITEM, MAX_VALUE, column_widths, line_width, shown_values
from proj.cli.output import Table
from proj.compare import GROUPS, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proj.cli.output import Block
    from proj.compare import Row

_MANY = 12
_OPTIONAL = "optional"


def verification_blocks(rows: Sequence[Row], width: int | None = None) -> Iterator[Block]:
    """Yield a row for each item, a value that is the same once; then what is to be said of single ones.

    A group of many items that are all the same is one row.

    Args:
        rows: What was compared.
        width: Of the lines; None: that of the terminal.
    """
    alike = {group for group in GROUPS if _is_alike([row for row in rows if row.group == group])}
    yield _table(rows, alike, line_width() if width is None else width)
    reasons = [row for row in rows if row.reason and row.group not in alike]
    if reasons:
        yield ""
    for row in reasons:
        yield f"{wording.one_line(item_of(row))}: {wording.one_line(row.reason or '')}"


def _table(rows: Sequence[Row], alike: set[str], width: int) -> Table:
    columns = ("", "ITEM", "WAS", "IS", "")
    statuses, items, was, now, optional = zip(columns, *_lines(rows, alike), strict=True)
    taken = [max(map(len, column)) for column in (statuses, optional)]
    taken += [] if any(now[1:]) else [len(now[0])]
    item_width, value_width = column_widths(
        max(map(len, items)),
        max(map(len, (*was, *now))),
        width - sum(each + GAP for each in taken if each),
        values=2 if any(now[1:]) else 1,
    )
    return Table(columns=columns, rows=tuple(_lines(rows, alike, item_width, value_width)))


def _lines(
    rows: Sequence[Row], alike: set[str], item_width: int = MAX_ITEM, value_width: int = MAX_VALUE
) -> Iterator[tuple[str, str, str, str, str]]:
    told: set[str] = set()
    for row in rows:
        if row.group not in alike:
            optional = _OPTIONAL if not row.required and row.status is not Status.SAME else ""
            item = wording.shortened(item_of(row), item_width)
            was, now = shown_values(row, value_width)
            repeated = row.status is Status.SAME and row.left == row.right
            yield row.status.value, item, was, "" if repeated else now, optional
        elif row.group not in told:
            told.add(row.group)
            number = sum(each.group == row.group for each in rows)
            yield Status.SAME.value, f"{row.group}: all {number}", "", "", ""


def _is_alike(rows: Sequence[Row]) -> bool:
    return len(rows) > _MANY and all(row.status is Status.SAME for row in rows)


def item_of(row: Row) -> str:
    """Name a row."""
    return f"{row.group}: {row.item}"
