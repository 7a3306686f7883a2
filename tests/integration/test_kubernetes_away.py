"""Runs on a real cluster whose API server goes away, and runs that are looked after from another machine."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

import serverkit
from clusterkit import IMAGE, ApiServer, Namespace
from projkit import ProjFolder, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(300)]


def project(line: str) -> dict[str, str | bytes]:
    declared = {"name": "away", "docker_env": {"image": IMAGE}, "entry_points": {"main": {"command": line}}}
    return {"MLproject": json.dumps({**declared, "proj": {"metrics": "stdout"}})}


def options(namespace: Namespace, **settings: object) -> list[str]:
    return ["--backend", "kubernetes", "-c", namespace.config(**settings), "--grace", "1s"]


def counted(lines: int) -> str:
    return "".join(f"line {number}\n" for number in range(1, lines + 1))


def last_run(folder: ProjFolder) -> dict[str, Any]:
    found: list[dict[str, Any]] = folder.process("runs", "--json").json["data"]["runs"]
    return found[0]


@pytest.mark.parametrize("lines", [8, 40], ids=["ends meanwhile", "goes on"])
def test_a_restarted_api_server_loses_and_doubles_nothing(
    folder: ProjFolder, namespace: Namespace, api_server: ApiServer, lines: int
) -> None:
    folder.write(project(f"for i in $(seq {lines}); do echo line $i; sleep 0.5; done; exit 5"))
    started = folder.start("run", ".", *options(namespace))
    eventually(lambda: "line 3" in started.stdout)
    api_server.kill()
    api_server.start()
    done = started.finish()
    assert (done.code, done.stdout) == (5, counted(lines)), done
    run = last_run(folder)
    assert (run["status"], run["failure"], run["exit_code"]) == ("FAILED", "user_exit", 5)
    assert folder.process("logs", run["run_id"]).stdout == counted(lines)


def test_a_client_that_dies_while_the_api_server_is_away_is_replaced_when_it_is_back(
    folder: ProjFolder, namespace: Namespace, api_server: ApiServer
) -> None:
    folder.write(project("for i in $(seq 8); do echo line $i; sleep 0.5; done; exit 5"))
    started = folder.start("run", ".", *options(namespace))
    eventually(lambda: "line 3" in started.stdout)
    api_server.kill()
    started.kill()
    assert last_run(folder)["status"] == "RUNNING"  # nobody can tell
    api_server.start()
    api_server.await_ready()
    assert folder.process("reconcile").code == 0  # others ask what was away only after a while
    eventually(lambda: last_run(folder)["status"] != "RUNNING")
    run = last_run(folder)
    assert (run["status"], run["exit_code"]) == ("FAILED", 5), folder.process(
        "show", run["run_id"], "--json"
    ).stdout
    assert folder.process("logs", run["run_id"]).stdout == counted(8)


# --- two machines, one tracking server ----------------------------------------------------------------


class Machines:
    """Two homes that record on one server, as two machines would."""

    def __init__(self, folder: ProjFolder, server: str, tmp_path: Path) -> None:
        self._folder = folder
        self._server = server
        self._homes = {name: str(tmp_path / name) for name in ("first", "second")}

    def env(self, name: str) -> dict[str, str | None]:
        return {"PROJ_TRACKING_URI": self._server, "PROJ_HOME": self._homes[name]}

    def process(self, name: str, *argv: str) -> Any:
        return self._folder.process(*argv, env=self.env(name))

    def start(self, name: str, *argv: str) -> Any:
        return self._folder.start(*argv, env=self.env(name))

    def status(self, name: str, run_id: str) -> str:
        """As the server has it, without anybody's having a closer look."""
        runs = self.process(name, "runs", "--json").json["data"]["runs"]
        return str(next(run["status"] for run in runs if run["run_id"] == run_id))


@pytest.fixture
def machines(folder: ProjFolder, tmp_path: Path) -> Iterator[Machines]:
    with serverkit.running(tmp_path) as server:
        yield Machines(folder, server.uri, tmp_path)


def begun(machines: Machines, folder: ProjFolder, namespace: Namespace, line: str) -> tuple[Any, str]:
    """A run of the first machine that has begun; returns its process, and its id."""
    folder.write(project(line))
    started = machines.start("first", "run", ".", *options(namespace))
    eventually(lambda: "line 2" in started.stdout)
    return started, str(machines.process("first", "runs", "--json").json["data"]["runs"][0]["run_id"])


LINE = "for i in $(seq 12); do echo line $i; sleep 0.5; done; exit 5"


def test_another_machine_follows_what_is_written_as_it_is_written(
    machines: Machines, folder: ProjFolder, namespace: Namespace
) -> None:
    started, run_id = begun(machines, folder, namespace, LINE)
    following = machines.start("second", "logs", "-f", run_id)
    eventually(lambda: "line 4" in following.stdout)
    assert machines.status("second", run_id) == "RUNNING"
    assert following.finish().stdout == counted(12)
    assert started.finish().code == 5
    assert machines.process("second", "wait", run_id).code == 5


@pytest.mark.parametrize("command", ["wait", "show", "reconcile"])
def test_another_machine_closes_a_run_whose_own_machine_is_gone(
    machines: Machines, folder: ProjFolder, namespace: Namespace, command: str
) -> None:
    line = LINE.replace("echo line $i", 'echo line $i; echo "loss: 0.$i"')
    written = "".join(f"line {number}\nloss: 0.{number}\n" for number in range(1, 13))
    started, run_id = begun(machines, folder, namespace, line)
    started.kill()
    if command == "wait":
        assert machines.process("second", "wait", run_id).code == 5
    elif command == "show":
        eventually(lambda: "FAILED" in machines.process("second", "show", run_id).stdout)
    else:
        eventually(lambda: run_id in machines.process("second", "reconcile").stdout)
    shown = machines.process("second", "show", run_id, "--json").json["data"]
    assert (shown["run"]["status"], shown["run"]["exit_code"]) == ("FAILED", 5)
    assert '"proj.image"' in json.dumps(shown)  # as the pod's status told the second machine
    assert machines.process("second", "logs", run_id).stdout == written
    # What its own machine has of it is less, and stays out of the record when that is back.
    assert machines.process("first", "runs").code == 0
    assert machines.process("first", "logs", run_id).stdout == written
    told = machines.process("first", "metrics", run_id, "--history", "--json").json["data"]
    points = sorted((point["step"], point["value"]) for point in told["points"])
    assert points == [(number - 1, float(f"0.{number}")) for number in range(1, 13)]


def test_another_machine_stops_a_run_whose_own_machine_is_gone(
    machines: Machines, folder: ProjFolder, namespace: Namespace
) -> None:
    started, run_id = begun(machines, folder, namespace, "echo line 2; exec sleep 600")
    started.kill()
    assert machines.process("second", "cancel", run_id).code == 0
    shown = machines.process("second", "show", run_id, "--json").json["data"]
    assert (shown["run"]["status"], shown["run"]["failure"]) == ("KILLED", "cancelled")
    namespace.until_gone(run_id)


def test_another_machine_stops_a_run_whose_own_machine_looks_after_it(
    machines: Machines, folder: ProjFolder, namespace: Namespace
) -> None:
    started, run_id = begun(machines, folder, namespace, "echo line 2; exec sleep 600")
    assert machines.process("second", "cancel", run_id).code == 0
    assert started.finish().code == 130
    namespace.until_gone(run_id)


def test_several_that_look_on_at_once_get_all_of_it(
    machines: Machines, folder: ProjFolder, namespace: Namespace
) -> None:
    started, run_id = begun(machines, folder, namespace, LINE)
    started.kill()
    following = machines.start("second", "logs", "-f", run_id)
    waiting = machines.start("second", "wait", run_id)
    assert waiting.finish().code == 5
    assert following.finish().stdout == counted(12)
    assert machines.process("second", "logs", run_id).stdout == counted(12)


def test_a_machine_that_was_asleep_undoes_nothing(
    machines: Machines, folder: ProjFolder, namespace: Namespace
) -> None:
    started, run_id = begun(
        machines, folder, namespace, "for i in $(seq 20); do echo line $i; sleep 0.5; done; exec sleep 600"
    )
    started.signal(signal.SIGSTOP)
    eventually(lambda: machines.process("second", "cancel", "--no-wait", run_id).code == 0)
    assert machines.process("second", "wait", run_id).code != 0
    recorded = machines.process("second", "logs", run_id).stdout
    assert recorded.startswith(counted(2))
    started.signal(signal.SIGCONT)
    started.finish()
    assert machines.process("second", "logs", run_id).stdout == recorded
    shown = machines.process("second", "show", run_id, "--json").json["data"]
    assert (shown["run"]["status"], shown["run"]["failure"]) == ("KILLED", "cancelled")
