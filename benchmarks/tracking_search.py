"""Search over 100,000 runs, each with 10 parameters and 10 metrics: `proj server` beside `mlflow server`.

The stock client asks both; what the stores do without servers is in `tracking_store.py`.
"""

from __future__ import annotations

import sys

import bench
import tracking_data
import tracking_servers
from tracking_queries import QUERIES

WORK = (("newest", 5), ("tenth", 5), ("metric", 5), ("param", 5), ("param_tenth", 5), ("both", 1))
"""Queries, and how often mlflow's server is asked in a turn."""

options = bench.arguments(__doc__, rounds=3)
with bench.workplace() as folder:
    mlflow = bench.stock_mlflow(options.mlflow)
    python = mlflow.with_name("python")
    data = tracking_data.prepared(mlflow)
    rows = []
    with (
        tracking_servers.both(folder, mlflow, data) as servers,
        tracking_servers.Clients(servers[0], python, 1) as one,
        tracking_servers.Clients(servers[1], python, 1) as two,
    ):
        for name, count in WORK:
            ours, theirs = (
                rate.per_s for rate in tracking_servers.rates((one, two), name, count, 1, options.rounds)
            )
            row = [f"{1000 / ours:,.1f} ms", f"{1000 / theirs:,.1f} ms", f"{ours / theirs:.1f}"]
            rows.append([QUERIES[name].what, *row])
            print(*rows[-1], sep="\t", file=sys.stderr)
        memory = [server.memory_mib() for server in servers]
    ratio = f"{memory[1] / memory[0]:.1f}"
    rows.append(["memory, after all this", f"{memory[0]:.0f} MiB", f"{memory[1]:.0f} MiB", ratio])
columns = ["what", "proj server", f"mlflow server, {tracking_servers.WORKERS} workers", "times"]
bench.report(f"Search over {tracking_data.RUNS:,} runs", columns, rows)
