"""What `proj.search_runs` returns as a data frame is what `mlflow.search_runs` returns, and a bit more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import proj
from clients import CLIENTS, NEWEST, QUIET, mlflow_server, proj_server
from proj import process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

SCRIPT = """
import json, math, sys, time
import mlflow

mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("wine")
for number in range(3):
    with mlflow.start_run(run_name="run-%d" % number):
        mlflow.log_params({"alpha": number, "only-%d" % number: "it's, \\"quoted\\"\\n"})
        mlflow.log_metrics({"rmse": 1 / (number + 1), "whole": number, "m/%d" % number: math.inf})
        mlflow.log_metric("nan", math.nan)
        for step in range(4):
            mlflow.log_metric("loss", number + step / 3, step=step)
        mlflow.set_tag("team", ["red", "", "007"][number])
    time.sleep(0.005)
mlflow.tracking.MlflowClient().create_run("0")

def described(frame):
    gone = frame.isna()
    return {
        name: {
            "dtype": str(frame[name].dtype),
            "kind": frame[name].dtype.kind,
            "values": [None if no else str(value) for value, no in zip(frame[name], gone[name])],
        }
        for name in frame.columns
    }

everything = ["0", mlflow.get_experiment_by_name("wine").experiment_id]
print(json.dumps(described(mlflow.search_runs(everything, order_by=["attributes.start_time ASC"]))))
"""


def _described(frame: Any) -> dict[str, dict[str, object]]:
    gone = frame.isna()
    return {
        name: {
            "dtype": str(frame[name].dtype),
            "kind": frame[name].dtype.kind,
            "values": [None if no else str(value) for value, no in zip(frame[name], gone[name], strict=True)],
        }
        for name in frame.columns
    }


def _compare(theirs: dict[str, Any], *, here: bool, same_pandas: bool) -> None:
    """Compare what MLflow's client found with what we find, where the place is said by now."""
    ours = _described(proj.search_runs(order_by=["start_time"]).to_pandas())
    added = ("run_name", "experiment", "user", "duration_s")
    assert [column for column in ours if column not in added][:6] == list(theirs)[:6]
    assert set(ours) == {*theirs, *added}
    for column, found in theirs.items():
        if not (here and column == "artifact_uri"):  # a folder; its clients are told that the server has it
            assert ours[column]["values"] == found["values"], column
        assert ours[column]["kind"] == found["kind"], column
        if same_pandas:
            assert ours[column]["dtype"] == found["dtype"], column
    assert ours["experiment"]["values"] == ["wine", "wine", "wine", "Default"]


def _log_and_search(python: Path, url: str) -> dict[str, Any]:
    printed = process.run([str(python), "-c", SCRIPT, url], env=QUIET, timeout_s=300).stdout
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", CLIENTS[1:])
def test_the_frames_are_equal(
    client: Callable[[str], Path], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pandas")
    folder = tmp_path / "server"
    with proj_server(folder) as url:
        theirs = _log_and_search(client(name), url)
    monkeypatch.setenv("PROJ_HOME", str(folder / "home"))
    _compare(theirs, here=True, same_pandas=name == NEWEST)


@pytest.mark.parametrize("kind", ["proj", "mlflow"])
def test_the_frames_are_equal_from_a_server(
    client: Callable[[str], Path], kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pandas")
    python, folder = client(NEWEST), tmp_path / "server"
    with proj_server(folder) if kind == "proj" else mlflow_server(python, folder) as url:
        theirs = _log_and_search(python, url)
        monkeypatch.setenv("PROJ_TRACKING_URI", url)
        _compare(theirs, here=False, same_pandas=True)
        row = proj.search_runs("attributes.run_name = 'run-2'")[0]
        history = row.metric_history("loss")
    assert [(point.step, point.value) for point in history] == [(step, 2 + step / 3) for step in range(4)]
    assert list(history.to_pandas()["step"]) == [0, 1, 2, 3]
