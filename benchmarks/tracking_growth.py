"""A run with 1,000,000 points of a metric on `proj server`, and one with 1,000: what grows, and what not."""

from __future__ import annotations

import http.client
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import bench
import tracking_servers

if TYPE_CHECKING:
    from collections.abc import Callable

POINTS = int(os.environ.get("BENCH_POINTS", "1000000"))
FEW = 1000
BATCH = 1000
OTHERS = 1000
"""Runs beside the two, so that a search has something to leave out."""
API = "/api/2.0/mlflow/"
FILTER = "metrics.loss >= 0 and params.size = 'large'"


class Client:
    """Plain HTTP over one connection: what the server does, not what a client makes of it."""

    def __init__(self, uri: str) -> None:
        parts = urlsplit(uri)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port)

    def call(self, method: str, path: str, fields: dict[str, Any]) -> Any:
        target, body, headers = API + path, None, {}
        if method == "GET":
            target += f"?{urlencode(fields, doseq=True)}"
        else:
            body, headers = json.dumps(fields).encode(), {"Content-Type": "application/json"}
        self._connection.request(method, target, body, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            sys.exit(f"{path}: {answer.status} {content[:500]!r}")
        return content

    def new_run(self, size: str) -> str:
        made = json.loads(self.call("POST", "runs/create", {"experiment_id": "0"}))
        run_id: str = made["run"]["info"]["run_id"]
        self.call("POST", "runs/log-parameter", {"run_id": run_id, "key": "size", "value": size})
        return run_id


def fill(client: Client, run_id: str, points: int) -> list[float]:
    """Log points in batches; return the seconds of each."""
    taken = []
    for first in range(0, points, BATCH):
        metrics = [
            {"key": "loss", "value": 1 / (step + 1), "timestamp": 1_700_000_000_000 + step, "step": step}
            for step in range(first, first + BATCH)
        ]
        begin = time.perf_counter()
        client.call("POST", "runs/log-batch", {"run_id": run_id, "metrics": metrics})
        taken.append(time.perf_counter() - begin)
    return taken


def median_ms(action: Callable[[], object], rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        begin = time.perf_counter()
        action()
        taken.append(time.perf_counter() - begin)
    return 1000 * statistics.median(taken)


def walk(client: Client, run_id: str) -> list[float]:
    """Read the history page by page; return the milliseconds of each."""
    taken, token, seen = [], "", 0
    while True:
        begin = time.perf_counter()
        query = {"run_id": run_id, "metric_key": "loss", "max_results": 1000, "page_token": token}
        content = client.call("GET", "metrics/get-history", query)
        taken.append(1000 * (time.perf_counter() - begin))
        page = json.loads(content)
        seen += len(page["metrics"])
        token = page.get("next_page_token", "")
        if not token:
            print(f"{seen} points in {len(taken)} pages", file=sys.stderr)
            return taken


def figures(client: Client, run_id: str, size: str, rounds: int) -> list[str]:
    """Return the milliseconds of each kind of request for a run."""
    pages = walk(client, run_id)
    history = {"metric_key": "loss", "run_ids": [run_id], "max_results": 2500}
    step = iter(range(10**9, 2 * 10**9))

    def log() -> None:
        point = {"key": "loss", "value": 0.5, "timestamp": 1, "step": next(step)}
        client.call("POST", "runs/log-metric", {"run_id": run_id, **point})

    return [
        f"{milliseconds:,.1f} ms"
        for milliseconds in (
            median_ms(lambda: client.call("GET", "runs/get", {"run_id": run_id}), rounds),
            median_ms(log, rounds),
            median_ms(
                lambda: client.call(
                    "POST", "runs/search", {"experiment_ids": ["0"], "filter": FILTER.replace("large", size)}
                ),
                rounds,
            ),
            statistics.median(pages[:10]),
            statistics.median(pages[-10:]),
            median_ms(lambda: client.call("GET", "metrics/get-history-bulk-interval", history), rounds),
        )
    ]


KINDS = (
    "the latest value (`runs/get`)",
    "one more point",
    "search by the metric's latest value",
    "the first pages of 1,000 points",
    "the last pages of 1,000 points",
    "2,500 points for a chart",
)


def peak_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


options = bench.arguments(__doc__, rounds=9, mlflow=False)
with bench.workplace() as folder:
    port = tracking_servers.free_port()
    argv: list[str | Path] = [bench.PROJ, "server", "--port", str(port), "--no-access-log"]
    with tracking_servers.running("proj server", argv, port, folder) as server:
        client = Client(server.uri)
        for _ in range(OTHERS):
            client.new_run("other")
        small, large = client.new_run("small"), client.new_run("large")
        fill(client, small, FEW)
        taken = fill(client, large, POINTS)
        filled_mib = peak_mib(server.pid)
        rows = [
            [kind, few, many]
            for kind, few, many in zip(
                KINDS,
                figures(client, small, "small", options.rounds),
                figures(client, large, "large", options.rounds),
                strict=True,
            )
        ]
        tenth = max(1, len(taken) // 10)
        first, last = (BATCH / statistics.median(part) for part in (taken[:tenth], taken[-tenth:]))
        rows.append(
            [
                "points in batches of 1,000, the first and the last tenth",
                f"{first:,.0f} /s",
                f"{last:,.0f} /s",
            ]
        )
        rows.append(
            [
                "most memory of the server, after filling and after all",
                f"{filled_mib:.0f} MiB",
                f"{peak_mib(server.pid):.0f} MiB",
            ]
        )
        begin = time.perf_counter()
        size = len(client.call("GET", "metrics/get-history", {"run_id": large, "metric_key": "loss"}))
        seconds = time.perf_counter() - begin
        rows.append(
            [
                "the whole history in one answer",
                "",
                f"{seconds:.1f} s, {size / 2**20:.0f} MiB, {peak_mib(server.pid):.0f} MiB memory",
            ]
        )
bench.report(f"{POINTS:,} points of one metric", ["what", f"{FEW:,} points", f"{POINTS:,} points"], rows)
