"""What was recorded elsewhere, into `proj.db`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.model import RunStatus
from proj.tracking.logged_models import LoggedModelStatus
from proj.tracking.past import Added, KnownRun
from proj.tracking.places import relative
from proj.tracking.records import chunks
from proj.tracking.sqlite_experiments import experiment_row, no_experiment, now_ms
from proj.tracking.sqlite_inputs import add_inputs, add_outputs
from proj.tracking.sqlite_past_models import add_past_model
from proj.tracking.sqlsearch import marks
from proj.tracking.values import (
    add_values,
    optional,
    storable,
    write_metrics,
    write_model_metrics,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from proj.tracking.database import Database
    from proj.tracking.past import PastExperiment, PastLoggedModel, PastModel, PastRun, PastStore

_OPEN = (RunStatus.SCHEDULED.value, RunStatus.RUNNING.value)


class SqlitePast:
    """A `PastStore` in one SQLite file; safe for many threads and many processes.

    Args:
        database: The open database.
        home: URI of the folder that the store's files are kept in.
        artifact_base: URI of the folder that holds one folder of artifacts for each run.
        artifact_root: URI of the folder that new runs and models get theirs in, unless their experiment has
            a place of its own.
    """

    def __init__(self, database: Database, home: str, artifact_base: str, artifact_root: str) -> None:
        self._database = database
        self._home = home
        self._artifact_base = artifact_base
        self._artifact_root = artifact_root

    def add_experiment(self, past: PastExperiment) -> Added:
        """See `PastStore.add_experiment`."""
        name = storable(past.name)
        with self._database.write() as connection:
            found = _experiment(connection, past.mark, name)
            if found is None:
                row = connection.execute(
                    "INSERT INTO experiments (name, created_ms, updated_ms, deleted_ms) VALUES (?, ?, ?, ?)",
                    (name, past.created_ms, past.updated_ms, past.updated_ms if past.deleted else None),
                ).lastrowid
                assert row is not None  # noqa: S101  an INSERT that succeeds has a row number
            else:
                row = found[0]
            values = add_values(connection, "experiment_tags", "experiment", row, past.tags)
        deleted = past.deleted if found is None else found[1] is not None
        return Added(id=str(row), new=found is None, deleted=deleted, values=values)

    # --- runs -----------------------------------------------------------------------------------------

    def add_runs(self, runs: Sequence[PastRun]) -> tuple[Added, ...]:
        """See `PastStore.add_runs`."""
        with self._database.write() as connection:
            return tuple(self._add_run(connection, run) for run in runs)

    def _add_run(self, connection: sqlite3.Connection, run: PastRun) -> Added:
        found = connection.execute(
            "SELECT id, status, deleted_ms, ended_ms FROM runs WHERE run_id = ?", (run.run_id,)
        ).fetchone()
        deleted, changed = False, False
        if found is None:
            row, deleted = self._insert_run(connection, run)
        else:
            row, status, deleted_ms, ended_ms = found
            deleted = deleted_ms is not None
            if status in _OPEN:
                changed = (status, ended_ms) != (run.status.value, run.ended_ms)
                _follow(connection, row, run)
        values = add_values(connection, "params", "run", row, run.params)
        values += add_values(connection, "tags", "run", row, run.tags)
        if run.inputs.datasets or run.inputs.models:
            values += add_inputs(connection, row, run.inputs.datasets, run.inputs.models)
        if run.inputs.outputs:
            values += add_outputs(connection, row, run.inputs.outputs)
        return Added(
            id=run.run_id,
            new=found is None,
            deleted=deleted,
            changed=changed,
            points=write_metrics(connection, row, run.metrics),
            values=values,
        )

    def _insert_run(self, connection: sqlite3.Connection, run: PastRun) -> tuple[int, bool]:
        """Add a run; return its row number, and whether it is deleted. In a deleted experiment, it is."""
        experiment, location, experiment_deleted_ms = _place(connection, run.experiment_id)
        deleted_ms = run.deleted_ms
        if experiment_deleted_ms is not None and deleted_ms is None:
            deleted_ms = now_ms()
        row = connection.execute(
            "INSERT INTO runs "
            "(run_id, experiment, name, user, status, started_ms, ended_ms, deleted_ms, artifact_uri) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                run.run_id,
                experiment,
                storable(run.name),
                storable(run.user),
                run.status.value,
                run.started_ms,
                run.ended_ms,
                deleted_ms,
                self._artifact_uri(location, run.run_id),
            ),
        ).lastrowid
        assert row is not None  # noqa: S101  an INSERT that succeeds has a row number
        return row, deleted_ms is not None

    def _artifact_uri(self, location: str | None, run_id: str) -> str | None:
        if location is not None:
            return f"{location.rstrip('/')}/{run_id}/artifacts"
        return None if self._artifact_root == self._artifact_base else f"{self._artifact_root}/{run_id}"

    def artifact_uri(self, experiment: str, run_id: str) -> str:
        """See `PastStore.artifact_uri`."""
        with self._database.read() as connection:
            row: tuple[str | None] | None = connection.execute(
                "SELECT artifact_location FROM experiments WHERE name = ?", (storable(experiment),)
            ).fetchone()
        return self._artifact_uri(row and row[0], run_id) or f"{self._artifact_base}/{run_id}"

    def known_runs(self, run_ids: Sequence[str]) -> dict[str, KnownRun]:
        """See `PastStore.known_runs`."""
        found: dict[str, KnownRun] = {}
        with self._database.read() as connection:
            for some in chunks(run_ids):
                rows = connection.execute(
                    f"SELECT run_id, status, artifact_uri FROM runs WHERE run_id IN ({marks(some)})",  # noqa: S608  our own words
                    some,
                )
                for run_id, status, artifact_uri in rows:
                    found[run_id] = KnownRun(
                        status=RunStatus(status),
                        artifact_uri=artifact_uri or f"{self._artifact_base}/{run_id}",
                    )
        return found

    # --- models ---------------------------------------------------------------------------------------

    def add_logged_models(self, models: Sequence[PastLoggedModel]) -> tuple[Added, ...]:
        """See `PastStore.add_logged_models`."""
        with self._database.write() as connection:
            return tuple(self._add_logged_model(connection, model) for model in models)

    def _add_logged_model(self, connection: sqlite3.Connection, model: PastLoggedModel) -> Added:
        found = connection.execute(
            "SELECT id, status, deleted_ms FROM logged_models WHERE model_id = ?", (model.model_id,)
        ).fetchone()
        changed = False
        if found is None:
            row = self._insert_logged_model(connection, model)
        else:
            row = found[0]
            changed = found[1] == LoggedModelStatus.PENDING.value and model.status.value != found[1]
            if changed:
                connection.execute(
                    "UPDATE logged_models SET status = ?, status_message = ?, updated_ms = ? WHERE id = ?",
                    (model.status.value, optional(model.status_message), model.updated_ms, row),
                )
        values = add_values(connection, "logged_model_params", "model", row, model.params)
        values += add_values(connection, "logged_model_tags", "model", row, model.tags)
        return Added(
            id=model.model_id,
            new=found is None,
            deleted=model.deleted if found is None else found[2] is not None,
            changed=changed,
            points=write_model_metrics(connection, model.model_id, model.metrics),
            values=values,
        )

    def _insert_logged_model(self, connection: sqlite3.Connection, model: PastLoggedModel) -> int:
        experiment, place, _ = _place(connection, model.experiment_id)
        base = place.rstrip("/") if place else self._artifact_root
        row = connection.execute(
            "INSERT INTO logged_models (model_id, experiment, name, model_type, source_run_id, status, "
            "status_message, artifact_location, created_ms, updated_ms, deleted_ms) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                storable(model.model_id),
                experiment,
                storable(model.name),
                optional(model.model_type),
                optional(model.source_run_id),
                model.status.value,
                optional(model.status_message),
                relative(self._home, f"{base}/models/{model.model_id}/artifacts"),
                model.created_ms,
                model.updated_ms,
                model.updated_ms if model.deleted else None,
            ),
        ).lastrowid
        assert row is not None  # noqa: S101  an INSERT that succeeds has a row number
        return row

    def add_model(self, model: PastModel) -> Added:
        """See `PastStore.add_model`."""
        with self._database.write() as connection:
            return add_past_model(connection, model, self._home)


def _experiment(connection: sqlite3.Connection, mark: str, name: str) -> tuple[int, int | None] | None:
    """Return row number and time of deletion of the experiment with a mark, else of the one with a name."""
    row: tuple[int, int | None] | None = connection.execute(
        "SELECT id, deleted_ms FROM experiments "
        "WHERE id IN (SELECT experiment FROM experiment_tags WHERE key = ?) LIMIT 1",
        (storable(mark),),
    ).fetchone()
    if row is None:
        row = connection.execute("SELECT id, deleted_ms FROM experiments WHERE name = ?", (name,)).fetchone()
    return row


def _place(connection: sqlite3.Connection, experiment_id: str) -> tuple[int, str | None, int | None]:
    """Return an experiment's row number, where its files are kept, and when it was deleted."""
    row: tuple[int, str | None, int | None] | None = connection.execute(
        "SELECT id, artifact_location, deleted_ms FROM experiments WHERE id = ?",
        (experiment_row(experiment_id),),
    ).fetchone()
    if row is None:
        raise no_experiment(experiment_id)
    return row


def _follow(connection: sqlite3.Connection, row: int, run: PastRun) -> None:
    """Let a run that has not ended here have the state, name and tags that it has there by now."""
    connection.execute(
        "UPDATE runs SET status = ?, ended_ms = ?, name = ? WHERE id = ?",
        (run.status.value, run.ended_ms, storable(run.name), row),
    )
    connection.executemany(
        "UPDATE tags SET value = ? WHERE run = ? AND key = ?",
        [(storable(value), row, storable(key)) for key, value in run.tags.items()],
    )


if TYPE_CHECKING:

    def _conforms(store: SqlitePast) -> PastStore:
        return store
