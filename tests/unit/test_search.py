from __future__ import annotations

import datetime as dt
import math
import sys

import pytest

import proj
from proj.errors import NotFoundError, UsageError
from proj.model import Metric, RunStatus
from proj.place import open_tracking
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
    with pytest.raises(UsageError, match="limit 0"):
        proj.search_runs(limit=0)


def test_more_than_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proj.table.RUNS_AT_ONCE", 2)
    names = [record_run(f"run-{number}", started_ago_s=number).run_name for number in range(5)]
    for limit in (None, 1, 2, 3, 4, 5, 6):
        assert [row.run_name for row in proj.search_runs(limit=limit)] == names[:limit]


def test_a_row_is_a_mapping_of_columns() -> None:
    run = record_run(
        "one", params={"lr.initial": "0.1"}, metrics={"rmse": 0.5}, tags={"mlflow.source.name": "here"}
    )
    (row,) = proj.search_runs()
    assert list(row)[:6] == ["run_id", "experiment_id", "status", "artifact_uri", "start_time", "end_time"]
    assert dict(row)["run_id"] == row.run_id == run.run_id
    assert (row["status"], row["experiment"], row["user"], row["duration_s"]) == (
        *("FINISHED", "wine", "ada", 12.0),
    )
    assert (row["params.lr.initial"], row["metrics.rmse"]) == ("0.1", 0.5)
    assert row["tags.mlflow.source.name"] == row.tags["mlflow.source.name"] == "here"
    assert row["start_time"] == dt.datetime.fromtimestamp(run.started_ms / 1000, dt.timezone.utc)
    assert len(row) == len(list(row))
    assert (
        row.get("metrics.nothing", "none") == row.get("nothing", "none") == row.get("a.b", "none") == "none"
    )
    assert {row} == {row}


def test_a_row_is_a_run_as_well() -> None:
    recorded = record_run("one", files={"a.txt": b"a"}, metrics={"m": 1})
    (row,) = proj.search_runs()
    assert isinstance(row, proj.Run)
    assert row.get_status() == row.status == "FINISHED"
    assert row.record() == row.found == recorded
    assert (row.artifacts / "a.txt").read_bytes() == b"a"
    assert row.wait()
    assert row.run_id in repr(row)
    with open_tracking() as tracking:
        tracking.runs.log(row.run_id, metrics=[Metric(key="m", value=2, timestamp_ms=0, step=8)])
    assert (row.metrics["m"].value, row.record().metrics["m"].value) == (1, 2)


def test_a_run_that_goes_on_has_no_end() -> None:
    record_run("one", status=RunStatus.RUNNING)
    (row,) = proj.search_runs()
    assert (row["end_time"], row["duration_s"]) == (None, None)


def test_runs_as_a_data_frame() -> None:
    pandas = pytest.importorskip("pandas")
    first = record_run("a", params={"alpha": "007"}, metrics={"rmse": 1}, started_ago_s=9)
    record_run("b", status=RunStatus.RUNNING, metrics={"loss": math.inf}, tags={"team": "red"})
    frame = proj.search_runs(order_by=["start_time"]).to_pandas()
    assert list(frame["run_name"]) == ["a", "b"]
    assert frame["start_time"][0] == pandas.Timestamp(first.started_ms, unit="ms", tz="UTC")
    assert frame["end_time"].isna().tolist() == [False, True]
    assert frame["duration_s"][0] == 12.0
    assert str(frame["end_time"].dtype).endswith("s, UTC]")
    assert frame["params.alpha"][0] == "007"
    assert {str(frame[name].dtype) for name in ("metrics.rmse", "metrics.loss")} == {"float64"}
    assert frame["metrics.loss"][1] == math.inf
    assert frame["metrics.rmse"].isna().tolist() == frame["params.alpha"].isna().tolist() == [False, True]


def test_no_runs_are_a_data_frame_with_the_columns() -> None:
    pytest.importorskip("pandas")
    frame = proj.search_runs().to_pandas()
    assert len(frame) == 0
    assert "run_id" in frame.columns
    assert str(frame["start_time"].dtype).endswith("s, UTC]")


def test_times_far_away_stay_times() -> None:
    pytest.importorskip("pandas")
    run = record_run("one")
    far_ms = 10**16  # the year 318857: microseconds hold it, datetime does not
    with open_tracking() as tracking:
        tracking.runs.log(run.run_id, metrics=[Metric(key="m", value=1, timestamp_ms=far_ms)])
    (moment,) = proj.metric_history(run.run_id, "m").to_pandas()["timestamp"].to_numpy(dtype="datetime64[ms]")
    assert int(moment.astype("int64")) == far_ms


def test_without_pandas_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="needs pandas") as caught:
        proj.search_runs().to_pandas()
    assert "pip install pandas" in str(caught.value.hint)


def test_the_history_of_a_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proj.table.POINTS_AT_ONCE", 2)
    run = record_run("one")
    points = [
        Metric(key="loss", value=value, timestamp_ms=1000 + step, step=step)
        for step, value in enumerate((3.0, math.inf, 1.5, -math.inf, 0.0))
    ]
    with open_tracking() as tracking:
        tracking.runs.log(run.run_id, metrics=points)
    history = proj.metric_history(run.run_id, "loss")
    assert list(history) == points
    assert (history[-1], history[1:3], len(history)) == (points[-1], points[1:3], 5)
    assert proj.Run(run.run_id).metric_history("loss")[0].value == 3.0
    assert "5 points" in repr(history)
    assert len(proj.metric_history(run.run_id, "nothing")) == 0
    with pytest.raises(NotFoundError):
        proj.metric_history("0" * 32, "loss")


def test_a_history_as_a_data_frame() -> None:
    pandas = pytest.importorskip("pandas")
    run = record_run("one", metrics={"loss": math.nan})
    frame = proj.metric_history(run.run_id, "loss").to_pandas()
    assert list(frame.columns) == ["run_id", "key", "step", "timestamp", "value"]
    assert frame["timestamp"][0] == pandas.Timestamp(run.started_ms, unit="ms", tz="UTC")
    assert (frame["run_id"][0], frame["step"][0]) == (run.run_id, 7)
    assert math.isnan(frame["value"][0])
