"""What proj itself does with 100,000 runs, and with 1,000,000 points of one metric: list, search, export."""

from __future__ import annotations

import os
import sys

import bench
import tracking_data

IMPORT = "import proj; "
FRAME = f"{IMPORT}proj.search_runs(limit=None).to_pandas()"
PYTHON = (
    ("import proj.search", "import proj.search"),
    ("proj.search_runs(), 1,000 rows", f"{IMPORT}proj.search_runs()"),
    ("proj.search_runs(limit=None)", f"{IMPORT}proj.search_runs(limit=None)"),
    ("proj.search_runs(limit=None).to_pandas()", FRAME),
)
COMMANDS = (
    "runs",
    "runs --metric metric3>0.9 --param param2=7 --sort metrics.metric5",
    "runs --sort metrics.metric5 -n 100",
    "runs -o FILE.csv",
    "runs -o FILE.json",
    "metrics LONG",
    "metrics LONG --history -o FILE.csv",
)

options = bench.arguments(__doc__, rounds=3)
with bench.workplace() as folder:
    os.environ["PROJ_HOME"] = str(tracking_data.prepared(bench.stock_mlflow(options.mlflow)) / "home")

    def words(command: str) -> list[str]:
        names = {
            "LONG": tracking_data.LONG_RUN,
            "FILE.csv": f"{folder}/file.csv",
            "FILE.json": f"{folder}/file.json",
        }
        return [names.get(word, word) for word in command.split()]

    contenders = [bench.Contender(f"proj {each}", [bench.PROJ, *words(each)]) for each in COMMANDS]
    contenders += [bench.Contender(what, [sys.executable, "-c", code]) for what, code in PYTHON]
    samples = bench.take_turns(contenders, options.rounds)
rows = [
    [name, f"{bench.seconds(taken):.2f}", bench.spread(taken), f"{bench.peak(taken):.0f}"]
    for name, taken in samples.items()
]
title = f"{tracking_data.RUNS:,} runs, and a metric of {tracking_data.POINTS:,} points"
bench.report(title, ["what", "median s", "range s", "peak MiB"], rows)
