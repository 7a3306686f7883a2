"""Backends and environments of third parties, found by their entry points."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import proj
from proj import record
from projkit import ProjFolder, echo_project

PLUGINS = Path(__file__).parents[1] / "plugins"


@pytest.fixture
def plugged(folder: ProjFolder, monkeypatch: pytest.MonkeyPatch) -> ProjFolder:
    """A project, where the plugins are installed."""
    monkeypatch.syspath_prepend(PLUGINS)
    monkeypatch.setenv("PYTHONPATH", str(PLUGINS))
    monkeypatch.setenv("CLUSTER_LOG", str(folder.base / "cluster.json"))
    return folder.write({"MLproject": echo_project("echo $PAPER"), "to.json": '{"to": "Ada"}'})


def test_a_backend(plugged: ProjFolder) -> None:
    result = plugged.process("run", ".", "--backend", "letter", "-c", "to.json")
    assert result.code == 0, result
    run = plugged.the_run()
    assert run.tags["mlflow.project.backend"] == "letter"
    assert plugged.artifact(run, "proj/stdout.log") == b"Dear Ada: echo $PAPER\n"
    assert run.metrics["stamps"].value == 2
    assert plugged.outcome(run).exit_code == 0
    plugged.clean()


def test_a_backend_tells_of_failures(plugged: ProjFolder) -> None:
    assert plugged.run("run", ".", "-b", "letter", "-c", '{"code": 7}').code == 7
    refused = plugged.run("run", ".", "-b", "letter", "-c", '{"refuse": true}')
    assert refused.code == 125
    assert "The post is closed." in refused.stderr
    assert "Come back." in refused.stderr
    failures = [run.tags[record.TAG_FAILURE] for run in plugged.runs()]
    assert failures == ["unschedulable", "user_exit"]
    plugged.clean()


def test_a_backend_works_detached(plugged: ProjFolder) -> None:
    result = plugged.process("run", ".", "-b", "letter", "--no-wait")
    assert result.code == 0, result
    assert plugged.process("wait", result.stdout.strip()).code == 0
    plugged.clean()


def test_a_backend_that_cannot_be_loaded_and_one_that_is_not_there(plugged: ProjFolder) -> None:
    broken = plugged.run("run", ".", "-b", "broken")
    assert (broken.code, "Traceback" in broken.stderr) == (2, False), broken
    assert "a library is missing" in broken.stderr
    unknown = plugged.run("run", ".", "-b", "leter")
    assert unknown.code == 2
    for name in ("letter", "cluster", "local"):
        assert name in unknown.stderr
    assert plugged.runs() == ()


def test_an_environment(plugged: ProjFolder) -> None:
    result = plugged.process("run", ".", "--env-manager", "paper")
    assert (result.code, result.stdout) == (0, "white\n"), result
    run = plugged.the_run()
    assert (run.tags["mlflow.project.env"], run.tags["proj.environment"]) == ("paper", "white paper")
    assert plugged.artifact(run, "proj/environment/paper.lock") == b"white\n"
    facts = json.loads(plugged.artifact(run, record.ENVIRONMENT))["facts"]
    assert (facts["interpreter"], facts["packages"]) == ("pen", [{"name": "ink", "version": "1.0"}])
    dry = plugged.run("run", ".", "--env-manager", "paper", "--dry-run")
    assert "paper for project (built)" in dry.stdout
    plugged.clean()


def test_an_environment_tells_of_failures(plugged: ProjFolder) -> None:
    plugged.write({"no-paper": ""})
    result = plugged.run("run", ".", "--env-manager", "paper")
    assert result.code == 125
    assert "Buy some." in result.stderr
    assert plugged.the_run().tags[record.TAG_FAILURE] == "env_failed"
    unknown = plugged.run("run", ".", "--env-manager", "papr")
    assert unknown.code == 2
    assert "paper" in unknown.stderr


def test_a_backend_written_for_mlflow(plugged: ProjFolder) -> None:
    plugged.write({"requirements.txt": "no-such-package-of-anybody"})  # the plugin makes the environment
    result = plugged.process("run", ".", "-b", "cluster", "-c", '{"queue": "fast"}', "-P", "x=1")
    assert result.code == 0, result
    run = plugged.the_run()
    given = json.loads((plugged.base / "cluster.json").read_text())
    expected = [str(plugged.path), "main", {"x": "1"}, None, {"queue": "fast"}]
    assert given[:5] == expected
    assert given[6] == run.experiment_id
    assert run.status.value == "FINISHED"
    plugged.clean()


@pytest.mark.parametrize(("config", "code"), [('{"fails": 1}', 125), ('{"broken": 1}', 125)])
def test_a_backend_written_for_mlflow_tells_of_failures(plugged: ProjFolder, config: str, code: int) -> None:
    result = plugged.run("run", ".", "-b", "cluster", "-c", config)
    assert (result.code, "Traceback" in result.stderr) == (code, False), result
    assert plugged.the_run().status.value == "FAILED"
    plugged.clean()


def test_plugins_by_the_api(plugged: ProjFolder) -> None:
    run = proj.run(str(plugged.path), backend="letter", backend_config={"to": "Grace"})
    assert run.get_status() == "FINISHED"
    assert (run.artifacts / "proj" / "stdout.log").read_text().startswith("Dear Grace")
    submitted = proj.submit(str(plugged.path), env_manager="paper")
    assert submitted.wait(timeout_s=60)
    assert (submitted.artifacts / "proj" / "stdout.log").read_text() == "white\n"
