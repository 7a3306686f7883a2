"""Contracts over tracking servers: which tests do not apply there, and servers of mlflow's own to try."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from clients import mlflow_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_GC = "the protocol removes nothing for good"

RUNS_DIFFER = {
    "test_a_run_moves_to_another_experiment": "the protocol moves no runs",
    "test_no_run_moves_to_a_deleted_experiment": "the protocol moves no runs",
    "test_runs_are_searched_by_the_time_of_their_deletion": "the protocol does not tell that time",
    "test_only_deleted_runs_are_purged": _GC,
}
REGISTRY_DIFFERS = {
    "test_a_version_knows_who_made_it": "the protocol takes no user of a version",
    "test_a_source_that_names_no_version_is_a_usage_error": "servers know stages as sources",
}
MODELS_DIFFER = {
    "test_the_message_of_a_status_is_kept": "the protocol has no message of a status",
    "test_deleted_models_are_found_and_purged": _GC,
}
INPUTS_DIFFER = {"test_a_purged_run_leaves_nothing": _GC}

_TABLES = """registered_model_aliases registered_model_tags model_version_tags model_versions registered_models
    logged_model_metrics logged_model_params logged_model_tags logged_models
    input_tags inputs datasets latest_metrics metrics params tags runs experiment_tags experiments""".split()


@contextlib.contextmanager
def mlflow_servers(python: Path, folder: Path) -> Iterator[MlflowServer]:
    """Run mlflow's own server; one start serves many tests, since its records can be taken away."""
    with mlflow_server(python, folder) as url:
        yield MlflowServer(url, folder / "mlflow.db")


class MlflowServer:
    """An mlflow server that runs.

    Args:
        url: Where.
        database: Its records.
    """

    def __init__(self, url: str, database: Path) -> None:
        self.url = url
        self._database = database

    def empty(self) -> None:
        """Remove all records behind its back, but the default experiment."""
        with contextlib.closing(sqlite3.connect(self._database, timeout=30)) as connection, connection:
            there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            for table in _TABLES:
                if table in there:
                    spared = " WHERE experiment_id != 0" if table == "experiments" else ""
                    connection.execute(f"DELETE FROM {table}{spared}")  # noqa: S608  our own words
