"""The schema of `proj.db`, as the ordered changes that lead to it.

The number of changes already made is the database's `user_version`; it moves in the same transaction as the
change, so a process killed in between leaves the one state or the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.errors import StoreError
from proj.tracking.changes import add_models, add_places

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

# Rows of runs are keyed by a small number inside, and lie next to each other (WITHOUT ROWID): what belongs to
# a run is read in one stretch. There are no foreign keys, whose check would cost a lookup for each metric
# point: rows are removed in one place, `SqliteRunStore.purge_runs`.
_INITIAL = (
    # AUTOINCREMENT: the id of an experiment that is gone is never given again, since clients keep them.
    """CREATE TABLE experiments (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        created_ms INTEGER NOT NULL,
        updated_ms INTEGER NOT NULL,
        deleted_ms INTEGER
    )""",
    """CREATE TABLE experiment_tags (
        experiment INTEGER NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (experiment, key)
    ) WITHOUT ROWID""",
    """CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        run_id TEXT NOT NULL UNIQUE,
        experiment INTEGER NOT NULL,
        name TEXT NOT NULL,
        user TEXT NOT NULL,
        status TEXT NOT NULL,
        started_ms INTEGER NOT NULL,
        ended_ms INTEGER,
        deleted_ms INTEGER
    )""",
    "CREATE INDEX runs_by_start ON runs (started_ms DESC, run_id)",
    "CREATE INDEX runs_by_experiment ON runs (experiment, started_ms DESC, run_id)",
    "CREATE INDEX runs_by_status ON runs (status, started_ms DESC, run_id)",
    "CREATE INDEX runs_by_name ON runs (name)",
    """CREATE TABLE params (
        run INTEGER NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (run, key)
    ) WITHOUT ROWID""",
    "CREATE INDEX params_by_value ON params (key, value)",
    """CREATE TABLE tags (
        run INTEGER NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (run, key)
    ) WITHOUT ROWID""",
    "CREATE INDEX tags_by_value ON tags (key, value)",
    # A metric of a run, with its latest point. SQLite keeps no NaN: the value is 0 and `is_nan` 1, as MLflow.
    """CREATE TABLE latest_metrics (
        id INTEGER PRIMARY KEY,
        run INTEGER NOT NULL,
        key TEXT NOT NULL,
        step INTEGER NOT NULL,
        timestamp_ms INTEGER NOT NULL,
        value REAL NOT NULL,
        is_nan INTEGER NOT NULL,
        UNIQUE (run, key)
    )""",
    "CREATE INDEX latest_metrics_by_value ON latest_metrics (key, is_nan, value, run)",
    # The whole point is the key: the same point logged twice is one, and history comes out in order.
    """CREATE TABLE points (
        metric INTEGER NOT NULL,
        step INTEGER NOT NULL,
        timestamp_ms INTEGER NOT NULL,
        value REAL NOT NULL,
        is_nan INTEGER NOT NULL,
        PRIMARY KEY (metric, step, timestamp_ms, value, is_nan)
    ) WITHOUT ROWID""",
    # MLflow's clients take experiment 0 for granted.
    """INSERT INTO experiments (id, name, created_ms, updated_ms) VALUES (
        0, 'Default',
        CAST(strftime('%s', 'now') AS INTEGER) * 1000,
        CAST(strftime('%s', 'now') AS INTEGER) * 1000
    )""",
)


def _create(connection: sqlite3.Connection) -> None:
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables:
        raise StoreError("it holds tables that proj did not make")
    for statement in _INITIAL:
        connection.execute(statement)


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_create, add_places, add_models)
"""Change number n leads from schema n to schema n + 1. Only ever append."""


def schema_version(connection: sqlite3.Connection) -> int:
    """Return the number of the database's schema; 0 for an empty database."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def refuse_newer(version: int, path: Path) -> None:
    """Raise if the database has a schema that this program does not know.

    Raises:
        StoreError: It was written by a newer version.
    """
    if version > len(MIGRATIONS):
        raise StoreError(
            f"PROJ_HOME {path.parent} was written by a newer proj "
            f"(schema {version}, this one knows {len(MIGRATIONS)}): upgrade proj.",
            hint="Or set PROJ_HOME to another folder.",
        )


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the database to the newest schema, within a write transaction of the caller.

    Raises:
        StoreError: The database is another program's, or a newer version's.
    """
    version = schema_version(connection)  # again: another process may have been quicker
    refuse_newer(version, path)
    for number, change in enumerate(MIGRATIONS[version:], start=version + 1):
        try:
            change(connection)
        except StoreError as error:
            raise StoreError(
                f"{path} is no database of proj: {error.message}.",
                hint="Set PROJ_HOME to another folder.",
            ) from error
        connection.execute(f"PRAGMA user_version = {number}")
