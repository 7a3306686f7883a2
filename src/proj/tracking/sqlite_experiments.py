"""Experiments in `proj.db`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from proj.errors import AlreadyExistsError, ConflictError, NotFoundError
from proj.tracking.records import ALIVE, load_experiments, row_number
from proj.tracking.values import put_values, storable, take_values

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from proj.model import Experiment
    from proj.tracking.database import Database
    from proj.tracking.experiments import ExperimentPage, ExperimentQuery, ExperimentStore, Lifecycle


class SqliteExperiments:
    """An `ExperimentStore`; the base of the run store.

    Args:
        database: The open database.
        artifact_base: URI of the folder that holds one folder of artifacts for each run.
        artifact_root: URI of the folder that new runs get theirs in, unless their experiment has a place.
    """

    def __init__(self, database: Database, artifact_base: str, artifact_root: str) -> None:
        self._database = database
        self._artifact_base = artifact_base
        self._artifact_root = artifact_root

    def create_experiment(
        self,
        name: str,
        *,
        exist_ok: bool = True,
        artifact_location: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Experiment:
        """See `ExperimentStore.create_experiment`."""
        name = storable(name)
        with self._database.read() as connection:
            found = self._experiments(connection, "name = ?", (name,))
        created = False
        if not found:
            with self._database.write() as connection:
                created = self._insert(connection, name, artifact_location, tags or {})
                found = self._experiments(connection, "name = ?", (name,))
        if found[0].lifecycle_stage == "deleted" or not (created or exist_ok):
            raise _name_taken(found[0])
        return found[0]

    def _insert(
        self,
        connection: sqlite3.Connection,
        name: str,
        artifact_location: str | None,
        tags: Mapping[str, str],
    ) -> bool:
        now = now_ms()
        location = None if artifact_location is None else storable(artifact_location)
        inserted = connection.execute(
            "INSERT OR IGNORE INTO experiments (name, created_ms, updated_ms, artifact_location) "
            "VALUES (?, ?, ?, ?)",
            (name, now, now, location),
        )
        if not inserted.rowcount:  # another process was quicker
            return False
        assert inserted.lastrowid is not None  # noqa: S101  an INSERT that succeeds has a row number
        put_values(connection, "experiment_tags", "experiment", inserted.lastrowid, tags)
        return True

    def experiment(self, experiment_id: str) -> Experiment:
        """See `ExperimentStore.experiment`."""
        with self._database.read() as connection:
            return self._experiment(connection, experiment_id)

    def experiment_named(self, name: str) -> Experiment:
        """See `ExperimentStore.experiment_named`."""
        with self._database.read() as connection:
            found = self._experiments(connection, "name = ?", (storable(name),))
        if not found:
            raise NotFoundError(
                f"There is no experiment called {name!r}.", hint="`proj runs` shows the names that are there."
            )
        return found[0]

    def experiments(self, lifecycle: Lifecycle = "active") -> tuple[Experiment, ...]:
        """See `ExperimentStore.experiments`."""
        with self._database.read() as connection:
            return self._experiments(connection, ALIVE[lifecycle], ())

    def search_experiments(self, query: ExperimentQuery) -> ExperimentPage:
        """See `ExperimentStore.search_experiments`."""
        from proj.tracking.search_experiments import search_experiments  # only servers search them

        with self._database.read() as connection:
            return search_experiments(connection, query, self._artifact_root)

    def rename_experiment(self, experiment_id: str, name: str) -> None:
        """See `ExperimentStore.rename_experiment`."""
        name = storable(name)
        with self._database.write() as connection:
            row = self._active_row(connection, experiment_id)
            for other in self._experiments(connection, "name = ? AND id != ?", (name, row)):
                raise _name_taken(other)
            connection.execute(
                "UPDATE experiments SET name = ?, updated_ms = ? WHERE id = ?", (name, now_ms(), row)
            )

    def delete_experiment(self, experiment_id: str) -> None:
        """See `ExperimentStore.delete_experiment`."""
        now = now_ms()
        with self._database.write() as connection:
            experiment = self._experiment(connection, experiment_id)
            if experiment.lifecycle_stage == "deleted":
                raise no_experiment(experiment_id)
            row = experiment_row(experiment_id)
            connection.execute(
                "UPDATE experiments SET deleted_ms = ?, updated_ms = ? WHERE id = ?", (now, now, row)
            )
            connection.execute(
                "UPDATE runs SET deleted_ms = coalesce(deleted_ms, ?) WHERE experiment = ?", (now, row)
            )

    def restore_experiment(self, experiment_id: str) -> None:
        """See `ExperimentStore.restore_experiment`."""
        with self._database.write() as connection:
            experiment = self._experiment(connection, experiment_id)
            if experiment.lifecycle_stage == "active":
                raise NotFoundError(f"There is no deleted experiment with the id {experiment_id!r}.")
            row = experiment_row(experiment_id)
            connection.execute(
                "UPDATE experiments SET deleted_ms = NULL, updated_ms = ? WHERE id = ?", (now_ms(), row)
            )
            connection.execute("UPDATE runs SET deleted_ms = NULL WHERE experiment = ?", (row,))

    def set_experiment_tags(self, experiment_id: str, tags: Mapping[str, str]) -> None:
        """See `ExperimentStore.set_experiment_tags`."""
        with self._database.write() as connection:
            row = self._active_row(connection, experiment_id)
            put_values(connection, "experiment_tags", "experiment", row, tags)
            _touch(connection, row)

    def remove_experiment_tags(self, experiment_id: str, *keys: str) -> int:
        """See `ExperimentStore.remove_experiment_tags`."""
        with self._database.write() as connection:
            row = self._active_row(connection, experiment_id)
            removed = take_values(connection, "experiment_tags", "experiment", row, keys)
            _touch(connection, row)
        return removed

    def _experiments(
        self, connection: sqlite3.Connection, condition: str, values: Sequence[object]
    ) -> tuple[Experiment, ...]:
        return load_experiments(connection, condition, values, self._artifact_root)

    def _experiment(self, connection: sqlite3.Connection, experiment_id: str) -> Experiment:
        found = self._experiments(connection, "id = ?", (experiment_row(experiment_id),))
        if not found:
            raise no_experiment(experiment_id)
        return found[0]

    def _active_row(self, connection: sqlite3.Connection, experiment_id: str) -> int:
        return active_experiment(connection, experiment_id)[0]


def now_ms() -> int:
    """Return the time, milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def experiment_row(experiment_id: str) -> int:
    """Return the row number of an experiment: ids are its decimal text, as in MLflow's SQL store.

    Raises:
        NotFoundError: It is the id of nothing.
    """
    row = row_number(experiment_id)
    if row is None:
        raise no_experiment(experiment_id)
    return row


def active_experiment(connection: sqlite3.Connection, experiment_id: str) -> tuple[int, str | None]:
    """Return an active experiment's row number, and where its files are kept; None: the store's own place.

    Raises:
        NotFoundError: There is no such experiment.
        ConflictError: It is deleted.
    """
    row = connection.execute(
        "SELECT id, artifact_location, deleted_ms FROM experiments WHERE id = ?",
        (experiment_row(experiment_id),),
    ).fetchone()
    if row is None:
        raise no_experiment(experiment_id)
    if row[2] is not None:
        raise ConflictError(
            f"The experiment {experiment_id} is deleted.", hint="Restore it, or choose another one."
        )
    return row[0], row[1]


def no_experiment(experiment_id: str) -> NotFoundError:
    """The error for an experiment that is not there."""
    return NotFoundError(
        f"There is no active experiment with the id {experiment_id!r}.",
        hint="Experiments are named by --experiment-name; `proj runs` shows the names that are there.",
    )


def _name_taken(experiment: Experiment) -> ConflictError:
    deleted = experiment.lifecycle_stage == "deleted"
    return AlreadyExistsError(
        f"There is {'a deleted' if deleted else 'an'} experiment called {experiment.name!r}.",
        hint="Restore it, or choose another name." if deleted else "Choose another name.",
    )


def _touch(connection: sqlite3.Connection, experiment: int) -> None:
    connection.execute("UPDATE experiments SET updated_ms = ? WHERE id = ?", (now_ms(), experiment))


if TYPE_CHECKING:

    def _conforms(store: SqliteExperiments) -> ExperimentStore:
        return store
