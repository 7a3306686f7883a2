"""Search over 100,000 runs, each with 10 parameters and 10 metrics: `proj server` beside `mlflow server`."""

from __future__ import annotations

import os
import random
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import bench
import tracking_servers

from proj.model import Metric, NewRun, RunStatus
from proj.tracking import open_tracking

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNS = int(os.environ.get("BENCH_RUNS", "100000"))
BEGIN_MS = 1_700_000_000_000
WORK = (
    ("filter by metric and parameter, order by metric", "search", 5),
    ("newest 100", "newest", 5),
    ("filter by parameter, page after page", "pages", 5),
)
MLFLOW_TABLES = {
    "runs": "INSERT INTO runs (run_uuid, name, source_type, user_id, status, start_time, end_time, "
    "lifecycle_stage, artifact_uri, experiment_id) "
    "VALUES (?, ?, 'LOCAL', 'ada', 'FINISHED', ?, ?, 'active', 'mlflow-artifacts:/x', 0)",
    "params": "INSERT INTO params (run_uuid, key, value) VALUES (?, ?, ?)",
    "metrics": "INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan) "
    "VALUES (?, ?, ?, ?, 0, 0)",
    "latest_metrics": "INSERT INTO latest_metrics (run_uuid, key, value, timestamp, step, is_nan) "
    "VALUES (?, ?, ?, ?, 0, 0)",
    "tags": "INSERT INTO tags (run_uuid, key, value) VALUES (?, ?, ?)",
}


def made() -> Iterator[tuple[dict[str, str], dict[str, float]]]:
    """Yield the parameters and metrics of all runs; the same each time."""
    generator = random.Random(1)  # noqa: S311  data, no secret
    for _ in range(RUNS):
        params = {f"param{number}": str(generator.randrange(20)) for number in range(10)}
        yield params, {f"metric{number}": generator.random() for number in range(10)}


def fill_proj() -> None:
    with open_tracking(Path(os.environ["PROJ_HOME"])) as tracking:
        for number, (params, metrics) in enumerate(made()):
            now = BEGIN_MS + number * 1000
            new = NewRun(
                experiment_id="0",
                run_name=f"run-{number}",
                user="ada",
                status=RunStatus.FINISHED,
                started_ms=now,
                params=params,
            )
            points = [
                Metric(key=key, value=value, timestamp_ms=now, step=0) for key, value in metrics.items()
            ]
            tracking.runs.log(tracking.runs.create_run(new).run_id, metrics=points)


def fill_mlflow(path: Path) -> None:
    connection = sqlite3.connect(path)
    with connection:
        for number, (params, metrics) in enumerate(made()):
            run_id, now = f"{number:032x}", BEGIN_MS + number * 1000
            points = [(run_id, key, value, now) for key, value in metrics.items()]
            connection.execute(MLFLOW_TABLES["runs"], (run_id, f"run-{number}", now, now))
            connection.executemany(MLFLOW_TABLES["params"], [(run_id, *item) for item in params.items()])
            connection.executemany(MLFLOW_TABLES["metrics"], points)
            connection.executemany(MLFLOW_TABLES["latest_metrics"], points)
            connection.execute(MLFLOW_TABLES["tags"], (run_id, "mlflow.runName", f"run-{number}"))
    connection.close()


options = bench.arguments(__doc__, rounds=3)
with bench.workplace() as folder:
    mlflow = bench.stock_mlflow(options.mlflow)
    python = mlflow.with_name("python")
    print(f"filling both with {RUNS} runs …", file=sys.stderr)
    fill_proj()
    with tracking_servers.both(folder, mlflow) as servers:
        fill_mlflow(folder / "mlflow.db")
        rows = []
        for what, mode, count in WORK:
            ours, theirs = tracking_servers.rates(servers, python, mode, count, 1, options.rounds)
            print(f"{what}: {1 / ours:.4f} s, {1 / theirs:.4f} s", file=sys.stderr)
            rows.append([what, f"{1000 / ours:,.1f} ms", f"{1000 / theirs:,.1f} ms", f"{ours / theirs:.1f}"])
columns = ["what", "proj server", f"mlflow server, {tracking_servers.WORKERS} workers", "times"]
bench.report(f"Search over {RUNS:,} runs", columns, rows)
