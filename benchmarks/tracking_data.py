"""Records to search: the same runs in a database of proj and in one of mlflow, made once, kept in the cache.

`python benchmarks/tracking_data.py` makes them beforehand: two to four minutes for 100,000 runs.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import sys
from typing import TYPE_CHECKING

import bench

from proj.model import Metric, NewRun, RunStatus
from proj.tracking import open_tracking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUNS = int(os.environ.get("BENCH_RUNS", "100000"))
"""20,000 at least: fewer have no ten pages of what the queries ask for."""
POINTS = int(os.environ.get("BENCH_POINTS", "1000000"))
LONG_RUN = "long history"
"""The oldest run of proj's, with a metric `loss` of so many points."""
BEGIN_MS = 1_700_000_000_000
_AT_ONCE = 10_000

MAKE_TABLES = (
    "import sys; from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore; "
    "SqlAlchemyStore(sys.argv[1], sys.argv[2])"
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


def prepared(mlflow: Path) -> Path:
    """Return the folder with `home`, a home of proj, and `mlflow.db`, made with this mlflow if need be."""
    folder = bench.CACHE / f"search-{RUNS}"
    if not (folder / "complete").exists():
        print(f"filling two databases with {RUNS:,} runs, once …", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _fill_mlflow(folder, mlflow.with_name("python"))
        _fill_proj(folder / "home")
        (folder / "complete").touch()
    return folder


def _made() -> Iterator[tuple[dict[str, str], dict[str, float]]]:
    """Yield the parameters and metrics of all runs; the same each time."""
    generator = random.Random(1)  # noqa: S311  data, no secret
    for _ in range(RUNS):
        params = {f"param{number}": str(generator.randrange(20)) for number in range(10)}
        yield params, {f"metric{number}": generator.random() for number in range(10)}


def _fill_proj(home: Path) -> None:
    with open_tracking(home) as tracking:
        new = NewRun(experiment_id="0", run_name=LONG_RUN, started_ms=BEGIN_MS - 1000, user="ada")
        run_id = tracking.runs.create_run(new).run_id
        for start in range(0, POINTS, _AT_ONCE):
            steps = range(start, min(start + _AT_ONCE, POINTS))
            points = [
                Metric(key="loss", value=1 / (step + 1), timestamp_ms=BEGIN_MS + step, step=step)
                for step in steps
            ]
            tracking.runs.log(run_id, metrics=points)
        tracking.runs.update_run(run_id, status=RunStatus.FINISHED, ended_ms=BEGIN_MS)
        for number, (params, metrics) in enumerate(_made()):
            now = BEGIN_MS + number * 1000
            new = NewRun(
                experiment_id="0",
                run_name=f"run-{number}",
                user="ada",
                status=RunStatus.FINISHED,
                started_ms=now,
                params=params,
            )
            run_id = tracking.runs.create_run(new).run_id
            points = [
                Metric(key=key, value=value, timestamp_ms=now, step=0) for key, value in metrics.items()
            ]
            tracking.runs.log(run_id, metrics=points)


def _fill_mlflow(folder: Path, python: Path) -> None:
    path = folder / "mlflow.db"
    bench.measure([python, "-c", MAKE_TABLES, f"sqlite:///{path}", str(folder / "artifacts")])
    connection = sqlite3.connect(path)
    with connection:
        for number, (params, metrics) in enumerate(_made()):
            run_id, now = f"{number:032x}", BEGIN_MS + number * 1000
            points = [(run_id, key, value, now) for key, value in metrics.items()]
            connection.execute(MLFLOW_TABLES["runs"], (run_id, f"run-{number}", now, now))
            connection.executemany(MLFLOW_TABLES["params"], [(run_id, *item) for item in params.items()])
            connection.executemany(MLFLOW_TABLES["metrics"], points)
            connection.executemany(MLFLOW_TABLES["latest_metrics"], points)
            connection.execute(MLFLOW_TABLES["tags"], (run_id, "mlflow.runName", f"run-{number}"))
    connection.close()


if __name__ == "__main__":
    print(prepared(bench.stock_mlflow(bench.arguments(__doc__).mlflow)))
