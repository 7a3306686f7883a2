"""How a run that was made again compares, as text that fits the terminal."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from proj.cli import wording
from proj.cli.difftext import shown_values
from proj.cli.output import Table
from proj.compare import GROUPS, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from proj.cli.output import Block
    from proj.compare import Row

_MANY = 12
_MAX_ITEM = 40
_MAX_VALUE = 46
_LEAST = 10
_WIDE = 160
"""Where there is no terminal."""
_OPTIONAL = "optional"
_AROUND = len(Status.NOT_COMPARABLE.value) + len(_OPTIONAL) + 4 * 2
"""What the other columns take, and the blanks between all five."""


def verification_blocks(rows: Sequence[Row], width: int | None = None) -> Iterator[Block]:
    """Yield a row for each item, a value that is the same once; then what is to be said of single ones.

    A group of many items that are all the same is one row.

    Args:
        rows: What was compared.
        width: Of the lines; None: that of the terminal.
    """
    if width is None:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDE
    room = max(width - _AROUND, 3 * _LEAST)
    item_width = min(_MAX_ITEM, room * 2 // 5)
    value_width = min(_MAX_VALUE, (room - item_width) // 2)
    alike = {group for group in GROUPS if _is_alike([row for row in rows if row.group == group])}
    yield Table(
        columns=("", "ITEM", "WAS", "IS", ""),
        rows=tuple(_lines(rows, alike, item_width, value_width)),
    )
    reasons = [row for row in rows if row.reason and row.group not in alike]
    if reasons:
        yield ""
    for row in reasons:
        yield f"{wording.one_line(item_of(row))}: {wording.one_line(row.reason or '')}"


def _lines(
    rows: Sequence[Row], alike: set[str], item_width: int, value_width: int
) -> Iterator[tuple[str, ...]]:
    told: set[str] = set()
    for row in rows:
        if row.group not in alike:
            optional = _OPTIONAL if not row.required and row.status is not Status.SAME else ""
            item = wording.shortened(item_of(row), item_width)
            yield row.status.value, item, *_values(row, value_width), optional
        elif row.group not in told:
            told.add(row.group)
            number = sum(each.group == row.group for each in rows)
            yield Status.SAME.value, f"{row.group}: all {number}", "", "", ""


def _values(row: Row, width: int) -> Iterable[str]:
    was, now = (wording.shortened(value, width) for value in shown_values(row, width))
    return was, "" if row.status is Status.SAME and row.left == row.right else now


def _is_alike(rows: Sequence[Row]) -> bool:
    return len(rows) > _MANY and all(row.status is Status.SAME for row in rows)


def item_of(row: Row) -> str:
    """Name a row."""
    return f"{row.group}: {row.item}"
