"""Databases that earlier versions made, brought forward."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from proj.model import Metric
from proj.tracking import open_tracking
from proj.tracking.database import SCHEMA
from proj.tracking.migrations import MIGRATIONS
from proj.tracking.registry import NewModelVersion
from proj.tracking.store import RunQuery

if TYPE_CHECKING:
    from pathlib import Path

_RUN = "ab" * 16
_CONTENT = (
    "INSERT INTO experiments (name, created_ms, updated_ms) VALUES ('wine', 5, 6)",
    "INSERT INTO experiment_tags VALUES (1, 'team', 'red')",
    (
        "INSERT INTO runs "
        "VALUES (1, 'abababababababababababababababab', 1, 'old', 'ada', 'FINISHED', 10, 20, NULL)"
    ),
    "INSERT INTO params VALUES (1, 'alpha', '0.5')",
    "INSERT INTO tags VALUES (1, 'mlflow.runName', 'old')",
    "INSERT INTO latest_metrics VALUES (1, 1, 'loss', 3, 11, 0.25, 0)",
    "INSERT INTO points VALUES (1, 3, 11, 0.25, 0)",
)


@pytest.fixture(params=range(1, len(MIGRATIONS)))
def home(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Make a home as each of the earlier schemas has it."""
    connection = sqlite3.connect(tmp_path / "proj.db")
    connection.execute("PRAGMA journal_mode = WAL")
    with connection:
        MIGRATIONS[0](connection)
        for statement in _CONTENT:
            connection.execute(statement)
        for change in MIGRATIONS[1 : request.param]:
            change(connection)
        connection.execute(f"PRAGMA user_version = {request.param}")
    connection.close()
    return tmp_path


def test_an_earlier_home_keeps_all_it_had(home: Path) -> None:
    with open_tracking(home) as tracking:
        experiment = tracking.runs.experiment_named("wine")
        run = tracking.runs.run(_RUN)
        assert tracking.runs.search_runs(RunQuery(filter="metrics.loss < 1")).runs == (run,)
    assert (experiment.created_ms, experiment.updated_ms, experiment.tags) == (5, 6, {"team": "red"})
    assert (run.experiment_id, run.params, run.started_ms, run.ended_ms) == ("1", {"alpha": "0.5"}, 10, 20)
    assert run.metrics == {"loss": Metric(key="loss", value=0.25, timestamp_ms=11, step=3)}
    assert run.artifact_uri == f"{(home / 'artifacts').as_uri()}/{_RUN}"


def test_an_earlier_home_can_do_all_that_a_new_one_can(home: Path) -> None:
    with open_tracking(home) as tracking:
        far = tracking.runs.create_experiment("far", artifact_location="s3://bucket")
        tracking.runs.move_run(_RUN, far.experiment_id)
        tracking.inputs.log_inputs(_RUN, models=["m-1"])
        tracking.registry.create_model("wine")
        tracking.registry.create_version("wine", NewModelVersion(source="s3://bucket/model"))
    with open_tracking(home) as tracking:
        assert tracking.runs.run(_RUN).experiment_id == far.experiment_id
        assert tracking.registry.version("wine", 1).source == "s3://bucket/model"


def test_earlier_and_new_homes_have_one_schema(home: Path, tmp_path: Path) -> None:
    open_tracking(home).close()
    open_tracking(tmp_path / "new").close()
    assert _schema(home) == _schema(tmp_path / "new")


def _schema(home: Path) -> set[tuple[str, ...]]:
    connection = sqlite3.connect(home / "proj.db")
    found = set(connection.execute("SELECT type, name, sql FROM sqlite_master"))
    connection.close()
    return found


def test_the_newest_schema_is_that_of_all_changes() -> None:
    assert len(MIGRATIONS) == SCHEMA
