"""The run store in `proj.db`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.errors import ConflictError
from proj.model import RunStatus
from proj.tracking.naming import new_run_id
from proj.tracking.records import (
    ALIVE,
    MADE_BY_TAGS,
    MAX_LISTED,
    PARENT_TAG,
    active_run,
    chosen_run,
    load_runs,
    run_prefix,
    run_row,
)
from proj.tracking.sqlite_experiments import SqliteExperiments, active_experiment, now_ms
from proj.tracking.values import RUN_NAME_TAG, storable, write_metrics, write_params, write_tags

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from proj.model import Metric, NewRun, RunRecord
    from proj.tracking.database import Database
    from proj.tracking.store import Lifecycle, MetricPage, RunPage, RunQuery, RunStore


_NOT_MADE = "NOT EXISTS (SELECT 1 FROM tags WHERE tags.run = runs.id AND tags.key IN (?, ?))"
_MAX_DEPTH = 64
"""Runs that are each other's parents end there."""
_PURGE = (
    "DELETE FROM points WHERE metric IN (SELECT id FROM latest_metrics WHERE run = ?)",
    "DELETE FROM latest_metrics WHERE run = ?",
    "DELETE FROM params WHERE run = ?",
    "DELETE FROM tags WHERE run = ?",
    "DELETE FROM input_tags WHERE input IN (SELECT id FROM inputs WHERE run = ?)",
    "DELETE FROM inputs WHERE run = ?",
    "DELETE FROM model_inputs WHERE run = ?",
    "DELETE FROM model_outputs WHERE run = ?",
    "DELETE FROM logged_model_metrics WHERE run = ?",
    "DELETE FROM runs WHERE id = ?",
)


class SqliteRunStore(SqliteExperiments):
    """A `RunStore` in one SQLite file; safe for many threads and many processes.

    Args:
        database: The open database; `close` closes it.
        artifact_base: URI of the folder that holds one folder of artifacts for each run.
        artifact_root: URI of the folder that new runs get theirs in; None: `artifact_base`.
    """

    def __init__(self, database: Database, artifact_base: str, artifact_root: str | None = None) -> None:
        super().__init__(database, artifact_base, artifact_root or artifact_base)
        # Runs in the folder of the store say no more than their id, so that it can be moved.
        self._elsewhere = artifact_root if artifact_root != artifact_base else None

    # --- runs -----------------------------------------------------------------------------------------

    def create_run(self, new: NewRun) -> RunRecord:
        """See `RunStore.create_run`."""
        run_id = new_run_id()
        tags = {RUN_NAME_TAG: new.run_name, **new.tags}
        name = tags[RUN_NAME_TAG]
        with self._database.write() as connection:
            experiment, location = active_experiment(connection, new.experiment_id)
            row = connection.execute(
                "INSERT INTO runs "
                "(run_id, experiment, name, user, status, started_ms, ended_ms, artifact_uri) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    run_id,
                    experiment,
                    storable(name),
                    storable(new.user),
                    new.status.value,
                    new.started_ms,
                    new.started_ms if new.status.finished else None,
                    self._artifact_uri(location, run_id),
                ),
            ).lastrowid
            assert row is not None  # noqa: S101  an INSERT that succeeds has a row number
            write_params(connection, row, new.params, run_id)
            connection.executemany(
                "INSERT INTO tags (run, key, value) VALUES (?, ?, ?)",
                [(row, storable(key), storable(value)) for key, value in tags.items()],
            )
            return load_runs(connection, (row,), self._artifact_base)[0]

    def _artifact_uri(self, location: str | None, run_id: str) -> str | None:
        if location is not None:
            return f"{location.rstrip('/')}/{run_id}/artifacts"
        return None if self._elsewhere is None else f"{self._elsewhere}/{run_id}"

    def run(self, run_id: str) -> RunRecord:
        """See `RunStore.run`."""
        with self._database.read() as connection:
            row, _ = run_row(connection, run_id)
            return load_runs(connection, (row,), self._artifact_base)[0]

    def find_run(self, prefix: str, lifecycle: Lifecycle = "active") -> RunRecord:
        """See `RunStore.find_run`."""
        with self._database.read() as connection:
            rows = _matching_rows(connection, storable(prefix), lifecycle)
            runs = load_runs(connection, rows, self._artifact_base)
            elsewhere = () if runs else _matching_rows(connection, storable(prefix), "all")
        return chosen_run(prefix, runs, lifecycle, elsewhere=bool(elsewhere))

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, str] | None = None,
        metrics: Sequence[Metric] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """See `RunStore.log`."""
        with self._database.write() as connection:
            row = active_run(connection, run_id)
            if params:
                write_params(connection, row, params, run_id)
            if metrics:
                write_metrics(connection, row, metrics)
            if tags:
                write_tags(connection, row, tags)

    def remove_tags(self, run_id: str, keys: Sequence[str]) -> int:
        """See `RunStore.remove_tags`."""
        with self._database.write() as connection:
            row, _ = run_row(connection, run_id)
            return connection.executemany(
                "DELETE FROM tags WHERE run = ? AND key = ?", [(row, storable(key)) for key in keys]
            ).rowcount

    def move_run(self, run_id: str, experiment_id: str) -> None:
        """See `RunStore.move_run`."""
        with self._database.write() as connection:
            row, _ = run_row(connection, run_id)
            experiment, _ = active_experiment(connection, experiment_id)
            connection.execute("UPDATE runs SET experiment = ? WHERE id = ?", (experiment, row))

    def children(self, run_id: str, lifecycle: Lifecycle = "active") -> tuple[str, ...]:
        """See `RunStore.children`."""
        with self._database.read() as connection:
            rows = connection.execute(
                "WITH RECURSIVE below (run_id, deleted_ms, depth) AS (SELECT ?, NULL, 0 UNION "  # noqa: S608  our own words
                "SELECT runs.run_id, runs.deleted_ms, depth + 1 FROM below "
                "JOIN tags ON tags.key = ? AND tags.value = below.run_id JOIN runs ON runs.id = tags.run "
                f"WHERE depth < {_MAX_DEPTH}) "
                f"SELECT run_id, min(depth) AS nearest FROM below WHERE depth > 0 AND {ALIVE[lifecycle]} "
                "GROUP BY run_id ORDER BY nearest, run_id",
                (run_id, PARENT_TAG),
            ).fetchall()
        return tuple(child for child, _ in rows if child != run_id)

    def reopen_run(
        self,
        run_id: str,
        *,
        params: Mapping[str, str],
        tags: Mapping[str, str],
        drop_tags: Sequence[str] = (),
        expect_tag: tuple[str, str | None] | None = None,
    ) -> None:
        """See `RunStore.reopen_run`."""
        with self._database.write() as connection:
            row, _ = run_row(connection, run_id)
            if expect_tag is not None:
                key, expected = expect_tag
                query = "SELECT value FROM tags WHERE run = ? AND key = ?"
                found = connection.execute(query, (row, storable(key))).fetchone()
                if (found[0] if found else None) != expected:
                    raise ConflictError(f"The run {run_id} was taken up by somebody else meanwhile.")
            write_params(connection, row, params, run_id)
            connection.executemany(
                "DELETE FROM tags WHERE run = ? AND key = ?", [(row, storable(key)) for key in drop_tags]
            )
            write_tags(connection, row, tags)
            connection.execute(
                "UPDATE runs SET status = ?, ended_ms = NULL WHERE id = ?", (RunStatus.SCHEDULED.value, row)
            )

    def update_run(
        self,
        run_id: str,
        *,
        status: RunStatus | None = None,
        ended_ms: int | None = None,
        run_name: str | None = None,
        tags: Mapping[str, str] | None = None,
        if_open: bool = False,
    ) -> bool:
        """See `RunStore.update_run`."""
        changes: dict[str, object] = {}
        if status is not None:
            changes["status"] = status.value
            # A run that goes on has no end, one that has ended has.
            changes["ended_ms"] = (now_ms() if ended_ms is None else ended_ms) if status.finished else None
        elif ended_ms is not None:
            changes["ended_ms"] = ended_ms
        with self._database.write() as connection:
            row, _ = run_row(connection, run_id)
            if if_open and not _is_open(connection, row):
                return False
            if changes:
                columns = ", ".join(f"{column} = ?" for column in changes)
                connection.execute(f"UPDATE runs SET {columns} WHERE id = ?", (*changes.values(), row))  # noqa: S608  our own words
            if run_name is not None:
                write_tags(connection, row, {RUN_NAME_TAG: run_name})
            if tags:
                write_tags(connection, row, tags)
        return bool(changes or tags) or run_name is not None

    def search_runs(self, query: RunQuery) -> RunPage:
        """See `RunStore.search_runs`."""
        from proj.tracking.search import search  # a run that only logs never searches

        with self._database.read() as connection:
            return search(connection, query, self._artifact_base)

    def metric_history(self, run_id: str, key: str) -> tuple[Metric, ...]:
        """See `RunStore.metric_history`."""
        from proj.tracking.histories import history  # a run that only logs never reads

        with self._database.read() as connection:
            row, _ = run_row(connection, run_id)
            return history(connection, row, storable(key))

    def metric_page(
        self, run_id: str, key: str, *, limit: int = 1000, page_token: str | None = None
    ) -> MetricPage:
        """See `RunStore.metric_page`."""
        from proj.tracking.histories import history_page  # as above

        with self._database.read() as connection:
            row, _ = run_row(connection, run_id)
            return history_page(connection, row, storable(key), limit, page_token)

    def metric_histories(
        self, run_ids: Sequence[str], key: str, *, limit: int = 25_000
    ) -> tuple[tuple[str, Metric], ...]:
        """See `RunStore.metric_histories`."""
        from proj.tracking.histories import history  # as above

        found: list[tuple[str, Metric]] = []
        with self._database.read() as connection:
            for run_id in sorted(set(run_ids)):
                if len(found) >= limit:
                    break
                row = connection.execute("SELECT id FROM runs WHERE run_id = ?", (run_id,)).fetchone()
                if row is not None:
                    points = history(connection, row[0], storable(key), limit - len(found))
                    found += [(run_id, each) for each in points]
        return tuple(found)

    def metric_sample(
        self, run_id: str, key: str, *, limit: int = 2500, steps: tuple[int, int] | None = None
    ) -> tuple[Metric, ...]:
        """See `RunStore.metric_sample`."""
        from proj.tracking.histories import history_sample  # as above

        with self._database.read() as connection:
            row, _ = run_row(connection, run_id)
            return history_sample(connection, row, storable(key), limit, steps)

    # --- removal --------------------------------------------------------------------------------------

    def delete_runs(self, run_ids: Sequence[str]) -> None:
        """See `RunStore.delete_runs`."""
        self._set_deleted(run_ids, "coalesce(deleted_ms, ?)", (now_ms(),))

    def restore_runs(self, run_ids: Sequence[str]) -> None:
        """See `RunStore.restore_runs`."""
        self._set_deleted(run_ids, "NULL", ())

    def _set_deleted(self, run_ids: Sequence[str], expression: str, values: tuple[object, ...]) -> None:
        with self._database.write() as connection:
            rows = [run_row(connection, run_id)[0] for run_id in run_ids]
            connection.executemany(
                f"UPDATE runs SET deleted_ms = {expression} WHERE id = ?",  # noqa: S608  our own words
                [(*values, row) for row in rows],
            )

    def purge_runs(self, run_ids: Sequence[str]) -> None:
        """See `RunStore.purge_runs`."""
        with self._database.write() as connection:
            rows = [
                found
                for run_id in run_ids
                for found in connection.execute(
                    "SELECT id FROM runs WHERE run_id = ? AND deleted_ms IS NOT NULL", (run_id,)
                )
            ]
            for statement in _PURGE:
                connection.executemany(statement, rows)

    def close(self) -> None:
        """See `RunStore.close`."""
        self._database.close()


def _is_open(connection: sqlite3.Connection, row: int) -> bool:
    status = connection.execute("SELECT status FROM runs WHERE id = ?", (row,)).fetchone()[0]
    return status in ("SCHEDULED", "RUNNING")


def _matching_rows(connection: sqlite3.Connection, name: str, lifecycle: Lifecycle) -> tuple[int, ...]:
    """Row numbers of the runs that `name` may stand for; a full id stands for nothing else."""
    alive = ALIVE[lifecycle]
    if name == "latest":
        return _latest_row(connection, lifecycle)
    exact = connection.execute(f"SELECT id FROM runs WHERE run_id = ? AND {alive}", (name,)).fetchall()  # noqa: S608  our own words
    if exact:
        return (exact[0][0],)
    prefix = run_prefix(name)
    rows = connection.execute(
        f"SELECT id FROM runs WHERE {alive} AND (name = ? OR (run_id >= ? AND run_id < ?)) "  # noqa: S608  our own words
        "ORDER BY started_ms DESC LIMIT ?",
        (name, prefix, f"{prefix}g", MAX_LISTED + 1),
    )
    return tuple(row[0] for row in rows)


def _latest_row(connection: sqlite3.Connection, lifecycle: Lifecycle) -> tuple[int, ...]:
    if lifecycle == "all":
        return _latest_row(connection, "active") or _latest_row(connection, "deleted")
    alive = ALIVE[lifecycle]
    of_its_own = _newest_row(connection, f"{alive} AND {_NOT_MADE}", MADE_BY_TAGS)
    return of_its_own or _newest_row(connection, alive, ())


def _newest_row(connection: sqlite3.Connection, condition: str, values: tuple[str, ...]) -> tuple[int, ...]:
    # In two steps, each of which an index answers: of those that started last, the one made last.
    last = f"SELECT started_ms FROM runs WHERE {condition} ORDER BY started_ms DESC LIMIT 1"  # noqa: S608  our own words
    newest = f"SELECT id FROM runs WHERE started_ms = ({last}) AND {condition} ORDER BY id DESC LIMIT 1"  # noqa: S608  our own words
    return tuple(row[0] for row in connection.execute(newest, (*values, *values)))


if TYPE_CHECKING:

    def _conforms(store: SqliteRunStore) -> RunStore:
        return store
