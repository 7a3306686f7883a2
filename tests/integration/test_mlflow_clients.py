"""Scripts with a stock mlflow client, run by `proj run` as their authors run them: nothing is set up."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest

from clients import CLIENTS, NEWEST, QUIET
from proj import process
from proj.model import RunStatus
from projkit import ProjFolder, Result, echo_project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from proj.model import RunRecord

pytestmark = [pytest.mark.clients, pytest.mark.timeout(900)]

every_client = pytest.mark.parametrize("name", CLIENTS)

PROJECT = """
name: wine
entry_points:
  main:
    parameters:
      alpha: {type: float, default: "0.50"}
      seed: {type: string, default: "007"}
      shuffle: {type: string, default: "True"}
      data: {type: path, default: data.csv}
    command: "$CLIENT main.py {alpha} {seed} {shuffle} {data}"
"""

TRAINING = """
import math, sys
import mlflow

alpha, seed, shuffle, data = sys.argv[1:]
mlflow.set_experiment("wine-quality")
with mlflow.start_run() as run:
    mlflow.log_params({"alpha": float(alpha), "seed": int(seed), "shuffle": shuffle.lower(), "data": data})
    for step in range(3):
        mlflow.log_metric("rmse", 1 / (step + 1), step=step)
    mlflow.log_metrics({"nan": math.nan, "inf": math.inf})
    mlflow.set_tag("team", "red")
    mlflow.log_dict({"a": 1}, "out/a.json")
    mlflow.log_text("hello", "hello.txt")
    with mlflow.start_run(run_name="fold", nested=True) as child:
        mlflow.log_metric("fold", 1)
with mlflow.start_run(run_name="sibling"):
    mlflow.log_param("alpha", 1)
client = mlflow.tracking.MlflowClient()
left = client.create_run(run.info.experiment_id)
client.log_param(left.info.run_id, "left", "open")
assert client.get_run(run.info.run_id).info.status == "FINISHED"
assert [point.step for point in client.get_metric_history(run.info.run_id, "rmse")] == [0, 1, 2]
assert {file.path for file in client.list_artifacts(run.info.run_id)} >= {"out", "hello.txt"}
found = mlflow.search_runs([run.info.experiment_id], filter_string="metrics.rmse < 0.5")
assert list(found.run_id) == [run.info.run_id]
"""


def run(
    folder: ProjFolder, python: Path, script: str, *options: str, command: str = "$CLIENT main.py"
) -> Result:
    """Run a project of one script in a client's interpreter."""
    _import(python)
    if not (folder.path / "MLproject").exists():
        folder.write({"MLproject": echo_project(command)})
    folder.write({"main.py": script})
    variables = {**QUIET, "CLIENT": str(python), "HOME": str(folder.base)}
    return folder.process("run", ".", *options, env=variables)


@functools.cache
def _import(python: Path) -> None:
    """Import it once: Python compiles what it imports for the first time, and no test waits that long."""
    process.run([str(python), "-c", "import mlflow"], env=QUIET, timeout_s=600)


def named(folder: ProjFolder, name: str) -> RunRecord:
    (found,) = [run for run in folder.runs() if run.run_name == name]
    return found


def experiment_of(folder: ProjFolder, run: RunRecord) -> str:
    with folder.tracking() as tracking:
        return tracking.runs.experiment(run.experiment_id).name


@every_client
def test_a_training_is_recorded(folder: ProjFolder, client: Callable[[str], Path], name: str) -> None:
    folder.write({"MLproject": PROJECT, "data.csv": "1,2\n"})
    result = run(folder, client(name), TRAINING, "--run-name", "own")
    assert result.code == 0, result
    own = named(folder, "own")
    assert experiment_of(folder, own) == "wine-quality"
    assert own.status is RunStatus.FINISHED
    assert own.params == {"alpha": "0.50", "seed": "007", "shuffle": "True", "data": "data.csv"}
    assert own.metrics["rmse"].step == 2
    assert own.metrics["inf"].value == float("inf")
    assert own.tags["team"] == "red"
    assert own.tags["mlflow.project.entryPoint"] == "main"
    assert folder.artifact(own, "hello.txt") == b"hello"
    assert named(folder, "fold").tags["mlflow.parentRunId"] == own.run_id
    assert "mlflow.parentRunId" not in named(folder, "sibling").tags
    (left,) = [run for run in folder.runs() if run.params.get("left") == "open"]
    assert left.status is RunStatus.FINISHED
    assert len(folder.runs()) == 4
    folder.clean()


@every_client
def test_a_script_that_never_starts_a_run(
    folder: ProjFolder, client: Callable[[str], Path], name: str
) -> None:
    script = "import mlflow\nmlflow.log_param('a', 1)\nmlflow.log_metric('m', 2)\n"
    assert run(folder, client(name), script).code == 0
    recorded = folder.the_run()
    assert (recorded.params, recorded.metrics["m"].value) == ({"a": "1"}, 2)
    assert recorded.status is RunStatus.FINISHED


@every_client
def test_a_script_that_fails_within_its_run(
    folder: ProjFolder, client: Callable[[str], Path], name: str
) -> None:
    script = (
        "import mlflow\nwith mlflow.start_run():\n    mlflow.log_param('a', 1)\n    raise SystemExit(7)\n"
    )
    assert run(folder, client(name), script).code == 7
    assert folder.the_run().status is RunStatus.FAILED


@every_client
def test_several_programs_of_one_run_may_set_experiments(
    folder: ProjFolder, client: Callable[[str], Path], name: str
) -> None:
    script = "import sys, mlflow\nmlflow.set_experiment(sys.argv[1])\nmlflow.start_run().info.run_id\n"
    result = run(folder, client(name), script, command="$CLIENT main.py one && $CLIENT main.py two")
    assert result.code == 0, result
    assert experiment_of(folder, folder.the_run()) == "two"


@every_client
def test_an_experiment_of_the_command_line_goes_before_the_scripts(
    folder: ProjFolder, client: Callable[[str], Path], name: str
) -> None:
    script = "import mlflow\nmlflow.set_experiment('mine')\nmlflow.log_param('a', 1)\n"
    result = run(folder, client(name), script, "--experiment-name", "yours")
    assert result.code == 0, result
    assert experiment_of(folder, folder.the_run()) == "yours"


def test_what_is_logged_asynchronously_is_there(folder: ProjFolder, client: Callable[[str], Path]) -> None:
    script = (
        "import mlflow\n"
        "with mlflow.start_run():\n"  # else the client itself loses the last ones, and says so
        "    for step in range(500):\n"
        "        mlflow.log_metric('m', step, step=step, synchronous=False)\n"
    )
    assert run(folder, client(NEWEST), script).code == 0
    with folder.tracking() as tracking:
        history = tracking.runs.metric_history(folder.the_run().run_id, "m")
    assert [point.step for point in history] == list(range(500))


def test_another_runs_record_is_read_and_not_written(
    folder: ProjFolder, client: Callable[[str], Path]
) -> None:
    python = client(NEWEST)
    assert run(folder, python, "import mlflow; mlflow.log_param('a', 1)").code == 0
    other = folder.the_run().run_id
    script = (
        "import mlflow\n"
        f"assert mlflow.get_run('{other}').data.params == {{'a': '1'}}\n"
        f"mlflow.MlflowClient().set_tag('{other}', 'k', 'v')\n"
    )
    result = run(folder, python, script)
    assert result.code != 0
    assert "PERMISSION_DENIED" in result.stderr
