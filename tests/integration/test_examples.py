"""Each example is run for real, from a copy, and its record is looked at."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proj.model import RunStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proj.model import RunRecord
    from projkit import ProjFolder

EXAMPLES = Path(__file__).parents[2] / "examples"


def copy(folder: ProjFolder, name: str) -> str:
    """Copy an example into the test's folder and return its path there."""
    ignored = shutil.ignore_patterns("__pycache__")
    return str(shutil.copytree(EXAMPLES / name, folder.path / name, ignore=ignored))


def metrics(run: RunRecord) -> Mapping[str, float]:
    return {key: metric.value for key, metric in run.metrics.items()}


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir()))
def test_nothing_is_wrong_with_an_example(folder: ProjFolder, name: str) -> None:
    result = folder.run("check", copy(folder, name), "--strict")
    assert result.code == 0, result


# --- hello --------------------------------------------------------------------------------------------


def test_hello_greets_as_often_as_it_is_told(folder: ProjFolder) -> None:
    name = "Ada $(touch hacked) 'quoted'"
    result = folder.run(
        "run", copy(folder, "hello"), "-P", f"name={name}", "-P", "times=2", "-P", "shout=true"
    )
    assert result.code == 0, result
    assert result.stdout == f"HELLO, {name}!\n" * 2
    assert not list(folder.path.rglob("hacked"))
    run = folder.the_run()
    assert run.status is RunStatus.FINISHED
    assert run.params == {"name": name, "times": "2", "shout": "true"}
    assert folder.artifact(run, "proj/stdout.log") == result.out


def test_hello_counts_letters(folder: ProjFolder) -> None:
    result = folder.run("run", copy(folder, "hello"), "-e", "letters", "-P", "text=abracadabra")
    assert result.code == 0, result
    assert result.stdout.splitlines()[0].split() == ["5", "a"]
    assert entry_point(folder.the_run()) == "letters"


def test_hello_refuses_what_its_parameters_do_not_allow(folder: ProjFolder) -> None:
    result = folder.run("run", copy(folder, "hello"), "-P", "times=11")
    assert result.code == 2, result
    assert "times" in result.stderr
    assert folder.runs() == ()


# --- multi-step ---------------------------------------------------------------------------------------


def entry_point(run: RunRecord) -> str:
    return run.tags["mlflow.project.entryPoint"]


def steps(folder: ProjFolder) -> list[str]:
    """The entry points that were run, oldest first."""
    return [entry_point(run) for run in reversed(folder.runs())]


def test_multi_step_runs_each_step_below_the_main_one(folder: ProjFolder) -> None:
    result = folder.run("run", copy(folder, "multi-step"), "-P", "points=50")
    assert result.code == 0, result
    main, *children = reversed(folder.runs())
    assert [entry_point(run) for run in children] == ["make_data", "train", "evaluate"]
    assert {run.tags["mlflow.parentRunId"] for run in children} == {main.run_id}
    assert {run.status for run in folder.runs()} == {RunStatus.FINISHED}
    assert folder.artifact(children[0], "data.csv").count(b"\n") == 50
    assert 0.05 < metrics(main)["rmse"] < 0.2
    assert metrics(main) == metrics(children[-1])


def test_multi_step_keeps_the_steps_that_were_done(folder: ProjFolder) -> None:
    project = copy(folder, "multi-step")
    assert folder.run("run", project, "-P", "degree=1").code == 0
    assert folder.run("run", project, "-P", "degree=1").code == 0
    assert steps(folder)[4:] == ["main"], "all steps had been done"
    assert folder.run("run", project, "-P", "degree=5").code == 0
    assert steps(folder)[5:] == ["main", "train", "evaluate"], "the data had been made"
    with Path(project, "steps.py").open("a") as file:
        file.write("# changed\n")
    assert folder.run("run", project, "-P", "degree=5").code == 0
    assert steps(folder)[8:] == ["main", "make_data", "train", "evaluate"], "the code is another"
    line, _, curve, _ = [
        metrics(run)["rmse"] for run in reversed(folder.runs()) if entry_point(run) == "main"
    ]
    assert curve < line


# --- those that need packages -------------------------------------------------------------------------


@pytest.mark.network
def test_elasticnet_trains_and_validates(folder: ProjFolder) -> None:
    project = copy(folder, "sklearn-elasticnet")
    result = folder.run("run", project, "-P", "alpha=0.25")
    assert result.code == 0, result
    trained = folder.the_run()
    assert trained.params == {"alpha": "0.25", "l1_ratio": "0.1"}
    assert metrics(trained).keys() == {"rmse", "mae", "r2"}
    assert 45 < metrics(trained)["rmse"] < 60
    assert b'name = "scikit-learn"\nversion = "1.6.1"' in folder.artifact(
        trained, "proj/environment/pylock.toml"
    )
    again = folder.run("reproduce", trained.run_id, "--verify", "--stdout", "--json", "--offline")
    assert (again.code, again.json["data"]["same"]) == (0, True), again
    model = f"model={folder.home}/artifacts/{trained.run_id}/model.joblib"

    good = folder.run("run", project, "-e", "validate", "-P", model)
    assert good.code == 0, good
    bad = folder.run("run", project, "-e", "validate", "-P", model, "-P", "threshold=20")
    assert bad.code == 1, bad
    assert "not good enough" in bad.stderr
    assert folder.runs()[0].status is RunStatus.FAILED
    assert folder.outcome(folder.runs()[0]).exit_code == 1


@pytest.mark.network
def test_a_script_gets_the_environment_in_its_head(folder: ProjFolder) -> None:
    project = copy(folder, "script")
    result = folder.run("run", project, "-e", "fit.py", "-P", "noise=0")
    assert result.code == 0, result
    assert result.stdout.splitlines()[-1].split() == ["fitted", "2.0000", "0.0000"]
    run = folder.the_run()
    assert run.params == {"noise": "0"}
    assert b'name = "tabulate"' in folder.artifact(run, "proj/environment/pylock.toml")


# --- docker -------------------------------------------------------------------------------------------


@pytest.mark.docker
def test_docker_builds_its_image_and_trains_in_it(folder: ProjFolder, python_image: str) -> None:
    project = Path(copy(folder, "docker"))
    file = project / "MLproject"
    file.write_text(file.read_text().replace("python:3.11-slim", python_image))
    result = folder.run("run", str(project), "-P", "alpha=0.1", "-P", "l1_ratio=0.9")
    assert result.code == 0, result
    (run,) = folder.runs()
    assert run.tags["mlflow.project.env"] == "docker"
    assert run.tags["mlflow.docker.image.uri"] == "elasticnet-docker"
    assert run.params == {"alpha": "0.1", "l1_ratio": "0.9"}
    assert 0.4 < metrics(run)["rmse"] < 0.7
    assert metrics(run)["nonzero"] == 3
    assert json.loads(folder.artifact(run, "weights.json"))[0] > 2.5
