"""Row 1: a run of a no-op with its record written, beside `mlflow run --env-manager local`."""

from __future__ import annotations

import sys

import bench

options = bench.arguments(__doc__)
with bench.workplace() as folder:
    project = bench.noop_project(folder / "noop")
    mlflow = bench.stock_mlflow(options.mlflow)
    imports = "import click, yaml, msgspec, sqlite3"
    samples = bench.take_turns(
        [
            bench.Contender("proj run", [bench.PROJ, "run", project]),
            bench.Contender(
                "mlflow run --env-manager local", [mlflow, "run", project, "--env-manager", "local"]
            ),
            bench.Contender("python -c pass", [sys.executable, "-c", "pass"]),
            bench.Contender(f"python -c '{imports}'", [sys.executable, "-c", imports]),
        ],
        options.rounds,
    )
ours = bench.seconds(samples["proj run"])
rows = [
    [
        name,
        f"{bench.seconds(taken):.3f}",
        bench.spread(taken),
        f"{bench.cpu_seconds(taken):.3f}",
        f"{bench.peak(taken):.0f}",
        f"{bench.seconds(taken) / ours:.1f}",
    ]
    for name, taken in samples.items()
]
columns = ["command", "median s", "range s", "CPU s", "peak MiB", "times proj run"]
bench.report("A no-op run, record written", columns, rows)
