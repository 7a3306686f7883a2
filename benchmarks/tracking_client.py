"""What the tracking benchmarks time: a stock mlflow client; they start it in mlflow's environment.

For each line `MODE COUNT` it says `ready` once warm, waits for a line, works, and prints its seconds as JSON.
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
from tracking_queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow.entities import Run
    from mlflow.store.entities import PagedList

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


TOKENS: dict[str, str | None] = {}
"""Query -> where its page begins."""


def search(name: str, count: int) -> None:
    client, query = MlflowClient(), QUERIES[name]

    def page(token: str | None) -> PagedList[Run]:
        return client.search_runs(
            ["0"], query.filter, order_by=list(query.order_by), max_results=100, page_token=token
        )

    if name not in TOKENS:
        TOKENS[name] = None
        for _ in range(query.page - 1):
            TOKENS[name] = page(TOKENS[name]).token
    for _ in range(count):
        expect(len(page(TOKENS[name])) > 0)


LOGGING: dict[str, Callable[[int], None]] = {
    function.__name__: function for function in (single, batch, plain, filled, created)
}


def work(mode: str, count: int) -> None:
    if mode in LOGGING:
        LOGGING[mode](count)
    else:
        search(mode, count)


def main() -> None:
    logging.disable(logging.CRITICAL)
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "1"
    mlflow.set_tracking_uri(sys.argv[1])
    print("imported", flush=True)
    for line in sys.stdin:
        mode, count = line.split()
        mlflow.end_run()
        if mode in ("single", "batch", "plain"):
            mlflow.start_run()
        work(mode, 1)
        print("ready", flush=True)
        sys.stdin.readline()
        begin = time.perf_counter()
        work(mode, int(count))
        print(json.dumps({"seconds": time.perf_counter() - begin}), flush=True)


if __name__ == "__main__":
    main()
