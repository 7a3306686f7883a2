"""Writing what belongs to a run: parameters, tags, metric points; within a transaction of the caller."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from proj.errors import ParameterConflictError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from proj.model import Metric
    from proj.tracking.logged_models import ModelMetric

RUN_NAME_TAG = "mlflow.runName"
"""MLflow's clients read and write the name in both places, so they are kept in step."""

_Point = tuple[int, int, float, int]
"""step, timestamp_ms, value (0 for NaN), is_nan: the order of history, and of "latest"."""


_POINTS_AT_ONCE = 100
"""A statement for each point would take twice the time; one takes no more than 999 values everywhere."""
_ADD_POINT = "INSERT OR IGNORE INTO points (metric, step, timestamp_ms, value, is_nan) VALUES (?, ?, ?, ?, ?)"
_ADD_SEVERAL = _ADD_POINT + ", (?, ?, ?, ?, ?)" * (_POINTS_AT_ONCE - 1)


def storable(text: str) -> str:
    r"""Return `text` as it can be stored: bytes that are no UTF-8 become `\udc..` escapes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def storable_tree(value: object) -> object:
    """Return a value of lists, mappings and texts with each text as `storable` makes it."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable_tree(key): storable_tree(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [storable_tree(item) for item in value]
    return value


def optional(text: str | None) -> str | None:
    """Return `text` as it can be stored, or None."""
    return None if text is None else storable(text)


def write_params(connection: sqlite3.Connection, run: int, params: Mapping[str, str], run_id: str) -> None:
    """Add parameters of a run.

    Raises:
        ParameterConflictError: Some are there with other values.
    """
    add_params(connection, "params", "run", run, params, f"the run {run_id}")


def add_params(
    connection: sqlite3.Connection, table: str, owner: str, row: int, params: Mapping[str, str], whose: str
) -> None:
    """Add parameters of whatever has some.

    Args:
        connection: A transaction.
        table: With the columns `key`, `value` and the owner.
        owner: The column that says whose they are.
        row: The number of the row whose they are.
        params: Key -> value.
        whose: For the message.

    Raises:
        ParameterConflictError: Some are there with other values.
    """
    rows = [(row, storable(key), storable(value)) for key, value in params.items()]
    inserted = connection.executemany(
        f"INSERT OR IGNORE INTO {table} ({owner}, key, value) VALUES (?, ?, ?)",  # noqa: S608  our own words
        rows,
    )
    if inserted.rowcount == len(rows):
        return
    conflicts = []
    for _, key, value in rows:
        (there,) = connection.execute(
            f"SELECT value FROM {table} WHERE {owner} = ? AND key = ?",  # noqa: S608  our own words
            (row, key),
        ).fetchone()
        if there != value:
            conflicts.append((key, there, value))
    if conflicts:
        raise parameter_conflict(whose, tuple(conflicts))


def parameter_conflict(whose: str, conflicts: tuple[tuple[str, str, str], ...]) -> ParameterConflictError:
    """The error for parameters that are there with other values: key, recorded and refused value of each."""
    parts = [
        f"{key!r} is recorded as {there!r} and cannot become {value!r}" for key, there, value in conflicts
    ]
    noun = "parameter" if len(parts) == 1 else "parameters"
    return ParameterConflictError(
        f"Of {whose}, the {noun} {'; '.join(parts)}.",
        conflicts=conflicts,
        hint="Parameters never change: use another name, or a run of its own (a nested run).",
    )


def write_tags(connection: sqlite3.Connection, run: int, tags: Mapping[str, str]) -> None:
    """Set tags; a tag that is there gets the new value."""
    connection.executemany(
        "INSERT INTO tags (run, key, value) VALUES (?, ?, ?) "
        "ON CONFLICT (run, key) DO UPDATE SET value = excluded.value",
        [(run, storable(key), storable(value)) for key, value in tags.items()],
    )
    if RUN_NAME_TAG in tags:
        connection.execute("UPDATE runs SET name = ? WHERE id = ?", (storable(tags[RUN_NAME_TAG]), run))


def put_values(
    connection: sqlite3.Connection, table: str, owner: str, row: int, values: Mapping[str, str]
) -> None:
    """Write keys and values of a row of another table, such as its tags; a key that is there is overwritten.

    Args:
        connection: A transaction.
        table: With the columns `key`, `value` and the owner.
        owner: The column that says whose they are.
        row: The number of the row whose they are.
        values: Key -> value.
    """
    connection.executemany(
        f"INSERT OR REPLACE INTO {table} ({owner}, key, value) VALUES (?, ?, ?)",  # noqa: S608  our own words
        [(row, storable(key), storable(value)) for key, value in values.items()],
    )


def add_values(
    connection: sqlite3.Connection, table: str, owner: str, row: int, values: Mapping[str, str]
) -> int:
    """Write what `put_values` writes, but for keys that are there; return how many were not."""
    return connection.executemany(
        f"INSERT OR IGNORE INTO {table} ({owner}, key, value) VALUES (?, ?, ?)",  # noqa: S608  our own words
        [(row, storable(key), storable(value)) for key, value in values.items()],
    ).rowcount


def take_values(connection: sqlite3.Connection, table: str, owner: str, row: int, keys: Sequence[str]) -> int:
    """Remove what `put_values` wrote; return how many of the keys were there."""
    return connection.executemany(
        f"DELETE FROM {table} WHERE {owner} = ? AND key = ?",  # noqa: S608  our own words
        [(row, storable(key)) for key in keys],
    ).rowcount


def write_metrics(connection: sqlite3.Connection, run: int, metrics: Sequence[Metric]) -> int:
    """Add points to the history, and keep the latest of each metric in step; return how many are new."""
    by_key: dict[str, list[_Point]] = {}
    of_models: list[tuple[object, ...]] = []
    for metric in metrics:
        point = _point(metric)
        key = storable(metric.key)
        by_key.setdefault(key, []).append(point)
        if metric.model_id is not None:
            dataset = (storable(metric.dataset_name or ""), storable(metric.dataset_digest or ""))
            of_models.append((storable(metric.model_id), key, run, *point, *dataset))
    new = 0
    for key, points in by_key.items():
        number = _advance_latest(connection, run, key, max(points))
        new += _add_points(connection, number, points)
    if of_models:
        _write_points_of_models(connection, of_models)
    return new


def _add_points(connection: sqlite3.Connection, number: int, points: Sequence[_Point]) -> int:
    """Add points to the history of the metric with that row number; return how many are new."""
    new = 0
    several = len(points) - len(points) % _POINTS_AT_ONCE
    for start in range(0, several, _POINTS_AT_ONCE):
        some = points[start : start + _POINTS_AT_ONCE]
        values = [value for point in some for value in (number, *point)]
        new += connection.execute(_ADD_SEVERAL, values).rowcount
    rest = [(number, *point) for point in points[several:]]
    return new + (connection.executemany(_ADD_POINT, rest).rowcount if rest else 0)


def write_model_metrics(connection: sqlite3.Connection, model_id: str, metrics: Sequence[ModelMetric]) -> int:
    """Add what runs measured of a logged model; return how many points are new.

    Points of runs that are not here are left out.
    """
    rows: dict[str, int | None] = {}
    for run_id in {each.run_id for each in metrics}:
        found = connection.execute("SELECT id FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        rows[run_id] = None if found is None else found[0]
    return _write_points_of_models(
        connection,
        [
            (
                storable(model_id),
                storable(each.metric.key),
                rows[each.run_id],
                *_point(each.metric),
                storable(each.metric.dataset_name or ""),
                storable(each.metric.dataset_digest or ""),
            )
            for each in metrics
            if rows[each.run_id] is not None
        ],
    )


def _write_points_of_models(connection: sqlite3.Connection, points: Sequence[tuple[object, ...]]) -> int:
    return connection.executemany(
        "INSERT OR IGNORE INTO logged_model_metrics "
        "(model_id, key, run, step, timestamp_ms, value, is_nan, dataset_name, dataset_digest) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        points,
    ).rowcount


def _point(metric: Metric) -> _Point:
    value = float(metric.value)
    is_nan = math.isnan(value)
    return metric.step, metric.timestamp_ms, 0.0 if is_nan else value, int(is_nan)


def _advance_latest(connection: sqlite3.Connection, run: int, key: str, newest: _Point) -> int:
    """Make `newest` the metric's latest point if it is later; return the metric's row number."""
    row = connection.execute(
        "SELECT id, step, timestamp_ms, value FROM latest_metrics WHERE run = ? AND key = ?", (run, key)
    ).fetchone()
    if row is None:
        cursor = connection.execute(
            "INSERT INTO latest_metrics (run, key, step, timestamp_ms, value, is_nan) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (run, key, *newest),
        )
        number = cursor.lastrowid
        assert number is not None  # noqa: S101  an INSERT that succeeds has a row number
        return number
    # Among points of the same step and time NaN counts as 0, as MLflow's SQL store has it.
    if newest[:3] > row[1:]:
        connection.execute(
            "UPDATE latest_metrics SET step = ?, timestamp_ms = ?, value = ?, is_nan = ? WHERE id = ?",
            (*newest, row[0]),
        )
    existing: int = row[0]
    return existing
