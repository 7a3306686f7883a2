"""The model registry in `proj.db`."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from proj.errors import AlreadyExistsError
from proj.tracking.registry_rows import load_models, model_row
from proj.tracking.sqlite_experiments import now_ms
from proj.tracking.sqlite_versions import SqliteVersions
from proj.tracking.values import optional, put_values, storable, take_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proj.tracking.registry import (
        ModelRegistry,
        ModelVersion,
        RegisteredModel,
        RegisteredModelPage,
        RegistryQuery,
        Stage,
    )

_DELETE = (
    "DELETE FROM model_version_tags WHERE version IN (SELECT id FROM model_versions WHERE model = ?)",
    "DELETE FROM model_versions WHERE model = ?",
    "DELETE FROM registered_model_aliases WHERE model = ?",
    "DELETE FROM registered_model_tags WHERE model = ?",
    "DELETE FROM registered_models WHERE id = ?",
)


class SqliteRegistry(SqliteVersions):
    """A `ModelRegistry` in one SQLite file; safe for many threads and many processes."""

    def create_model(
        self, name: str, *, description: str | None = None, tags: Mapping[str, str] | None = None
    ) -> RegisteredModel:
        """See `ModelRegistry.create_model`."""
        now = now_ms()
        with self._database.write() as connection:
            inserted = connection.execute(
                "INSERT OR IGNORE INTO registered_models (name, description, created_ms, updated_ms) "
                "VALUES (?, ?, ?, ?)",
                (storable(name), optional(description), now, now),
            )
            if not inserted.rowcount:
                raise _name_taken(name)
            row = inserted.lastrowid
            assert row is not None  # noqa: S101  an INSERT that succeeds has a row number
            put_values(connection, "registered_model_tags", "model", row, tags or {})
            return load_models(connection, (row,), self._home)[0]

    def model(self, name: str) -> RegisteredModel:
        """See `ModelRegistry.model`."""
        with self._database.read() as connection:
            return load_models(connection, (model_row(connection, name),), self._home)[0]

    def rename_model(self, name: str, new_name: str) -> RegisteredModel:
        """See `ModelRegistry.rename_model`."""
        now = now_ms()
        with self._database.write() as connection:
            row = model_row(connection, name)
            try:
                connection.execute(
                    "UPDATE registered_models SET name = ?, updated_ms = ? WHERE id = ?",
                    (storable(new_name), now, row),
                )
            except sqlite3.IntegrityError as error:
                raise _name_taken(new_name) from error
            connection.execute("UPDATE model_versions SET updated_ms = ? WHERE model = ?", (now, row))
            return load_models(connection, (row,), self._home)[0]

    def describe_model(self, name: str, description: str | None) -> RegisteredModel:
        """See `ModelRegistry.describe_model`."""
        with self._database.write() as connection:
            row = model_row(connection, name)
            connection.execute(
                "UPDATE registered_models SET description = ?, updated_ms = ? WHERE id = ?",
                (optional(description), now_ms(), row),
            )
            return load_models(connection, (row,), self._home)[0]

    def delete_model(self, name: str) -> None:
        """See `ModelRegistry.delete_model`."""
        with self._database.write() as connection:
            row = model_row(connection, name)
            for statement in _DELETE:
                connection.execute(statement, (row,))

    def search_models(self, query: RegistryQuery) -> RegisteredModelPage:
        """See `ModelRegistry.search_models`."""
        from proj.tracking.search_registry import search_models

        with self._database.read() as connection:
            return search_models(connection, query, self._home)

    def latest_versions(self, name: str, stages: Sequence[Stage] = ()) -> tuple[ModelVersion, ...]:
        """See `ModelRegistry.latest_versions`."""
        latest = self.model(name).latest_versions
        return tuple(version for version in latest if not stages or version.stage in stages)

    def set_model_tags(self, name: str, tags: Mapping[str, str]) -> None:
        """See `ModelRegistry.set_model_tags`."""
        with self._database.write() as connection:
            put_values(connection, "registered_model_tags", "model", model_row(connection, name), tags)

    def remove_model_tags(self, name: str, *keys: str) -> int:
        """See `ModelRegistry.remove_model_tags`."""
        with self._database.write() as connection:
            return take_values(
                connection, "registered_model_tags", "model", model_row(connection, name), keys
            )


def _name_taken(name: str) -> AlreadyExistsError:
    return AlreadyExistsError(
        f"There is a registered model {name!r} already.", hint="Choose another name, or add a version to it."
    )


if TYPE_CHECKING:

    def _conforms(store: SqliteRegistry) -> ModelRegistry:
        return store
