"""Runs that go on without their caller: waited for, followed, stopped from elsewhere; runs within runs."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from proj import active, record, source
from projkit import PROJ, ProjFolder, Started, bare_repository, echo_project, eventually

GATED = (
    "touch there; echo one; while [ ! -e go ]; do sleep 0.02; done; echo two; echo end >&2; exit ${CODE:-0}"
)
PROGRAM = f"{sys.executable} {PROJ}"


def detach(
    folder: ProjFolder, command: str = GATED, *argv: str, env: dict[str, str | None] | None = None
) -> str:
    """Start a run that goes on by itself; returns its id once its command runs."""
    folder.write({"MLproject": echo_project(command)})
    result = folder.process("run", ".", "--no-wait", env=env)
    assert result.code == 0, result
    (run_id,) = result.stdout.split()
    eventually((folder.path / "there").exists)
    return run_id


def supervisor(folder: ProjFolder, run_id: str) -> int:
    with folder.tracking() as tracking:
        claim = active.find(folder.home, tracking.runs.run(run_id).tags[record.TAG_CLAIM])
    assert claim is not None
    return claim.pid


def test_the_exit_code_and_the_logs_of_a_detached_run(folder: ProjFolder) -> None:
    run_id = detach(folder, env={"CODE": "3"})
    assert folder.the_run().status.value == "RUNNING"
    waiting = folder.start("wait", run_id)
    follower = folder.start("logs", "-f", run_id[:8])
    eventually(lambda: "one\n" in follower.stdout)
    assert folder.run("logs", run_id).stdout == "one\n"
    assert folder.run("wait", run_id, "--timeout", "0.1s").code == 124
    folder.write({"go": ""})
    waited = waiting.finish()
    assert (waited.code, run_id in waited.stdout) == (3, True), waited
    followed = follower.finish()
    assert (followed.code, followed.stdout, followed.stderr) == (0, "one\ntwo\n", "end\n"), followed
    assert folder.run("wait", run_id).code == 3
    assert folder.outcome(folder.the_run()).exit_code == 3
    folder.clean()


def test_a_detached_run_is_cancelled_from_elsewhere(folder: ProjFolder) -> None:
    run_id = detach(folder, f"setsid sleep 60 & {GATED}")
    result = folder.run("cancel", run_id)
    assert (result.code, result.stdout) == (0, f"{run_id} cancelled\n"), result
    outcome = folder.outcome(folder.the_run())
    assert (outcome.status, outcome.failure) == ("KILLED", "cancelled")
    assert folder.run("wait", run_id).code == 143
    assert folder.run("cancel", run_id).stdout == f"{run_id} had ended already\n"
    folder.clean()


def test_a_run_is_cancelled_before_it_has_begun(folder: ProjFolder) -> None:
    """The process that is to look after it has not got there yet: the stop waits for it."""
    folder.write({"MLproject": echo_project("sleep 60")})
    for _ in range(3):
        run_id = folder.run("run", ".", "--no-wait").stdout.strip()
        assert folder.run("cancel", run_id).stdout == f"{run_id} cancelled\n"
        outcome = folder.outcome(folder.runs()[0])
        assert (outcome.status, outcome.failure, outcome.signal) == ("KILLED", "cancelled", "SIGTERM")
    folder.clean()


def test_a_run_in_the_foreground_is_cancelled_from_elsewhere(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project(GATED)})
    started = folder.start("run", ".")
    eventually((folder.path / "there").exists)
    run_id = folder.the_run().run_id
    assert folder.run("cancel", run_id, "--json").json["data"]["cancelled"] == [run_id]
    assert started.finish().code == 143
    folder.clean()


def test_a_detached_run_outlives_its_callers_session(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project(GATED), "call.sh": f"{PROGRAM} run . --no-wait && sleep 60"})
    shell = Started(["bash", "call.sh"], cwd=folder.path, env=folder.environment(), log=folder.base / "shell")
    eventually((folder.path / "there").exists)
    os.killpg(shell.process.pid, signal.SIGHUP)
    os.killpg(shell.process.pid, signal.SIGKILL)
    shell.process.wait()
    folder.write({"go": ""})
    run_id = folder.the_run().run_id
    assert folder.run("wait", run_id).code == 0
    assert folder.artifact(folder.the_run(), record.STDOUT) == b"one\ntwo\n"
    folder.clean()


def test_a_detached_run_whose_supervisor_is_killed_is_lost(folder: ProjFolder) -> None:
    run_id = detach(folder, f"setsid sleep 60 & {GATED}")
    waiting = folder.start("wait", run_id)
    os.kill(supervisor(folder, run_id), signal.SIGKILL)
    waited = waiting.finish()
    assert waited.code == 125, waited
    run = folder.the_run()
    assert (run.status.value, run.tags[record.TAG_FAILURE]) == ("KILLED", "lost")
    folder.clean()


def test_a_run_that_cannot_begin_says_so_at_once(folder: ProjFolder) -> None:
    folder.write({"MLproject": "entry_points: {main: {command: 'echo {x}'}}"})
    result = folder.run("run", ".", "--no-wait")
    assert result.code == 2, result
    assert folder.runs() == ()
    folder.clean()


def test_what_a_detached_run_keeps(folder: ProjFolder) -> None:
    project = "proj: {outputs: [made.txt], metrics: stdout}\n" + echo_project(
        "echo loss: 0.5; echo x > made.txt"
    )
    folder.write({"MLproject": project})
    result = folder.run("run", ".", "--no-wait", "--json")
    run_id = result.json["data"]["run_id"]
    assert folder.run("wait", run_id).code == 0
    run = folder.the_run()
    assert run.metrics["loss"].value == 0.5
    assert folder.artifact(run, "made.txt") == b"x\n"
    assert folder.artifact(run, "proj/host.json")
    folder.clean()


def test_a_detached_run_keeps_its_checkout_to_its_end(folder: ProjFolder) -> None:
    there, go = folder.path / "there", folder.path / "go"
    command = f"touch {there}; while [ ! -e {go} ]; do sleep 0.02; done; cat data"
    url, _ = bare_repository(folder, {"MLproject": echo_project(command), "data": "here\n"})
    run_id = folder.process("run", url, "--no-wait").stdout.strip()
    eventually(there.exists)
    assert source.prune_checkouts() == 0
    go.touch()
    assert folder.process("run", url).stdout == "here\n"
    assert folder.run("wait", run_id).code == 0
    assert folder.run("logs", run_id).stdout == "here\n"
    folder.clean()


NESTED = """
entry_points:
  main: {{command: "{program} run . -e inner {options}"}}
  inner: {{command: "touch there; while [ ! -e go ]; do sleep 0.02; done"}}
"""


def nested(folder: ProjFolder, options: str = "") -> None:
    folder.write({"MLproject": NESTED.format(program=PROGRAM, options=options)})


def test_a_nested_run_knows_its_parent_and_keeps_its_environment_manager(folder: ProjFolder) -> None:
    nested(folder)
    folder.write({"go": "", "requirements.txt": "no-such-package-of-anybody"})
    result = folder.process("run", ".", "--env-manager", "local")
    assert result.code == 0, result
    inner, outer = folder.runs()
    assert inner.tags["mlflow.project.entryPoint"] == "inner"
    assert inner.tags["mlflow.parentRunId"] == outer.run_id
    assert "mlflow.parentRunId" not in outer.tags
    assert inner.tags["mlflow.project.env"] == outer.tags["mlflow.project.env"] == "local"
    folder.clean()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_an_outer_run_ends_the_inner_one(folder: ProjFolder, signum: signal.Signals) -> None:
    nested(folder)
    started = folder.start("run", ".")
    eventually((folder.path / "there").exists)
    started.signal(signum)
    code = started.finish().code
    assert code == (-signum if signum == signal.SIGKILL else 128 + signum)
    eventually(lambda: not folder.processes())
    folder.run("wait", *(run.run_id for run in folder.runs()))
    folder.clean()
    outcomes = [folder.outcome(run) for run in folder.runs()]
    failure = "lost" if signum == signal.SIGKILL else "cancelled"
    assert [(outcome.status, outcome.failure) for outcome in outcomes] == [("KILLED", failure)] * 2


def test_a_detached_run_outlives_the_run_that_started_it(folder: ProjFolder) -> None:
    nested(folder, "--no-wait && sleep 60")
    started = folder.start("run", ".")
    eventually((folder.path / "there").exists)
    started.signal(signal.SIGKILL)
    started.finish()
    inner = folder.runs()[0]
    folder.write({"go": ""})
    assert folder.run("wait", inner.run_id).code == 0
    folder.clean()
    assert [run.status.value for run in folder.runs()] == ["FINISHED", "KILLED"]
