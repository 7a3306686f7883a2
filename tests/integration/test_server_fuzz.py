"""Everything that the OpenAPI document allows, and much that it does not, sent to a server.

Short by default; `PROJ_FUZZ_S=600` is what a release gets.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import serverkit
from proj import process

if TYPE_CHECKING:
    from serverkit import Client

pytestmark = pytest.mark.slow

FUZZ_S = int(os.environ.get("PROJ_FUZZ_S", "40"))
CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance,unsupported_method"
GROWTH_MIB = 60.0
"""What SQLite, threads and the allocator may keep after thousands of requests; a leak takes more."""


def things(client: Client) -> dict[str, list[Any]]:
    """Make one of each kind; return the names of fields with values that exist."""
    run_id = client.new_run()
    name = "model"
    client.post("runs/log-batch", {
        "run_id": run_id,
        "params": [{"key": "p", "value": "1"}],
        "tags": [{"key": "t", "value": "1"}],
        "metrics": [{"key": "m", "value": 1.0, "timestamp": step, "step": step} for step in range(100)],
    })  # fmt: skip
    client.send("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{run_id}/artifacts/a/b.txt", b"content")
    client.post("registered-models/create", {"name": name})
    client.post("model-versions/create", {"name": name, "source": f"runs:/{run_id}/a", "run_id": run_id})
    client.post("registered-models/alias", {"name": name, "alias": "best", "version": "1"})
    model = client.post("logged-models", {"experiment_id": "0", "name": "logged", "source_run_id": run_id})
    return {
        "run_id": [run_id],
        "run_ids": [run_id],
        "run_uuid": [run_id],
        "experiment_id": ["0"],
        "experiment_ids": ["0"],
        "name": [name],
        "version": ["1"],
        "alias": ["best"],
        "stage": ["Staging", "Production", "None", "Archived"],
        "model_id": [model["model"]["info"]["model_id"]],
        "metric_key": ["m"],
        "key": ["m", "p", "t"],
        "max_results": [1, 100],
        "page_token": [""],
        "path": ["a", "a/b.txt", "../a", "a/%2e%2e/b", "a\\..\\b", "/etc/passwd", "a\x00b"],
        "filter": [
            "metrics.m > 0.5 and params.p = '1'",
            "attributes.status IN ('RUNNING')",
            "tags.`t` LIKE '%1%'",
            "name = 'model'",
        ],
        "order_by": ["metrics.m DESC", "params.p", "attributes.start_time ASC"],
    }  # fmt: skip


@pytest.mark.skipif(find_spec("schemathesis") is None, reason="schemathesis is not installed")
@pytest.mark.timeout(FUZZ_S + 300)
def test_no_request_makes_the_server_fail_or_grow(tmp_path: Path) -> None:
    with serverkit.running(tmp_path) as server:
        client = server.client()
        values = things(client)
        client.close()  # an idle connection would not live that long
        fuzz(server.uri, values, tmp_path, seconds=5)  # so that all is imported and warm
        before = server.resident_mib()
        found = fuzz(server.uri, values, tmp_path, seconds=FUZZ_S)
        assert found.returncode == 0, found.stdout[-20_000:]
        assert server.resident_mib() - before < GROWTH_MIB
        assert server.process.poll() is None
        client = server.client()
        assert client.new_run()
        client.close()
    statuses = [int(line.split()[5]) for line in server.log.read_text().splitlines()]
    assert len(statuses) > 500
    assert max(statuses) < 500


def fuzz(uri: str, values: dict[str, list[Any]], folder: Path, seconds: float) -> process.Completed:
    """Run schemathesis until it has tried everything or the time is over."""
    hooks = Path(__file__).parents[1]
    return process.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "schemathesis.cli", "run", f"{uri}/openapi.json"),
            *("--checks", CHECKS),
            *("--phases", "examples,coverage,fuzzing", "--continue-on-failure", "--no-color"),
            *("--request-timeout", "30", "--max-time", str(seconds), "--suppress-health-check", "all"),
        ],
        cwd=folder,
        env={"SCHEMATHESIS_HOOKS": "fuzz_hooks", "PYTHONPATH": str(hooks), "FUZZ_VALUES": json.dumps(values)},
        check=False,
    )
