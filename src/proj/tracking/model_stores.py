"""What is kept of models and datasets; imported when it is asked for, since most runs have no use for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from proj.tracking.inputs import InputStore
from proj.tracking.logged_models import LoggedModelStore
from proj.tracking.registry import ModelRegistry
from proj.tracking.sqlite_inputs import SqliteInputs
from proj.tracking.sqlite_logged_models import SqliteLoggedModels
from proj.tracking.sqlite_registry import SqliteRegistry

if TYPE_CHECKING:
    from proj.tracking.database import Database


class ModelStores(msgspec.Struct, frozen=True, kw_only=True):
    """The stores of models and datasets."""

    registry: ModelRegistry
    logged_models: LoggedModelStore
    inputs: InputStore


def sqlite_model_stores(database: Database, home: str, artifact_root: str) -> ModelStores:
    """Return the stores that are kept in a database.

    Args:
        database: The open database.
        home: URI of the folder that the store's files are kept in.
        artifact_root: URI of where files of new models go, unless their experiment has a place of its own.
    """
    return ModelStores(
        registry=SqliteRegistry(database, home),
        logged_models=SqliteLoggedModels(database, home, artifact_root),
        inputs=SqliteInputs(database),
    )
