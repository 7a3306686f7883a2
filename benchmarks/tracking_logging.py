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
ONLY = os.environ.get("BENCH_WORK", "")
"""A mode of the client; empty: all."""
PROCESSES = tuple(map(int, os.environ.get("BENCH_CLIENTS", "1,8").split(",")))

options = bench.arguments(__doc__, rounds=3)
with bench.workplace() as folder:
    mlflow = bench.stock_mlflow(options.mlflow)
    python = mlflow.with_name("python")
    with tracking_servers.both(folder, mlflow) as servers, tracking_servers.nothing(folder) as nobody:
        time.sleep(5)  # mlflow's workers are still importing when the first of them answers
        idle = [server.memory_mib() for server in servers]
        rows = []
        shares = []
        with (
            tracking_servers.Clients(servers[0], python, max(PROCESSES)) as one,
            tracking_servers.Clients(nobody, python, max(PROCESSES)) as none,
            tracking_servers.Clients(servers[1], python, max(PROCESSES)) as two,
        ):
            for what, mode, count, size in WORK:
                for processes in PROCESSES if ONLY in ("", mode) else ():
                    found = tracking_servers.rates((one, none, two), mode, count, processes, options.rounds)
                    ours, most, theirs = (rate.per_s * size for rate in found)
                    row = [f"{ours:,.0f} /s", f"{theirs:,.1f} /s", f"{ours / theirs:.1f}"]
                    row += [f"{most:,.0f} /s", f"{most / theirs:.1f}"]
                    rows.append([what, str(processes), *row])
                    mine, _, other = (rate.server_ms for rate in found)
                    cpu = [f"{mine:.2f} ms", f"{other:.1f} ms", f"{other / mine:.1f}" if mine else ""]
                    shares.append([what, str(processes), *cpu])
                    print(*rows[-1], *cpu, sep="\t", file=sys.stderr)
        busy = [server.memory_mib() for server in servers]
rows += [
    [f"memory, {when}", "", f"{ours:.0f} MiB", f"{theirs:.0f} MiB", f"{theirs / ours:.1f}", "", ""]
    for when, (ours, theirs) in (("idle", idle), ("after all this", busy))
]
theirs = f"mlflow server, {tracking_servers.WORKERS} workers"
columns = ["what", "clients", "proj server", theirs, "times", "the client alone", "times at most"]
bench.report("Logging to a server", columns, rows)
columns = ["what", "clients", "proj server", theirs, "times"]
bench.report("Processor time of the server for one request (or run)", columns, shares)
