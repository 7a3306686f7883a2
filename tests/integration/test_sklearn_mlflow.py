"""The example with MLflow's client, with clients of MLflow 2 and 3, in environments that `proj` makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proj import process
from projkit import PROJ

EXAMPLE = Path(__file__).parents[2] / "examples" / "sklearn-mlflow"

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(900)]

DAYS = {"2": "2024-02-01", "3": "2026-11-20"}
"""Major version of the client -> a day on which it was the newest."""


def _proj(*argv: str, exit_code: int = 0) -> Any:
    finished = process.run([PROJ, *argv, "--json"], check=False)
    assert finished.returncode == exit_code, finished.stderr + finished.stdout
    return json.loads(finished.stdout)["data"]


def _shown(run_id: str) -> Any:
    return _proj("show", run_id)


def _latest(shown: Any) -> dict[str, float]:
    return {metric["key"]: metric["value"] for metric in shown["metrics"]}


def _model_files(shown: Any) -> set[str]:
    """The files of the model, wherever the client keeps them."""
    beside = [file["path"] for model in shown["models"] for file in model["files"]]
    among = [file["path"] for file in shown["artifacts"] if file["path"].startswith("model/")]
    return {*beside, *(path.removeprefix("model/") for path in among)}


@pytest.mark.parametrize("major", DAYS)
def test_the_example_with_mlflow_of_both_ages(major: str) -> None:
    def run(*argv: str, exit_code: int = 0) -> Any:
        folder = str(EXAMPLE)
        told = _proj("run", folder, "--as-of", DAYS[major], *argv, exit_code=exit_code)
        return told if exit_code else _shown(told["run_id"])

    trained = run("-P", "alpha=0.5")
    run_id = trained["run"]["run_id"]
    assert trained["run"]["params"] == {"alpha": "0.5"}
    assert _latest(trained)["rmse"] == pytest.approx(55, abs=5)
    assert {"MLmodel", "requirements.txt"} <= _model_files(trained)
    assert len(trained["models"]) == (1 if major == "3" else 0)
    packages = {each["name"]: each["version"] for each in trained["environment"]["facts"]["packages"]}
    assert packages["mlflow"].startswith(f"{major}.")

    again = _proj("reproduce", run_id, "--verify")
    assert again["same"]
    model = [row for row in again["rows"] if row["group"] == "artifacts"]
    assert {"model/MLmodel"} <= {row["item"] for row in model}
    assert all(row["reason"] for row in model if row["left"] != row["right"])

    tuned = run("-e", "tune", "-P", "alphas=0.1 1.0")
    children = [each for each in _proj("runs")["runs"] if each["run_name"].startswith("alpha ")]
    assert {each["params"]["alpha"] for each in children} == {"0.1", "1.0"}
    assert {each["status"] for each in children} == {"FINISHED"}
    assert {each["tags"]["mlflow.parentRunId"] for each in children} == {tuned["run"]["run_id"]}
    assert tuned["run"]["params"] == {"alphas": "0.1 1.0", "best_alpha": "0.1"}
    assert "MLmodel" in _model_files(tuned)

    uri = f"model=runs:/{run_id}/model"
    checked = run("-e", "validate", "-P", uri)
    assert _latest(checked)["rmse"] == pytest.approx(_latest(trained)["rmse"])
    assert checked["run"]["tags"]["passed"] == "True"
    run("-e", "validate", "-P", uri, "-P", "threshold=1", exit_code=1)
