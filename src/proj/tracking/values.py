"""Writing what belongs to a run: parameters, tags, metric points; within a transaction of the caller."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from proj.errors import ParameterConflictError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from proj.model import Metric

RUN_NAME_TAG = "mlflow.runName"
"""MLflow's clients read and write the name in both places, so they are kept in step."""

_Point = tuple[int, int, float, int]
"""step, timestamp_ms, value (0 for NaN), is_nan: the order of history, and of "latest"."""


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
        raise _conflict(whose, tuple(conflicts))


def _conflict(whose: str, conflicts: tuple[tuple[str, str, str], ...]) -> ParameterConflictError:
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


def take_values(connection: sqlite3.Connection, table: str, owner: str, row: int, keys: Sequence[str]) -> int:
    """Remove what `put_values` wrote; return how many of the keys were there."""
    return connection.executemany(
        f"DELETE FROM {table} WHERE {owner} = ? AND key = ?",  # noqa: S608  our own words
        [(row, storable(key)) for key in keys],
    ).rowcount


def write_metrics(connection: sqlite3.Connection, run: int, metrics: Sequence[Metric]) -> None:
    """Add points to the history, and keep the latest of each metric in step."""
    by_key: dict[str, list[_Point]] = {}
    of_models: list[tuple[object, ...]] = []
    for metric in metrics:
        value = float(metric.value)
        is_nan = math.isnan(value)
        point = (metric.step, metric.timestamp_ms, 0.0 if is_nan else value, int(is_nan))
        key = storable(metric.key)
        by_key.setdefault(key, []).append(point)
        if metric.model_id is not None:
            dataset = (storable(metric.dataset_name or ""), storable(metric.dataset_digest or ""))
            of_models.append((storable(metric.model_id), key, run, *point, *dataset))
    for key, points in by_key.items():
        number = _advance_latest(connection, run, key, max(points))
        connection.executemany(
            "INSERT OR IGNORE INTO points (metric, step, timestamp_ms, value, is_nan) VALUES (?, ?, ?, ?, ?)",
            [(number, *point) for point in points],
        )
    if of_models:
        connection.executemany(
            "INSERT OR IGNORE INTO logged_model_metrics "
            "(model_id, key, run, step, timestamp_ms, value, is_nan, dataset_name, dataset_digest) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            of_models,
        )


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
