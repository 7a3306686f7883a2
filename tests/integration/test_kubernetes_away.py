"""Runs on a real cluster whose API server goes away, and runs that are looked after from another machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from clusterkit import IMAGE, ApiServer, Namespace
from projkit import ProjFolder, eventually

if TYPE_CHECKING:
    from typing import Any

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def project(line: str) -> dict[str, str | bytes]:
    declared = {"name": "away", "docker_env": {"image": IMAGE}, "entry_points": {"main": {"command": line}}}
    return {"MLproject": json.dumps(declared)}


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
    eventually(lambda: last_run(folder)["status"] != "RUNNING")
    run = last_run(folder)
    assert (run["status"], run["exit_code"]) == ("FAILED", 5), folder.process(
        "show", run["run_id"], "--json"
    ).stdout
    assert folder.process("logs", run["run_id"]).stdout == counted(8)
