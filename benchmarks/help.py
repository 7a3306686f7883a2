"""Row 2: `proj --help` beside `mlflow --help`."""

from __future__ import annotations

import bench

options = bench.arguments(__doc__)
with bench.workplace():
    mlflow = bench.stock_mlflow(options.mlflow)
    samples = bench.take_turns(
        [
            bench.Contender("proj --help", [bench.PROJ, "--help"]),
            bench.Contender("mlflow --help", [mlflow, "--help"]),
        ],
        options.rounds,
    )
ours = bench.seconds(samples["proj --help"])
bench.report(
    "Help",
    ["command", "median s", "range s", "times proj"],
    [
        [name, f"{bench.seconds(taken):.3f}", bench.spread(taken), f"{bench.seconds(taken) / ours:.1f}"]
        for name, taken in samples.items()
    ],
)
