"""One of many clients of a load test: logs to a run of its own, and prints what was acknowledged.

`python load_client.py URI METRICS ARTIFACTS`. Half of the metrics go one by one, half in batches. When the
server goes away it stops, and prints what it knows by then.
"""

from __future__ import annotations

import json
import sys
from http.client import HTTPException
from typing import Any

from serverkit import Client

BATCH = 100


def content(number: int) -> bytes:
    """What the artifact of that number holds."""
    return f"artifact {number}\n".encode() * (1 + number % 1000)


def work(client: Client, metrics: int, artifacts: int, done: dict[str, Any]) -> None:
    run_id = client.new_run()
    done["run_id"] = run_id
    for number in range(metrics // 2):
        point = {"run_id": run_id, "key": "single", "value": number / 7, "timestamp": number, "step": number}
        client.post("runs/log-metric", point)
        done["single"] = number + 1
        if artifacts and number % max(1, metrics // 2 // artifacts) == 0 and done["artifacts"] < artifacts:
            put(client, run_id, done)
    while done["artifacts"] < artifacts:
        put(client, run_id, done)
    for first in range(0, metrics - metrics // 2, BATCH):
        steps = range(first, min(first + BATCH, metrics - metrics // 2))
        points = [{"key": "batch", "value": step / 7, "timestamp": step, "step": step} for step in steps]
        client.post("runs/log-batch", {"run_id": run_id, "metrics": points})
        done["batch"] = steps.stop
    client.post("runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": 1})
    done["finished"] = True


def put(client: Client, run_id: str, done: dict[str, Any]) -> None:
    number = done["artifacts"]
    path = f"/api/2.0/mlflow-artifacts/artifacts/{run_id}/folder/{number}.txt"
    answer = client.send("PUT", path, content(number))
    assert answer.status == 200, answer
    done["artifacts"] = number + 1


def main() -> None:
    uri, metrics, artifacts = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    done: dict[str, Any] = {"run_id": None, "single": 0, "batch": 0, "artifacts": 0, "finished": False}
    try:
        work(Client(uri), metrics, artifacts, done)
    except (OSError, HTTPException) as error:
        done["lost"] = repr(error)
    sys.stdout.write(json.dumps(done))


if __name__ == "__main__":
    main()
