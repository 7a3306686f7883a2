"""Versions of registered models, and aliases, in `proj.db`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.errors import NotFoundError, UsageError
from proj.tracking.places import relative
from proj.tracking.registry import Stage
from proj.tracking.registry_rows import load_versions, model_row, version_row
from proj.tracking.sqlite_experiments import now_ms
from proj.tracking.values import optional, put_values, storable, take_values

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from proj.tracking.database import Database
    from proj.tracking.registry import ModelVersion, ModelVersionPage, NewModelVersion, RegistryQuery

_ACTIVE_STAGES = (Stage.STAGING, Stage.PRODUCTION)


class SqliteVersions:
    """The half of a `ModelRegistry` that is about versions.

    Args:
        database: The open database.
        home: URI of the folder that the store's files are kept in.
    """

    def __init__(self, database: Database, home: str) -> None:
        self._database = database
        self._home = home

    def create_version(self, name: str, new: NewModelVersion) -> ModelVersion:
        """See `ModelRegistry.create_version`."""
        now = now_ms()
        with self._database.write() as connection:
            model = model_row(connection, name)
            location, source_run = self._origin(connection, new)
            connection.execute(
                "UPDATE registered_models SET last_version = last_version + 1, updated_ms = ? WHERE id = ?",
                (now, model),
            )
            (number,) = connection.execute(
                "SELECT last_version FROM registered_models WHERE id = ?", (model,)
            ).fetchone()
            row = connection.execute(
                "INSERT INTO model_versions (model, version, description, user, stage, source, "
                "storage_location, run_id, run_link, model_id, status, created_ms, updated_ms) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'READY', ?, ?)",
                (
                    model,
                    number,
                    optional(new.description),
                    optional(new.user),
                    Stage.NONE.value,
                    storable(new.source),
                    storable(relative(self._home, location)),
                    optional(new.run_id or source_run),
                    optional(new.run_link),
                    optional(new.model_id),
                    now,
                    now,
                ),
            ).lastrowid
            assert row is not None  # noqa: S101  an INSERT that succeeds has a row number
            put_values(connection, "model_version_tags", "version", row, new.tags)
            return load_versions(connection, (row,), self._home)[0]

    def version(self, name: str, version: int) -> ModelVersion:
        """See `ModelRegistry.version`."""
        with self._database.read() as connection:
            return load_versions(connection, version_row(connection, name, version)[:1], self._home)[0]

    def describe_version(self, name: str, version: int, description: str | None) -> ModelVersion:
        """See `ModelRegistry.describe_version`."""
        with self._database.write() as connection:
            row, _ = version_row(connection, name, version)
            connection.execute(
                "UPDATE model_versions SET description = ?, updated_ms = ? WHERE id = ?",
                (optional(description), now_ms(), row),
            )
            return load_versions(connection, (row,), self._home)[0]

    def delete_version(self, name: str, version: int) -> None:
        """See `ModelRegistry.delete_version`."""
        with self._database.write() as connection:
            row, model = version_row(connection, name, version)
            connection.execute(
                "DELETE FROM registered_model_aliases WHERE model = ? AND version = ?", (model, version)
            )
            connection.execute("DELETE FROM model_version_tags WHERE version = ?", (row,))
            connection.execute("DELETE FROM model_versions WHERE id = ?", (row,))
            _touch(connection, model)

    def search_versions(self, query: RegistryQuery) -> ModelVersionPage:
        """See `ModelRegistry.search_versions`."""
        from proj.tracking.search_registry import search_versions

        with self._database.read() as connection:
            return search_versions(connection, query, self._home)

    def transition_stage(
        self, name: str, version: int, stage: Stage, *, archive_existing: bool = False
    ) -> ModelVersion:
        """See `ModelRegistry.transition_stage`."""
        if archive_existing and stage not in _ACTIVE_STAGES:
            raise UsageError(
                f"Versions that are in the stage {stage.value} cannot be archived by a transition to it.",
                hint=f"That goes with {' and '.join(each.value for each in _ACTIVE_STAGES)}.",
            )
        now = now_ms()
        change = "UPDATE model_versions SET stage = ?, updated_ms = ? WHERE "
        with self._database.write() as connection:
            row, model = version_row(connection, name, version)
            if archive_existing:
                connection.execute(
                    f"{change} model = ? AND stage = ? AND id != ?",
                    (Stage.ARCHIVED.value, now, model, stage.value, row),
                )
            connection.execute(f"{change} id = ?", (stage.value, now, row))
            _touch(connection, model)
            return load_versions(connection, (row,), self._home)[0]

    def set_version_tags(self, name: str, version: int, tags: Mapping[str, str]) -> None:
        """See `ModelRegistry.set_version_tags`."""
        with self._database.write() as connection:
            row, _ = version_row(connection, name, version)
            put_values(connection, "model_version_tags", "version", row, tags)

    def remove_version_tags(self, name: str, version: int, *keys: str) -> int:
        """See `ModelRegistry.remove_version_tags`."""
        with self._database.write() as connection:
            row, _ = version_row(connection, name, version)
            return take_values(connection, "model_version_tags", "version", row, keys)

    def _origin(self, connection: sqlite3.Connection, new: NewModelVersion) -> tuple[str, str | None]:
        """Return where the files of a new version are, and the run that they are known to come from."""
        source_run = None
        if new.model_id is not None:
            row = connection.execute(
                "SELECT source_run_id FROM logged_models WHERE model_id = ?", (new.model_id,)
            ).fetchone()
            source_run = None if row is None else row[0]
        if new.storage_location is not None:
            return new.storage_location, source_run
        if not new.source.startswith("models:/"):
            return new.source, source_run
        name, slash, version = new.source[len("models:/") :].strip("/").partition("/")
        if slash:
            if not (version.isascii() and version.isdigit()):
                raise UsageError(
                    f"The source {new.source!r} names no version.",
                    hint="Write models:/NAME/NUMBER, or the id of a logged model.",
                )
            row, _ = version_row(connection, name, int(version))
            origin = load_versions(connection, (row,), self._home)[0]
            return origin.storage_location or new.source, source_run
        from proj.tracking.logged_model_rows import artifact_location

        return artifact_location(connection, name, self._home)

    # --- aliases --------------------------------------------------------------------------------------

    def set_alias(self, name: str, alias: str, version: int) -> None:
        """See `ModelRegistry.set_alias`."""
        with self._database.write() as connection:
            _, model = version_row(connection, name, version)
            connection.execute(
                "INSERT OR REPLACE INTO registered_model_aliases (model, alias, version) VALUES (?, ?, ?)",
                (model, storable(alias), version),
            )

    def remove_alias(self, name: str, alias: str) -> None:
        """See `ModelRegistry.remove_alias`."""
        with self._database.write() as connection:
            connection.execute(
                "DELETE FROM registered_model_aliases WHERE model = ? AND alias = ?",
                (model_row(connection, name), storable(alias)),
            )

    def version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """See `ModelRegistry.version_by_alias`."""
        with self._database.read() as connection:
            model = model_row(connection, name)
            if alias.lower() == "latest":
                statement = "SELECT id FROM model_versions WHERE model = ? ORDER BY version DESC LIMIT 1"
                row = connection.execute(statement, (model,)).fetchone()
            else:
                row = connection.execute(
                    "SELECT model_versions.id FROM registered_model_aliases AS pointers JOIN model_versions "
                    "USING (model, version) WHERE pointers.model = ? AND alias = ?",
                    (model, storable(alias)),
                ).fetchone()
            if row is None:
                raise NotFoundError(f"The registered model {name!r} has no alias {alias!r}.")
            return load_versions(connection, row, self._home)[0]


def _touch(connection: sqlite3.Connection, model: int) -> None:
    connection.execute("UPDATE registered_models SET updated_ms = ? WHERE id = ?", (now_ms(), model))
