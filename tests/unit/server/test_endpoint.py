"""The endpoint itself, and runs whose programs use it; the programs speak HTTP by the standard library."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from httpkit import Client
from proj.model import NewRun, RunStatus
from proj.server.endpoint import VARIABLES, Endpoint, EndpointSettings
from projkit import PROJ, ProjFolder, echo_project, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from proj.tracking import Tracking

PROLOGUE = """
import json, os, sys, urllib.request

def call(path, **fields):
    token = os.environ["MLFLOW_TRACKING_TOKEN"]
    headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
    url = os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/" + path
    body = json.dumps(fields).encode() if fields else None
    with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
        return json.load(answer)

run_id = os.environ["MLFLOW_RUN_ID"]
"""


@pytest.fixture
def settings(tracking: Tracking) -> EndpointSettings:
    new = NewRun(experiment_id="0", run_name="own", started_ms=1, status=RunStatus.RUNNING)
    return EndpointSettings(run_id=tracking.runs.create_run(new).run_id, experiment_id="0")


def client_of(variables: dict[str, str]) -> Client:
    token = variables["MLFLOW_TRACKING_TOKEN"]
    return Client(variables["MLFLOW_TRACKING_URI"], {"Authorization": f"Bearer {token}"})


def test_it_answers_while_the_block_lasts(tracking: Tracking, settings: EndpointSettings) -> None:
    with Endpoint(tracking, settings) as endpoint:
        client = client_of(endpoint.variables)
        client.ok("POST", "runs/set-tag", run_id=settings.run_id, key="k", value="v")
    assert tracking.runs.run(settings.run_id).tags["k"] == "v"
    with pytest.raises(ConnectionRefusedError):
        client.get("runs/get", run_id=settings.run_id)


def test_nobody_who_calls_costs_nothing(
    tracking: Tracking, settings: EndpointSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = set(threading.enumerate())  # some of which may end meanwhile
    monkeypatch.setenv("HOME", str(tmp_path))
    with Endpoint(tracking, settings) as endpoint:
        assert len(set(threading.enumerate()) - before) == 1
        assert set(endpoint.variables) == set(VARIABLES)
    assert not set(threading.enumerate()) - before


def test_a_request_under_way_is_answered(tracking: Tracking, settings: EndpointSettings) -> None:
    body = json.dumps({"run_id": settings.run_id, "key": "k", "value": "v"}).encode()
    with Endpoint(tracking, settings) as endpoint:
        client = client_of(endpoint.variables)
        client.ok("GET", "experiments/get", experiment_id="0")
        port = int(endpoint.variables["MLFLOW_TRACKING_URI"].rpartition(":")[2])
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.putrequest("POST", "/api/2.0/mlflow/runs/set-tag")
        connection.putheader("Authorization", f"Bearer {endpoint.variables['MLFLOW_TRACKING_TOKEN']}")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        client.ok("GET", "experiments/get", experiment_id="0")  # the head has been read by now
        rest = threading.Timer(0.3, connection.send, (body,))
        rest.start()
    rest.join()
    with contextlib.closing(connection):
        assert connection.getresponse().status == 200
    assert tracking.runs.run(settings.run_id).tags["k"] == "v"


def test_a_connection_that_says_nothing_does_not_hold_up_the_end(
    tracking: Tracking, settings: EndpointSettings
) -> None:
    with Endpoint(tracking, settings) as endpoint:
        port = int(endpoint.variables["MLFLOW_TRACKING_URI"].rpartition(":")[2])
        silent = socket.create_connection(("127.0.0.1", port))
        client_of(endpoint.variables).ok("GET", "experiments/get", experiment_id="0")
    silent.close()


def test_no_proxy_stands_between(
    tracking: Tracking, settings: EndpointSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "example.org")
    with Endpoint(tracking, settings) as endpoint:
        assert endpoint.variables["NO_PROXY"] == "example.org,127.0.0.1"


@pytest.mark.parametrize("place", ["variable", "file"])
def test_a_password_for_another_server_does_not_stand_between(
    tracking: Tracking,
    settings: EndpointSettings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    place: str,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    if place == "variable":
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "of a server")
    else:
        (tmp_path / ".mlflow").mkdir()
        (tmp_path / ".mlflow" / "credentials").touch()
    with Endpoint(tracking, settings) as endpoint:
        variables = endpoint.variables
        assert variables["MLFLOW_TRACKING_USERNAME"]
        assert variables["MLFLOW_TRACKING_PASSWORD"] == variables["MLFLOW_TRACKING_TOKEN"]


def program(folder: ProjFolder, text: str, command: str = f"{sys.executable} main.py") -> ProjFolder:
    return folder.write({"main.py": PROLOGUE + text, "MLproject": echo_project(command)})


def test_a_program_records_to_its_run(folder: ProjFolder) -> None:
    program(
        folder,
        """
experiment = call("experiments/create", name="wine")["experiment_id"]
assert call("runs/get?run_id=" + run_id)["run"]["info"]["experiment_id"] == experiment
call("runs/update", run_id=run_id, status="RUNNING")
call("runs/log-metric", run_id=run_id, key="rmse", value=0.5, timestamp=1)
call("runs/update", run_id=run_id, status="FINISHED", end_time=1)
""",
    )
    result = folder.run("run", ".")
    assert result.code == 0, result
    run = folder.the_run()
    assert run.metrics["rmse"].value == 0.5
    assert run.status is RunStatus.FINISHED
    assert run.ended_ms is not None
    assert run.ended_ms > 1
    with folder.tracking() as tracking:
        assert tracking.runs.experiment(run.experiment_id).name == "wine"
    folder.clean()


def test_the_experiment_of_the_command_line_stays(folder: ProjFolder) -> None:
    program(
        folder,
        """
experiment = call("experiments/create", name="wine")["experiment_id"]
assert call("runs/get?run_id=" + run_id)["run"]["info"]["experiment_id"] == experiment
call("runs/update", run_id=run_id, status="RUNNING")
""",
    )
    assert folder.run("run", ".", "--experiment-name", "beer").code == 0
    with folder.tracking() as tracking:
        assert tracking.runs.experiment(folder.the_run().experiment_id).name == "beer"


def test_a_program_that_marks_its_run_failed(folder: ProjFolder) -> None:
    program(folder, 'call("runs/update", run_id=run_id, status="FAILED")')
    assert folder.run("run", ".").code == 1
    run = folder.the_run()
    assert run.status is RunStatus.FAILED
    assert "marked its run as FAILED" in run.tags["proj.failure.message"]
    assert folder.outcome(run).exit_code == 0


def test_a_program_that_fails_after_all(folder: ProjFolder) -> None:
    program(folder, 'call("runs/update", run_id=run_id, status="FINISHED"); sys.exit(3)')
    assert folder.run("run", ".").code == 3
    assert folder.the_run().status is RunStatus.FAILED


def test_runs_that_it_leaves_open_are_closed(folder: ProjFolder) -> None:
    program(folder, 'call("runs/create", experiment_id="0"); sys.exit(3)')
    folder.run("run", ".")
    assert [run.status for run in folder.runs()] == [RunStatus.FAILED] * 2


def test_runs_of_a_killed_proj_are_closed_by_the_next_command(folder: ProjFolder) -> None:
    program(folder, 'call("runs/create", experiment_id="0"); print("made", flush=True); sys.stdin.read()')
    started = folder.start("run", ".", env={"PYTHONUNBUFFERED": "1"})
    eventually(lambda: len(folder.runs()) == 2)
    started.kill()
    folder.run("runs")
    assert [run.status for run in folder.runs()] == [RunStatus.KILLED] * 2


def test_a_detached_run_has_one_too(folder: ProjFolder) -> None:
    program(folder, 'call("runs/log-metric", run_id=run_id, key="rmse", value=0.5, timestamp=1)')
    assert folder.run("run", ".", "--no-wait").code == 0
    assert folder.run("wait", "latest").code == 0
    assert folder.the_run().metrics["rmse"].value == 0.5


def test_a_run_within_the_run_has_one_of_its_own(folder: ProjFolder) -> None:
    nested = f'[ -n "$NESTED" ] || NESTED=1 {PROJ} run . ; {sys.executable} main.py'
    program(
        folder,
        'call("runs/set-tag", run_id=run_id, key="uri", value=os.environ["MLFLOW_TRACKING_URI"])',
        nested,
    )
    assert folder.run("run", ".").code == 0
    child, parent = folder.runs()
    assert child.tags["mlflow.parentRunId"] == parent.run_id
    assert child.tags["uri"] != parent.tags["uri"]


def test_what_only_the_client_can_use_is_passed_through(
    folder: ProjFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///a.db")
    folder.write({"MLproject": echo_project('echo "$MLFLOW_TRACKING_URI <$MLFLOW_RUN_ID>"')})
    assert folder.run("run", ".").stdout == "sqlite:///a.db <>\n"


def test_the_record_names_what_was_set(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project("true")}).run("run", ".")
    command = json.loads(folder.artifact(folder.the_run(), "proj/command.json"))
    assert set(VARIABLES) < set(command["variables"])
