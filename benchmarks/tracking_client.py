"""What the tracking benchmarks time: a stock mlflow client; they start it in mlflow's environment.

It says `ready` once all is imported and warm, waits for a line, works, prints its seconds as JSON.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import mlflow
from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 1000


def expect(condition: bool) -> None:
    if not condition:
        sys.exit("the server answers something else than was asked")


def single(count: int) -> None:
    for step in range(count):
        mlflow.log_metric("loss", 1.0 / (step + 1), step=step)


def batch(count: int) -> None:
    client = MlflowClient()
    run_id = mlflow.active_run().info.run_id
    for number in range(count):
        now = int(time.time() * 1000)
        steps = range(number * BATCH, (number + 1) * BATCH)
        client.log_batch(run_id, metrics=[Metric("loss", 1.0 / (step + 1), now, step) for step in steps])


def filled(count: int) -> None:
    mlflow.end_run()
    params = {f"param{number}": str(number / 7) for number in range(10)}
    metrics = {f"metric{number}": number / 7 for number in range(10)}
    for _ in range(count):
        with mlflow.start_run():
            mlflow.log_params(params)
            mlflow.log_metrics(metrics)


def created(count: int) -> None:
    client = MlflowClient()
    for _ in range(count):
        run_id = client.create_run("0").info.run_id
        now = int(time.time() * 1000)
        client.log_batch(
            run_id,
            metrics=[Metric(f"metric{number}", number / 7, now, 0) for number in range(10)],
            params=[Param(f"param{number}", str(number / 7)) for number in range(10)],
        )
        client.set_terminated(run_id)


def plain(count: int) -> None:
    """Send the same batches as `batch` with as little work as possible: what the server alone can do."""
    uri = urlsplit(mlflow.get_tracking_uri())
    run_id = mlflow.active_run().info.run_id
    bodies = []
    for number in range(count):
        steps = range(number * BATCH, (number + 1) * BATCH)
        points = [{"key": "plain", "value": 1.0 / (step + 1), "timestamp": 1, "step": step} for step in steps]
        bodies.append(json.dumps({"run_id": run_id, "metrics": points}).encode())
    connection = http.client.HTTPConnection(uri.hostname, uri.port)
    for body in bodies:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/api/2.0/mlflow/runs/log-batch", body, headers)
        answer = connection.getresponse()
        answer.read()
        expect(answer.status == 200)


FILTER = "metrics.metric3 > 0.9 and params.param2 = '7'"


def search(count: int) -> None:
    client = MlflowClient()
    for _ in range(count):
        expect(
            len(client.search_runs(["0"], FILTER, order_by=["metrics.metric5 DESC"], max_results=100)) > 10
        )


def newest(count: int) -> None:
    client = MlflowClient()
    for _ in range(count):
        expect(len(client.search_runs(["0"], max_results=100)) == 100)


def pages(count: int) -> None:
    client = MlflowClient()
    token = None
    for _ in range(count):
        found = client.search_runs(["0"], "params.param2 = '7'", max_results=100, page_token=token)
        token = found.token  # None after the last page: it begins again
        expect(len(found) > 0)


MODES: dict[str, Callable[[int], None]] = {
    function.__name__: function for function in (single, batch, plain, filled, created, search, newest, pages)
}


def main() -> None:
    uri, mode, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    logging.disable(logging.CRITICAL)
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "1"
    mlflow.set_tracking_uri(uri)
    if mode in ("single", "batch", "plain"):
        mlflow.start_run()
    MODES[mode](1)
    print("ready", flush=True)
    sys.stdin.readline()
    begin = time.perf_counter()
    MODES[mode](count)
    print(json.dumps({"seconds": time.perf_counter() - begin}), flush=True)


if __name__ == "__main__":
    main()
