"""Search over 100,000 runs, each with 10 parameters and 10 metrics: proj's store beside mlflow's, no server.

Both return 100 runs with all that belongs to them; that they are the same runs is checked.
"""

from __future__ import annotations

import json
import statistics
import subprocess  # noqa: TID251  what is measured is started plainly
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, cast

import bench
import tracking_data
from tracking_queries import QUERIES, Query

from proj.tracking import open_tracking
from proj.tracking.store import RunQuery

if TYPE_CHECKING:
    from proj.tracking import Tracking

CLIENT = Path(__file__).with_name("tracking_store_client.py")


class Answer(NamedTuple):
    """How long a search took, and the names of the runs it found."""

    seconds: float
    names: list[str]


class Theirs:
    """MLflow's store, in a process of its own."""

    def __init__(self, python: Path, data: Path) -> None:
        argv = [str(python), str(CLIENT), f"sqlite:///{data / 'mlflow.db'}", str(data / "artifacts")]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._to, self._from = cast("IO[str]", self.process.stdin), cast("IO[str]", self.process.stdout)
        self._line()

    def ask(self, name: str) -> Answer:
        print(name, file=self._to, flush=True)
        return Answer(**json.loads(self._line()))

    def _line(self) -> str:
        line = self._from.readline()
        if not line:
            sys.exit("mlflow's store failed")
        return line


class Ours:
    """Our store, in this process."""

    def __init__(self, tracking: Tracking) -> None:
        self._runs = tracking.runs
        self._tokens: dict[str, str | None] = {}

    def ask(self, name: str) -> Answer:
        query = QUERIES[name]
        if name not in self._tokens:
            token = None
            for _ in range(query.page - 1):
                token = self._runs.search_runs(_page(query, token)).next_page_token
            self._tokens[name] = token
        begin = time.perf_counter()
        found = self._runs.search_runs(_page(query, self._tokens[name]))
        return Answer(time.perf_counter() - begin, [run.run_name for run in found.runs])


def _page(query: Query, token: str | None) -> RunQuery:
    return RunQuery(
        experiment_ids=("0",), filter=query.filter, order_by=query.order_by, limit=100, page_token=token
    )


options = bench.arguments(__doc__, rounds=3)
with bench.workplace():
    mlflow = bench.stock_mlflow(options.mlflow)
    data = tracking_data.prepared(mlflow)
    theirs = Theirs(mlflow.with_name("python"), data)
    rows = []
    with open_tracking(data / "home") as tracking:
        ours = Ours(tracking)
        for name, query in QUERIES.items():
            if ours.ask(name).names != theirs.ask(name).names:
                sys.exit(f"not the same runs: {query.what}")
            taken = [(ours.ask(name).seconds, theirs.ask(name).seconds) for _ in range(options.rounds)]
            mine, other = (statistics.median(column) for column in zip(*taken, strict=True))
            rows.append(
                [query.what, f"{mine * 1000:,.1f} ms", f"{other * 1000:,.1f} ms", f"{other / mine:.1f}"]
            )
            print(*rows[-1], sep="\t", file=sys.stderr)
    theirs.process.communicate()
columns = ["what", "proj's store", "mlflow's store", "times"]
bench.report(f"Search over {tracking_data.RUNS:,} runs, no server", columns, rows)
