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
MLFLOW_RUNS_DIFFER = {
    **RUNS_DIFFER,
    **dict.fromkeys(
        (
            "test_history_comes_in_pages",
            "test_a_sample_of_a_history_is_spread_over_it",
            "test_numbers_that_are_no_numbers_are_kept",
        ),
        "mlflow keeps infinities as the largest numbers there are",
    ),
    **dict.fromkeys(
        (
            "test_a_filter_chooses[params.alpha IN ('1', '2')-c]",
            "test_a_filter_chooses[attributes.run_name IN ('a', 'd')-ad]",
            "test_a_filter_chooses[run_name NOT IN ('a', 'd')-bc]",
            "test_a_filter_chooses[end_time IS NOT NULL-b]",
            "test_a_filter_chooses[params.quote = 'it''s'-d]",
        ),
        "mlflow's grammar does not have it",
    ),
    "test_a_filter_that_cannot_be_understood_is_a_usage_error": "mlflow says it in its own words",
    "test_a_search_that_is_too_large_is_a_usage_error[orders]": "mlflow takes it for a defect of SQLite",
    "test_a_search_that_is_too_large_is_a_usage_error[pattern]": "mlflow takes it for a defect of SQLite",
    "test_a_page_token_belongs_to_its_search": "mlflow's tokens are offsets",
    "test_experiments_that_are_none_hold_nothing": "mlflow refuses ids that are no numbers",
    "test_threads_see_whole_calls_only": "mlflow writes a batch in several transactions",
}
"""Tests that do not apply to mlflow's own server."""
OLD_MLFLOW_RUNS_DIFFER = {
    **MLFLOW_RUNS_DIFFER,
    "test_tags_are_set_and_removed": "mlflow 2 removes no tags of experiments",
    "test_a_filter_chooses[metrics.loss < 1-ab]": "mlflow 2 takes NaN for 0",
    "test_a_search_that_is_too_large_is_a_usage_error[conditions]": "mlflow 2 dies of it",
    "test_the_same_point_twice_is_one": "mlflow 2 refuses a NaN that it has already",
    **dict.fromkeys(
        (
            "test_a_filter_chooses[params.alpha IS NULL-d]",
            "test_a_filter_chooses[params.alpha IS NOT NULL AND tags.team = 'red'-a]",
        ),
        "mlflow 2's grammar does not have it",
    ),
}
"""Tests that do not apply to that of mlflow 2.9 either."""
REGISTRY_DIFFERS = {
    "test_a_version_knows_who_made_it": "the protocol takes no user of a version",
    "test_a_source_that_names_no_version_is_a_usage_error": "servers know stages as sources",
}
MODELS_DIFFER = {
    "test_the_message_of_a_status_is_kept": "the protocol has no message of a status",
    "test_deleted_models_are_found_and_purged": _GC,
}
INPUTS_DIFFER = {"test_a_purged_run_leaves_nothing": _GC}

_TABLES = (
    "registered_model_aliases",
    "registered_model_tags",
    "model_version_tags",
    "model_versions",
    "registered_models",
    "logged_model_metrics",
    "logged_model_params",
    "logged_model_tags",
    "logged_models",
    "input_tags",
    "inputs",
    "datasets",
    "latest_metrics",
    "metrics",
    "params",
    "tags",
    "runs",
    "experiment_tags",
    "experiments",
)


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
