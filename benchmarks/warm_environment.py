"""Row 3: what an environment that is there already adds to a no-op run, for proj and for mlflow."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import bench

PYTHON_ENV = f"python: {platform.python_version()}\ndependencies:\n  - six==1.17.0\n"

options = bench.arguments(__doc__)
with bench.workplace() as folder:
    os.environ["PATH"] = (
        f"{Path(bench.uv()).parent}{os.pathsep}{os.environ['PATH']}"  # mlflow looks for uv there
    )
    bare = bench.noop_project(folder / "bare")
    project = bench.noop_project(folder / "project", PYTHON_ENV)
    mlflow = bench.stock_mlflow(options.mlflow)
    ours = bench.take_turns(
        [
            bench.Contender("bare", [bench.PROJ, "run", bare]),
            bench.Contender("environment", [bench.PROJ, "run", project]),
        ],
        3 * options.rounds,
    )
    theirs = bench.take_turns(
        [
            bench.Contender("bare", [mlflow, "run", bare, "--env-manager", "local"]),
            bench.Contender("environment", [mlflow, "run", project, "--env-manager", "uv"]),
        ],
        options.rounds,
    )

bench.report(
    "A warm environment: what it adds to a no-op run",
    ["command", "no environment s", "warm environment s", "added s"],
    [
        [
            name,
            f"{bench.seconds(samples['bare']):.3f}",
            f"{bench.seconds(samples['environment']):.3f}",
            f"{bench.added(samples['bare'], samples['environment']):.3f}",
        ]
        for name, samples in (("proj run", ours), ("mlflow run --env-manager uv", theirs))
    ],
)
