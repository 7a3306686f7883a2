from __future__ import annotations

import pytest

import proj
from proj.errors import UsageError
from records import record_run


def test_runs_are_found_newest_first() -> None:
    old = record_run("old", started_ago_s=60)
    new = record_run("new", experiment="beer")
    assert [run.run_id for run in proj.search_runs()] == [new.run_id, old.run_id]


def test_a_filter_an_order_and_a_limit() -> None:
    for rmse in (0.7, 0.5, 0.9):
        record_run(f"rmse-{rmse}", params={"alpha": "0.5"}, metrics={"rmse": rmse})
    record_run("another", params={"alpha": "1"}, metrics={"rmse": 0.1})
    found = proj.search_runs("params.alpha = '0.5'", order_by=["metrics.rmse ASC"], limit=2)
    assert [run.metrics["rmse"].value for run in found] == [0.5, 0.7]


def test_experiments_are_named() -> None:
    wine = record_run("red", experiment="wine")
    record_run("dark", experiment="beer")
    assert [run.run_id for run in proj.search_runs(experiment_names=["wine", "nothing"])] == [wine.run_id]
    assert proj.search_runs(experiment_names=["nothing"]) == ()


def test_a_filter_that_cannot_be_understood_is_refused() -> None:
    with pytest.raises(UsageError, match="column"):
        proj.search_runs("metrics.rmse <")
