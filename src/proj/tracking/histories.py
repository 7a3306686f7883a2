"""Reading the history of a metric, whole or in pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.errors import UsageError
from proj.model import Metric

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from proj.tracking.store import MetricPage

_METRIC = "(SELECT id FROM latest_metrics WHERE run = ? AND key = ?)"
_COLUMNS = "step, timestamp_ms, value, is_nan"
"""The order of the primary key: a page begins where the one before ended, without a search."""


def history(connection: sqlite3.Connection, run: int, key: str, limit: int = -1) -> tuple[Metric, ...]:
    """Return the points of a metric in the order of step, then timestamp; a negative limit means all."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM points WHERE metric = {_METRIC} ORDER BY {_COLUMNS} LIMIT ?",  # noqa: S608  our own words
        (run, key, limit),
    ).fetchall()
    return _points(key, rows)


def history_page(
    connection: sqlite3.Connection, run: int, key: str, limit: int, page_token: str | None
) -> MetricPage:
    """Return a part of the history.

    Raises:
        UsageError: The limit or the page token cannot be understood.
    """
    from proj.tracking.store import MetricPage  # a run that only logs reads no pages

    if limit < 1:
        raise UsageError(f"The limit {limit} is not a positive number.")
    after: tuple[float, ...] = ()
    condition = ""
    if page_token is not None:
        condition, after = f"AND ({_COLUMNS}) > (?, ?, ?, ?)", _decode(page_token)
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM points WHERE metric = {_METRIC} {condition} ORDER BY {_COLUMNS} LIMIT ?",  # noqa: S608  our own words
        (run, key, *after, limit + 1),
    ).fetchall()
    token = None
    if len(rows) > limit:
        rows.pop()
        step, timestamp_ms, value, is_nan = rows[-1]
        token = f"{step}:{timestamp_ms}:{float(value).hex()}:{is_nan}"
    return MetricPage(points=_points(key, rows), next_page_token=token)


def _points(key: str, rows: Sequence[tuple[int, int, float, int]]) -> tuple[Metric, ...]:
    return tuple(
        Metric(key=key, value=float("nan") if is_nan else value, timestamp_ms=timestamp_ms, step=step)
        for step, timestamp_ms, value, is_nan in rows
    )


def _decode(token: str) -> tuple[int, int, float, int]:
    try:
        step, timestamp_ms, value, is_nan = token.split(":")
        return int(step), int(timestamp_ms), float.fromhex(value), int(is_nan)
    except (ValueError, OverflowError) as error:
        raise UsageError("The page token is damaged.", hint="Begin again without one.") from error
