"""Logged models in `proj.db`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.tracking.logged_model_rows import load_logged_models, logged_model_row
from proj.tracking.logged_models import LoggedModelStatus
from proj.tracking.naming import new_run_id, new_run_name
from proj.tracking.places import relative
from proj.tracking.sqlite_experiments import active_experiment, now_ms
from proj.tracking.values import add_params, optional, put_values, storable, take_values

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from proj.tracking.database import Database
    from proj.tracking.logged_models import (
        LoggedModel,
        LoggedModelPage,
        LoggedModelQuery,
        LoggedModelStore,
        NewLoggedModel,
    )


_PURGE = (
    "DELETE FROM logged_model_metrics WHERE model_id = (SELECT model_id FROM logged_models WHERE id = ?)",
    "DELETE FROM logged_model_params WHERE model = ?",
    "DELETE FROM logged_model_tags WHERE model = ?",
    "DELETE FROM logged_models WHERE id = ?",
)


class SqliteLoggedModels:
    """A `LoggedModelStore` in one SQLite file; safe for many threads and many processes.

    Args:
        database: The open database.
        home: URI of the folder that the store's files are kept in.
        artifact_root: URI of where files of new models go, unless their experiment has a place of its own.
    """

    def __init__(self, database: Database, home: str, artifact_root: str) -> None:
        self._database = database
        self._home = home
        self._artifact_root = artifact_root

    def create_logged_model(self, new: NewLoggedModel) -> LoggedModel:
        """See `LoggedModelStore.create_logged_model`."""
        model_id = f"m-{new_run_id()}"
        now = now_ms()
        with self._database.write() as connection:
            experiment, place = active_experiment(connection, new.experiment_id)
            base = place.rstrip("/") if place else self._artifact_root
            row = connection.execute(
                "INSERT INTO logged_models (model_id, experiment, name, model_type, source_run_id, status, "
                "artifact_location, created_ms, updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    model_id,
                    experiment,
                    storable(new.name or new_run_name()),
                    optional(new.model_type),
                    optional(new.source_run_id),
                    LoggedModelStatus.PENDING.value,
                    relative(self._home, f"{base}/models/{model_id}/artifacts"),
                    now,
                    now,
                ),
            ).lastrowid
            assert row is not None  # noqa: S101  an INSERT that succeeds has a row number
            put_values(connection, "logged_model_params", "model", row, new.params)
            put_values(connection, "logged_model_tags", "model", row, new.tags)
            return self._load(connection, row)

    def logged_model(self, model_id: str, *, allow_deleted: bool = False) -> LoggedModel:
        """See `LoggedModelStore.logged_model`."""
        with self._database.read() as connection:
            return self._load(connection, logged_model_row(connection, model_id, allow_deleted=allow_deleted))

    def finalize_logged_model(
        self, model_id: str, status: LoggedModelStatus, message: str | None = None
    ) -> LoggedModel:
        """See `LoggedModelStore.finalize_logged_model`."""
        with self._database.write() as connection:
            row = logged_model_row(connection, model_id)
            connection.execute(
                "UPDATE logged_models SET status = ?, status_message = ?, updated_ms = ? WHERE id = ?",
                (status.value, optional(message), now_ms(), row),
            )
            return self._load(connection, row)

    def delete_logged_model(self, model_id: str) -> None:
        """See `LoggedModelStore.delete_logged_model`."""
        now = now_ms()
        with self._database.write() as connection:
            connection.execute(
                "UPDATE logged_models SET deleted_ms = ?, updated_ms = ? WHERE id = ?",
                (now, now, logged_model_row(connection, model_id)),
            )

    def purge_logged_models(self, model_ids: Sequence[str]) -> None:
        """See `LoggedModelStore.purge_logged_models`."""
        with self._database.write() as connection:
            rows = [
                found
                for model_id in model_ids
                for found in connection.execute(
                    "SELECT id FROM logged_models WHERE model_id = ? AND deleted_ms IS NOT NULL", (model_id,)
                )
            ]
            for statement in _PURGE:
                connection.executemany(statement, rows)

    def set_logged_model_tags(self, model_id: str, tags: Mapping[str, str]) -> None:
        """See `LoggedModelStore.set_logged_model_tags`."""
        with self._database.write() as connection:
            row = logged_model_row(connection, model_id)
            put_values(connection, "logged_model_tags", "model", row, tags)

    def remove_logged_model_tags(self, model_id: str, *keys: str) -> int:
        """See `LoggedModelStore.remove_logged_model_tags`."""
        with self._database.write() as connection:
            row = logged_model_row(connection, model_id)
            return take_values(connection, "logged_model_tags", "model", row, keys)

    def log_logged_model_params(self, model_id: str, params: Mapping[str, str]) -> None:
        """See `LoggedModelStore.log_logged_model_params`."""
        with self._database.write() as connection:
            row = logged_model_row(connection, model_id)
            add_params(connection, "logged_model_params", "model", row, params, f"the model {model_id}")

    def search_logged_models(self, query: LoggedModelQuery) -> LoggedModelPage:
        """See `LoggedModelStore.search_logged_models`."""
        from proj.tracking.search_logged_models import search_logged_models

        with self._database.read() as connection:
            return search_logged_models(connection, query, self._home)

    def _load(self, connection: sqlite3.Connection, row: int) -> LoggedModel:
        return load_logged_models(connection, (row,), self._home)[0]


if TYPE_CHECKING:

    def _conforms(store: SqliteLoggedModels) -> LoggedModelStore:
        return store
