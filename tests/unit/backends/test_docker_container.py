from __future__ import annotations

import ast
import os
import shutil
import subprocess  # noqa: TID251  runs what a container runs
import sys
from typing import TYPE_CHECKING

import pytest

from proj import events
from proj.backends.docker import container
from proj.backends.docker.outcome import outcome_of, refused
from proj.errors import BackendError, FailureCode, UsageError
from proj.images.engine import EngineError
from proj.model import DockerDeclaration, ImageRuntime, RunStatus
from proj.process.following import Stopped
from proj.testing.backends import execution_maker

if TYPE_CHECKING:
    from pathlib import Path

    from proj.model import Execution


def _execution(folder: Path, **changes: object) -> Execution:
    return execution_maker(folder, runtime=ImageRuntime(image="image"), cwd="/")("true", **changes)


def test_what_looks_secret_is_no_part_of_the_description(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-1")
    declared = DockerDeclaration(
        image="image",
        environment=(
            ("AWS_SECRET_ACCESS_KEY", None),
            ("DATABASE", "postgres://me:canary-2@host/db"),
            ("MODE", "quick"),
        ),
    )
    runtime = ImageRuntime(image="image", docker=declared)
    run = _execution(tmp_path, runtime=runtime, docker_args=(("env", "API_TOKEN=canary-3"),))
    body = container.body_of(run, runtime)
    hidden = container.hidden_of(body)
    assert "canary" not in str(body)
    assert "MODE=quick" in body["Env"]
    script = container.secrets_of(run, hidden).decode()
    assert all(f"canary-{number}" in script for number in (1, 2, 3))


@pytest.mark.parametrize("shell", [name for name in ("sh", "bash", "dash") if shutil.which(name)])
def test_secrets_come_as_lines_of_an_input_that_stays_open(tmp_path: Path, shell: str) -> None:
    values = {
        "PLAIN_TOKEN": "abc",
        "EMPTY_TOKEN": "",
        "LINES_KEY": "-----BEGIN-----\n\n'quoted' \"twice\" $HOME `id` \\\nproj_ready=yes\n",
        "NOT_UTF8_TOKEN": "\udcff\udcfe",
    }
    run = _execution(tmp_path, secrets=tuple(values), variables=values)
    runtime = ImageRuntime(image="image")
    _, *started = container.body_of(run, runtime)["Cmd"]
    started[3:] = [
        sys.executable,
        "-c",
        "import os, sys; sys.stdout.buffer.write(repr(dict(os.environb)).encode())",
    ]
    with subprocess.Popen([shell, *started], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(container.secrets_of(run, {}))
        process.stdin.flush()
        found = ast.literal_eval(process.stdout.read().decode())
    assert {name: os.fsdecode(found[name.encode()]) for name in values} == values
    assert not [name for name in found if name.startswith(b"proj_")]


@pytest.mark.parametrize("cut", [0, 1, 20, -1, -5, -12])
def test_a_command_does_not_start_with_part_of_its_secrets(tmp_path: Path, cut: int) -> None:
    values = {"A_TOKEN": "abc", "B_TOKEN": "def"}
    run = _execution(tmp_path, secrets=tuple(values), variables=values)
    _, *started = container.body_of(run, ImageRuntime(image="image"))["Cmd"]
    started[3:] = ["touch", str(tmp_path / "started")]
    given = container.secrets_of(run, {})[:cut]
    ended = subprocess.run(
        ["sh", *started], input=given, env={**os.environ, "proj_ready": "yes"}, check=False
    )
    assert ended.returncode == 125
    assert not (tmp_path / "started").exists()


def test_a_terminal_that_would_show_the_secrets_is_not_made(tmp_path: Path) -> None:
    told: list[str] = []
    with events.listening(lambda event: told.append(event.message)):
        run = _execution(tmp_path, docker_args=(("t", None),))
        body = container.body_of(run, ImageRuntime(image="image"))
        assert not told
        container.check(None, run.docker_args, tmp_path)
    assert "Tty" not in body
    assert "no terminal of its own" in told[0]


def test_a_command_that_gets_over_a_killed_process_has_succeeded(tmp_path: Path) -> None:
    run = _execution(tmp_path)
    inspected = {"State": {"OOMKilled": True, "ExitCode": 0}}
    outcome = outcome_of(inspected, Stopped(), run, 64 << 20)
    assert (outcome.status, outcome.failure) == (RunStatus.FINISHED, None)
    inspected = {"State": {"OOMKilled": True, "ExitCode": 137}}
    outcome = outcome_of(inspected, Stopped(), run, 64 << 20)
    assert outcome.failure is FailureCode.OOM_KILLED
    assert "64 MiB" in str(outcome.message)


def test_a_pair_in_one_word_is_no_variable() -> None:
    declared = DockerDeclaration(image="x", environment=(("A=canary", None),))
    with pytest.raises(BackendError, match="has A=…, which is no name of a variable") as caught:
        container.declared_variables(declared)
    assert "canary" not in f"{caught.value.message} {caught.value.hint}"


def test_an_engine_that_has_lost_its_containerd_is_not_the_project_s_fault(tmp_path: Path) -> None:
    said = (
        'connection error: desc = "transport: Error while dialing unix:///run/containerd.sock": unavailable'
    )
    error = refused(EngineError(500, said), _execution(tmp_path), "image")
    assert error.code == "unschedulable"
    assert "containerd does not answer" in error.message


def test_what_is_mounted_must_be_there_if_the_engine_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = (("mount", f"type=bind,source={tmp_path}/none,target=/x"),)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(UsageError, match=f"its source {tmp_path}/none is not there"):
        container.check(None, given, tmp_path)
    monkeypatch.setenv("DOCKER_HOST", "tcp://engine.example:2375")
    container.check(None, given, tmp_path)


def test_a_bare_word_that_is_a_folder_here_is_told_to_be_a_volume_of_docker(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    declared = DockerDeclaration(image="image", volumes=("data:/data",))
    told: list[str] = []
    with events.listening(lambda event: told.append(event.message)):
        container.check(declared, (("v", "other:/other"),), tmp_path)
    assert len(told) == 1
    assert "the name data. For the project's folder write ./data:/data." in told[0]
    run = _execution(tmp_path, docker_args=(("v", "data:/data"),))
    body = container.body_of(run, ImageRuntime(image="image"))
    assert body["HostConfig"]["Binds"] == ["data:/data"]
