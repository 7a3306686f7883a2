"""Registered models of another store, into `proj.db`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.tracking.past import Added
from proj.tracking.places import relative
from proj.tracking.values import add_values, optional, storable

if TYPE_CHECKING:
    import sqlite3

    from proj.tracking.past import PastModel
    from proj.tracking.registry import ModelVersion

NUMBER_TAG = "proj.import.version"
"""The number that a version has in the store that it comes from, where it is another one here."""


def add_past_model(connection: sqlite3.Connection, model: PastModel, home: str) -> Added:
    """Add a registered model, or what is new of it; within a transaction of the caller.

    Args:
        connection: A write transaction.
        model: The model.
        home: URI of the folder that the store's files are kept in.
    """
    row, new = _model(connection, model)
    values = add_values(connection, "registered_model_tags", "model", row, model.tags)
    numbers: dict[int, int] = {}
    renumbered: dict[int, int] = {}
    versions, changed = 0, False
    for version in sorted(model.versions, key=lambda each: each.version):
        number = _same(connection, row, version)
        if number is None:
            number = _free_number(connection, row, version.version)
            values += _insert(connection, row, version, number, home)
            versions += 1
            if number != version.version:
                renumbered[version.version] = number
        else:
            more, moved = _update(connection, row, version, number)
            values += more
            changed = changed or moved
        numbers[version.version] = number
    connection.execute(
        "UPDATE registered_models SET last_version = max(last_version, ?) WHERE id = ?",
        (model.last_version, row),
    )
    for alias, number in model.aliases.items():
        values += _add_alias(connection, row, alias, numbers.get(number, number))
    return Added(
        id=model.name, new=new, changed=changed, values=values, versions=versions, renumbered=renumbered
    )


def _model(connection: sqlite3.Connection, model: PastModel) -> tuple[int, bool]:
    inserted = connection.execute(
        "INSERT OR IGNORE INTO registered_models (name, description, created_ms, updated_ms) "
        "VALUES (?, ?, ?, ?)",
        (storable(model.name), optional(model.description), model.created_ms, model.updated_ms),
    )
    (row,) = connection.execute(
        "SELECT id FROM registered_models WHERE name = ?", (storable(model.name),)
    ).fetchone()
    return row, bool(inserted.rowcount)


def _same(connection: sqlite3.Connection, model: int, version: ModelVersion) -> int | None:
    """Return the number that a version has here; None if it is not here.

    Two versions are the same if they were created in the same millisecond with the same number.
    """
    found = connection.execute(
        "SELECT version FROM model_versions WHERE model = ? AND created_ms = ? AND (version = ? OR id IN "
        "(SELECT version FROM model_version_tags WHERE key = ? AND value = ?))",
        (model, version.created_ms, version.version, NUMBER_TAG, str(version.version)),
    ).fetchone()
    return None if found is None else int(found[0])


def _free_number(connection: sqlite3.Connection, model: int, wanted: int) -> int:
    """Return the number for a new version, and remember it as given."""
    taken = connection.execute(
        "SELECT 1 FROM model_versions WHERE model = ? AND version = ?", (model, wanted)
    ).fetchone()
    (last,) = connection.execute(
        "SELECT last_version FROM registered_models WHERE id = ?", (model,)
    ).fetchone()
    number: int = last + 1 if taken else wanted
    connection.execute(
        "UPDATE registered_models SET last_version = max(last_version, ?) WHERE id = ?", (number, model)
    )
    return number


def _insert(connection: sqlite3.Connection, model: int, version: ModelVersion, number: int, home: str) -> int:
    """Add a version; return how many tags it has."""
    row = connection.execute(
        "INSERT INTO model_versions (model, version, description, user, stage, source, storage_location, "
        "run_id, run_link, model_id, status, status_message, created_ms, updated_ms) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            model,
            number,
            optional(version.description),
            optional(version.user),
            version.stage.value,
            optional(version.source),
            None if version.storage_location is None else storable(relative(home, version.storage_location)),
            optional(version.run_id),
            optional(version.run_link),
            optional(version.model_id),
            version.status,
            optional(version.status_message),
            version.created_ms,
            version.updated_ms,
        ),
    ).lastrowid
    assert row is not None  # noqa: S101  an INSERT that succeeds has a row number
    tags = dict(version.tags)
    if number != version.version:
        tags[NUMBER_TAG] = str(version.version)
    return add_values(connection, "model_version_tags", "version", row, tags)


def _update(
    connection: sqlite3.Connection, model: int, version: ModelVersion, number: int
) -> tuple[int, bool]:
    """Bring a version that is here up to date; return the number of new tags, and whether it changed."""
    (row,) = connection.execute(
        "SELECT id FROM model_versions WHERE model = ? AND version = ?", (model, number)
    ).fetchone()
    changed = connection.execute(
        "UPDATE model_versions SET description = ?, stage = ?, status = ?, status_message = ?, "
        "updated_ms = ? WHERE id = ? AND updated_ms < ?",
        (
            optional(version.description),
            version.stage.value,
            version.status,
            optional(version.status_message),
            version.updated_ms,
            row,
            version.updated_ms,
        ),
    )
    values = add_values(connection, "model_version_tags", "version", row, version.tags)
    return values, bool(changed.rowcount)


def _add_alias(connection: sqlite3.Connection, model: int, alias: str, number: int) -> int:
    """Let an alias that is not here point at a version; return whether it is new."""
    return connection.execute(
        "INSERT OR IGNORE INTO registered_model_aliases (model, alias, version) "
        "SELECT model, ?, version FROM model_versions WHERE model = ? AND version = ?",
        (storable(alias), model, number),
    ).rowcount
