"""Logging, runs created and filled, memory: `proj server` beside `mlflow server` on SQLite."""

from __future__ import annotations

import os
import sys
import time

import bench
import tracking_servers

BATCH = 1000
WORK = (
    # what, mode of the client, operations of each client of theirs, metrics in one
    ("single metrics", "single", 100, 1),
    ("metrics in batches of 1,000", "batch", 5, BATCH),
    ("the same, by a client in plain Python", "plain", 5, BATCH),
    ("runs filled by the fluent API", "filled", 15, 1),
    ("runs filled by MlflowClient", "created", 25, 1),
)
PROCESSES = tuple(map(int, os.environ.get("BENCH_CLIENTS", "1,8").split(",")))

options = bench.arguments(__doc__, rounds=3)
with bench.workplace() as folder:
    mlflow = bench.stock_mlflow(options.mlflow)
    python = mlflow.with_name("python")
    with tracking_servers.both(folder, mlflow) as servers:
        time.sleep(5)  # mlflow's workers are still importing when the first of them answers
        idle = [server.memory_mib() for server in servers]
        rows = []
        with (
            tracking_servers.Clients(servers[0], python, max(PROCESSES)) as one,
            tracking_servers.Clients(servers[1], python, max(PROCESSES)) as two,
        ):
            for what, mode, count, size in WORK:
                for processes in PROCESSES:
                    found = tracking_servers.rates((one, two), mode, count, processes, options.rounds)
                    ours, theirs = (rate * size for rate in found)
                    row = [f"{ours:,.0f} /s", f"{theirs:,.1f} /s", f"{ours / theirs:.1f}"]
                    rows.append([what, str(processes), *row])
                    print(*rows[-1], sep="\t", file=sys.stderr)
        busy = [server.memory_mib() for server in servers]
rows += [
    [f"memory, {when}", "", f"{ours:.0f} MiB", f"{theirs:.0f} MiB", f"{theirs / ours:.1f}"]
    for when, (ours, theirs) in (("idle", idle), ("after all this", busy))
]
columns = ["what", "clients", "proj server", f"mlflow server, {tracking_servers.WORKERS} workers", "times"]
bench.report("Logging to a server", columns, rows)
