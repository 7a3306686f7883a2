"""Reading the history of a metric: whole, in pages, or a sample."""

from __future__ import annotations

import math
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
        raise _bad_limit(limit)
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


def history_sample(
    connection: sqlite3.Connection, run: int, key: str, limit: int, steps: tuple[int, int] | None
) -> tuple[Metric, ...]:
    """Return at most `limit` points, evenly spread, the first and the last among them.

    SQLite counts the points and skips those between; only what is returned becomes Python's.

    Raises:
        UsageError: The limit cannot be understood.
    """
    if limit < 1:
        raise _bad_limit(limit)
    first, last = steps or (-(2**63), 2**63 - 1)
    found = connection.execute(
        f"SELECT metric, count(*) FROM points WHERE metric = {_METRIC} AND step BETWEEN ? AND ?",  # noqa: S608  our own words
        (run, key, first, last),
    ).fetchone()
    metric, count = found
    skips = f"SELECT {_COLUMNS} FROM points WHERE metric = ? AND step <= ? AND ({_COLUMNS}) > (?, ?, ?, ?) "  # noqa: S608  our own words
    skips += f"ORDER BY {_COLUMNS} LIMIT 1 OFFSET ?"
    before, rows = -1, [(first, -(2**63), -math.inf, -1)]
    for number in spread(count, limit):
        skipped = number - before - 1
        rows.append(connection.execute(skips, (metric, last, *rows[-1], skipped)).fetchone())
        before = number
    return _points(key, rows[1:])


def spread(count: int, limit: int) -> Sequence[int]:
    """Return which of `count` points to take."""
    if count <= limit:
        return range(count)
    if limit == 1:
        return (count - 1,)
    return [round(number * (count - 1) / (limit - 1)) for number in range(limit)]


def _bad_limit(limit: int) -> UsageError:
    return UsageError(f"The limit {limit} is not a positive number.")


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
