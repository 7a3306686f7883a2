"""The changes to the schema of `proj.db` that came after the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

_PLACES = (
    # NULL: the store's own place, which moves with PROJ_HOME.
    "ALTER TABLE experiments ADD COLUMN artifact_location TEXT",
    "ALTER TABLE runs ADD COLUMN artifact_uri TEXT",
)

_INPUTS = (
    """CREATE TABLE datasets (
        id INTEGER PRIMARY KEY,
        experiment INTEGER NOT NULL,
        name TEXT NOT NULL,
        digest TEXT NOT NULL,
        source_type TEXT NOT NULL,
        source TEXT NOT NULL,
        schema TEXT,
        profile TEXT,
        UNIQUE (experiment, name, digest)
    )""",
    """CREATE TABLE inputs (
        id INTEGER PRIMARY KEY,
        run INTEGER NOT NULL,
        dataset INTEGER NOT NULL,
        UNIQUE (run, dataset)
    )""",
    "CREATE INDEX inputs_by_dataset ON inputs (dataset)",
    """CREATE TABLE input_tags (
        input INTEGER NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (input, key)
    ) WITHOUT ROWID""",
    """CREATE TABLE model_inputs (
        run INTEGER NOT NULL,
        model_id TEXT NOT NULL,
        PRIMARY KEY (run, model_id)
    ) WITHOUT ROWID""",
    """CREATE TABLE model_outputs (
        run INTEGER NOT NULL,
        model_id TEXT NOT NULL,
        step INTEGER NOT NULL,
        PRIMARY KEY (run, model_id, step)
    ) WITHOUT ROWID""",
)

_REGISTRY = (
    """CREATE TABLE registered_models (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        description TEXT,
        created_ms INTEGER NOT NULL,
        updated_ms INTEGER NOT NULL,
        last_version INTEGER NOT NULL DEFAULT 0
    )""",
    """CREATE TABLE registered_model_tags (
        model INTEGER NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (model, key)
    ) WITHOUT ROWID""",
    """CREATE TABLE registered_model_aliases (
        model INTEGER NOT NULL,
        alias TEXT NOT NULL,
        version INTEGER NOT NULL,
        PRIMARY KEY (model, alias)
    ) WITHOUT ROWID""",
    """CREATE TABLE model_versions (
        id INTEGER PRIMARY KEY,
        model INTEGER NOT NULL,
        version INTEGER NOT NULL,
        description TEXT,
        user TEXT,
        stage TEXT NOT NULL,
        source TEXT,
        storage_location TEXT,
        run_id TEXT,
        run_link TEXT,
        model_id TEXT,
        status TEXT NOT NULL,
        status_message TEXT,
        created_ms INTEGER NOT NULL,
        updated_ms INTEGER NOT NULL,
        UNIQUE (model, version)
    )""",
    "CREATE INDEX model_versions_by_run ON model_versions (run_id)",
    """CREATE TABLE model_version_tags (
        version INTEGER NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (version, key)
    ) WITHOUT ROWID""",
)

_LOGGED_MODELS = (
    """CREATE TABLE logged_models (
        id INTEGER PRIMARY KEY,
        model_id TEXT NOT NULL UNIQUE,
        experiment INTEGER NOT NULL,
        name TEXT NOT NULL,
        model_type TEXT,
        source_run_id TEXT,
        status TEXT NOT NULL,
        status_message TEXT,
        artifact_location TEXT,
        created_ms INTEGER NOT NULL,
        updated_ms INTEGER NOT NULL,
        deleted_ms INTEGER
    )""",
    "CREATE INDEX logged_models_by_experiment ON logged_models (experiment, created_ms DESC, model_id)",
    "CREATE INDEX logged_models_by_run ON logged_models (source_run_id)",
    """CREATE TABLE logged_model_params (
        model INTEGER NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (model, key)
    ) WITHOUT ROWID""",
    """CREATE TABLE logged_model_tags (
        model INTEGER NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (model, key)
    ) WITHOUT ROWID""",
    # By the model's id, not its row: metrics may come before the model, or from a model kept elsewhere.
    # Texts that are not there are empty, so that the same point logged twice is one.
    """CREATE TABLE logged_model_metrics (
        model_id TEXT NOT NULL,
        key TEXT NOT NULL,
        timestamp_ms INTEGER NOT NULL,
        step INTEGER NOT NULL,
        run INTEGER NOT NULL,
        value REAL NOT NULL,
        is_nan INTEGER NOT NULL,
        dataset_name TEXT NOT NULL,
        dataset_digest TEXT NOT NULL,
        PRIMARY KEY (model_id, key, timestamp_ms, step, run, value, is_nan, dataset_name, dataset_digest)
    ) WITHOUT ROWID""",
    "CREATE INDEX logged_model_metrics_by_value ON logged_model_metrics (key, is_nan, value)",
    "CREATE INDEX logged_model_metrics_by_run ON logged_model_metrics (run)",
)


def add_places(connection: sqlite3.Connection) -> None:
    """Let experiments, and so runs, keep their files in places of their own."""
    _execute(connection, _PLACES)


def add_models(connection: sqlite3.Connection) -> None:
    """Add inputs and outputs of runs, the model registry, and logged models."""
    _execute(connection, (*_INPUTS, *_REGISTRY, *_LOGGED_MODELS))


def _execute(connection: sqlite3.Connection, statements: tuple[str, ...]) -> None:
    for statement in statements:
        connection.execute(statement)
