"""Rows of `proj.db` to registered models and versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proj.errors import NotFoundError
from proj.tracking.places import absolute
from proj.tracking.records import chunks, load_values
from proj.tracking.registry import ModelVersion, RegisteredModel, Stage
from proj.tracking.sqlsearch import marks
from proj.tracking.values import storable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

_VERSION_COLUMNS = (
    "model_versions.id, registered_models.id, registered_models.name, version, model_versions.created_ms, "
    "model_versions.updated_ms, model_versions.description, user, stage, source, storage_location, run_id, "
    "run_link, model_id, status, status_message"
)
_INT64 = 2**63
VERSIONS = "model_versions JOIN registered_models ON registered_models.id = model_versions.model"
"""Versions with the names that they belong to."""


def model_row(connection: sqlite3.Connection, name: str) -> int:
    """Return the row number of a registered model.

    Raises:
        NotFoundError: It is not registered.
    """
    row = connection.execute("SELECT id FROM registered_models WHERE name = ?", (storable(name),)).fetchone()
    if row is None:
        raise NotFoundError(f"There is no registered model {name!r}.")
    found: int = row[0]
    return found


def version_row(connection: sqlite3.Connection, name: str, version: int) -> tuple[int, int]:
    """Return the row numbers of a version and of its registered model.

    Raises:
        NotFoundError: There is no such model or version.
    """
    model = model_row(connection, name)
    row = None
    if version < _INT64:
        row = connection.execute(
            "SELECT id FROM model_versions WHERE model = ? AND version = ?", (model, version)
        ).fetchone()
    if row is None:
        raise NotFoundError(f"The registered model {name!r} has no version {version}.")
    return row[0], model


def load_models(
    connection: sqlite3.Connection, rows: Sequence[int], home: str
) -> tuple[RegisteredModel, ...]:
    """Return the registered models with these row numbers, in their order."""
    found: dict[int, RegisteredModel] = {}
    for some in chunks(rows):
        found.update(_load_models(connection, some, home))
    return tuple(found[row] for row in rows)


def _load_models(
    connection: sqlite3.Connection, rows: Sequence[int], home: str
) -> dict[int, RegisteredModel]:
    among = f"IN ({marks(rows)})"
    tags = load_values(connection, "registered_model_tags", "model", rows)
    aliases: dict[int, dict[str, int]] = {row: {} for row in rows}
    for model, alias, version in connection.execute(
        f"SELECT model, alias, version FROM registered_model_aliases WHERE model {among}",  # noqa: S608  our own words
        rows,
    ):
        aliases[model][alias] = version
    latest: dict[int, list[ModelVersion]] = {row: [] for row in rows}
    newest = connection.execute(
        f"SELECT model, id, max(version) AS newest FROM model_versions WHERE model {among} "  # noqa: S608  our own words
        "GROUP BY model, stage ORDER BY model, newest",
        rows,
    ).fetchall()
    versions = load_versions(connection, [row[1] for row in newest], home)
    for (model, _, _), version in zip(newest, versions, strict=True):
        latest[model].append(version)
    return {
        row: RegisteredModel(
            name=name,
            created_ms=created_ms,
            updated_ms=updated_ms,
            description=description,
            tags=tags[row],
            aliases=aliases[row],
            latest_versions=tuple(latest[row]),
        )
        for row, name, created_ms, updated_ms, description in connection.execute(
            "SELECT id, name, created_ms, updated_ms, description FROM registered_models "  # noqa: S608  our own words
            f"WHERE id {among}",
            rows,
        )
    }


def load_versions(connection: sqlite3.Connection, rows: Sequence[int], home: str) -> tuple[ModelVersion, ...]:
    """Return the versions with these row numbers, in their order."""
    found: dict[int, ModelVersion] = {}
    for some in chunks(rows):
        found.update(_load_versions(connection, some, home))
    return tuple(found[row] for row in rows)


def _load_versions(connection: sqlite3.Connection, rows: Sequence[int], home: str) -> dict[int, ModelVersion]:
    among = f"IN ({marks(rows)})"
    tags = load_values(connection, "model_version_tags", "version", rows)
    aliases: dict[int, list[str]] = {row: [] for row in rows}
    for row, alias in connection.execute(
        "SELECT model_versions.id, alias FROM model_versions JOIN registered_model_aliases AS pointers "  # noqa: S608  our own words
        "ON pointers.model = model_versions.model AND pointers.version = model_versions.version "
        f"WHERE model_versions.id {among} ORDER BY alias",
        rows,
    ):
        aliases[row].append(alias)
    found = connection.execute(
        f"SELECT {_VERSION_COLUMNS} FROM {VERSIONS} WHERE model_versions.id {among}",  # noqa: S608  our own words
        rows,
    )
    return {row[0]: _version(row, home, tags[row[0]], tuple(aliases[row[0]])) for row in found}


def _version(row: tuple[Any, ...], home: str, tags: dict[str, str], aliases: tuple[str, ...]) -> ModelVersion:
    return ModelVersion(
        name=row[2],
        version=row[3],
        created_ms=row[4],
        updated_ms=row[5],
        description=row[6],
        user=row[7],
        stage=Stage(row[8]),
        source=row[9],
        storage_location=None if row[10] is None else absolute(home, row[10]),
        run_id=row[11],
        run_link=row[12],
        model_id=row[13],
        status=row[14],
        status_message=row[15],
        tags=tags,
        aliases=aliases,
    )
