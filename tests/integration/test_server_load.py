"""Many clients at once, and a server that is killed under them.

A sixteenth of the full load by default; `PROJ_LOAD=1` is 100,000 metrics and 2,000 artifacts.
"""

from __future__ import annotations

import json
import os
import subprocess  # noqa: TID251  what the tests start must not be looked after by what they test
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

import serverkit
from clients import NEWEST, QUIET
from load_client import content

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

CLIENTS = 16
LOAD = float(os.environ.get("PROJ_LOAD", str(1 / 16)))
METRICS = int(100_000 * LOAD) // CLIENTS
ARTIFACTS = int(2_000 * LOAD) // CLIENTS
SCRIPT = Path(__file__).parents[1] / "load_client.py"
GROWTH_MIB = 60.0


def start(uri: str, metrics: int, artifacts: int) -> list[subprocess.Popen[str]]:
    argv = [sys.executable, str(SCRIPT), uri, str(metrics), str(artifacts)]
    return [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(CLIENTS)]


def finish(clients: list[subprocess.Popen[str]]) -> list[dict[str, Any]]:
    """Wait for all; return what each got acknowledged."""
    said = [client.communicate()[0] for client in clients]
    assert [client.returncode for client in clients] == [0] * len(clients)
    return [json.loads(text) for text in said]


def history(client: serverkit.Client, run_id: str, key: str) -> list[tuple[int, float]]:
    """All points of a metric by pages."""
    points: list[tuple[int, float]] = []
    token = ""
    while True:
        query = {"run_id": run_id, "metric_key": key, "max_results": 1000, "page_token": token}
        page = client.get(f"metrics/get-history?{urlencode(query)}")
        points += [(point["step"], point["value"]) for point in page.get("metrics", [])]
        token = page.get("next_page_token", "")
        if not token:
            return points


def check_kept(client: serverkit.Client, done: dict[str, Any]) -> None:
    """See that what was acknowledged is there, in order and unchanged."""
    run_id = done["run_id"]
    for key in ("single", "batch"):
        kept = history(client, run_id, key)
        assert len(kept) >= done[key]
        assert kept == [(step, step / 7) for step in range(len(kept))]
    for number in range(done["artifacts"]):
        answer = client.send("GET", f"/api/2.0/mlflow-artifacts/artifacts/{run_id}/folder/{number}.txt")
        assert (answer.status, answer.body) == (200, content(number))


@pytest.mark.timeout(900)
def test_many_clients_at_once_lose_nothing(tmp_path: Path) -> None:
    with serverkit.running(tmp_path) as server:
        before = server.resident_mib()
        done = finish(start(server.uri, METRICS, ARTIFACTS))
        client = server.client()
        for one in done:
            assert "lost" not in one
            assert one["finished"]
            assert (one["single"] + one["batch"], one["artifacts"]) == (METRICS, ARTIFACTS)
            check_kept(client, one)
        client.close()
        assert server.resident_mib() - before < GROWTH_MIB
    statuses = {line.split()[5] for line in server.log.read_text().splitlines()}
    assert statuses == {"200"}


REAL = """
import sys
from mlflow.entities import Metric
from mlflow.tracking import MlflowClient

client = MlflowClient(sys.argv[1])
run_id = client.create_run("0").info.run_id
for number in range(100):
    client.log_metric(run_id, "single", number / 7, timestamp=number, step=number)
for number in range(10):
    client.log_text(run_id, f"text {number}", f"folder/{number}.txt")
client.log_batch(run_id, metrics=[Metric("batch", step / 7, step, step) for step in range(1000)])
assert len(client.get_metric_history(run_id, "batch")) == 1000
assert len(client.list_artifacts(run_id, "folder")) == 10
client.set_terminated(run_id)
print(run_id)
"""


@pytest.mark.clients
@pytest.mark.timeout(600)
def test_real_clients_at_once_lose_nothing(tmp_path: Path, client: Callable[[str], Path]) -> None:
    argv = [str(client(NEWEST)), "-c", REAL]
    variables = {**os.environ, **{name: value for name, value in QUIET.items() if value is not None}}
    with serverkit.running(tmp_path) as server:
        started = [
            subprocess.Popen([*argv, server.uri], stdout=subprocess.PIPE, text=True, env=variables)
            for _ in range(4)
        ]
        said = [one.communicate()[0] for one in started]
        assert [one.returncode for one in started] == [0] * len(started)
        reader = server.client()
        for run_id in [text.split()[-1] for text in said]:
            assert len(history(reader, run_id, "single")) == 100
            assert len(history(reader, run_id, "batch")) == 1000
        reader.close()
    statuses = {line.split()[5] for line in server.log.read_text().splitlines()}
    assert statuses == {"200"}


@pytest.mark.timeout(900)
def test_a_killed_server_has_lost_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    with serverkit.running(tmp_path, kill=True) as server:
        clients = start(server.uri, 1_000_000, 100_000)
        serverkit.eventually(lambda: server.log.read_text().count("\n") > 100 * CLIENTS)
        server.process.kill()
        done = finish(clients)
    with serverkit.running(tmp_path) as server:
        client = server.client()
        for one in done:
            assert "lost" in one
            assert one["single"] > 0
            check_kept(client, one)
            partial = client.get(f"artifacts/list?run_id={one['run_id']}&path=folder")
            numbers = {Path(file["path"]).stem for file in partial.get("files", [])}
            assert all(number.isdigit() for number in numbers)
        client.close()


def test_what_is_logged_while_it_is_asked_to_stop_is_finished(tmp_path: Path) -> None:
    with serverkit.running(tmp_path) as server:
        clients = start(server.uri, 1_000_000, 0)
        serverkit.eventually(lambda: server.log.read_text().count("\n") > 20 * CLIENTS)
    done = finish(clients)
    with serverkit.running(tmp_path) as server:
        client = server.client()
        for one in done:
            check_kept(client, one)
            # What was written was answered: a stop cuts between requests, not through them.
            assert len(history(client, one["run_id"], "single")) == one["single"]
        client.close()
