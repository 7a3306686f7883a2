"""`proj metrics`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click
import msgspec

from proj import table
from proj.cli import complete, exports, output, reading
from proj.cli.options import tracking_option
from proj.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from proj.model import Metric, RunRecord
    from proj.tracking import Tracking

_SHORT_ID = 8


class MetricPoint(msgspec.Struct, frozen=True, kw_only=True):
    """One point of a metric of a run."""

    run_id: str
    key: str
    step: int
    timestamp_ms: int
    value: float


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, shell_complete=complete.run_ids)
@click.option("--key", "keys", multiple=True, metavar="NAME", help="Only this metric.")
@click.option("--history", is_flag=True, help="All points, and not just the latest.")
@tracking_option
@exports.options
def command(
    runs: tuple[str, ...], keys: tuple[str, ...], history: bool, as_csv: bool, file: Path | None
) -> output.Stream | None:
    """Print the latest values of the metrics of RUNs, or all there ever were.

    \b
    proj metrics latest
    proj metrics latest --history --key loss -o loss.csv
    """  # noqa: D301  \b is click's mark for text that must not be wrapped
    form = exports.form(file, as_csv=as_csv)
    with contextlib.ExitStack() as stack:
        tracking = stack.enter_context(reading.opened())
        records = [tracking.runs.find_run(run, "all") for run in runs]
        _check(records, keys)
        counter = exports.Counter()
        points = counter.each(_points(tracking, records, keys, history=history))
        chunks: Iterable[str]
        if form == "csv":
            chunks = table.points_csv(points)
        elif form == "json":
            chunks = output.json_chunks("points", (_point(run_id, point) for run_id, point in points))
        else:
            chunks = _lines(points, keys or tuple({key for record in records for key in record.metrics}))
        return exports.deliver(exports.holding(stack.pop_all(), chunks), file, counter, "point")


def _check(records: list[RunRecord], keys: tuple[str, ...]) -> None:
    known = {key for record in records for key in record.metrics}
    for key in keys:
        if key not in known:
            import difflib

            close = difflib.get_close_matches(key, known, n=1)
            raise NotFoundError(
                f"None of these runs has a metric {key!r}.",
                hint=f"Did you mean {close[0]!r}?" if close else "`proj metrics RUN` lists them.",
            )


def _points(
    tracking: Tracking, records: list[RunRecord], keys: tuple[str, ...], *, history: bool
) -> Iterator[tuple[str, Metric]]:
    for record in records:
        for key in keys or record.metrics:
            if history and key in record.metrics:
                for point in table.points(tracking.runs, record.run_id, key):
                    yield record.run_id, point
            elif key in record.metrics:
                yield record.run_id, record.metrics[key]


def _point(run_id: str, point: Metric) -> MetricPoint:
    return MetricPoint(
        run_id=run_id,
        key=point.key,
        step=point.step,
        timestamp_ms=point.timestamp_ms,
        value=float(point.value),
    )


def _lines(points: Iterable[tuple[str, Metric]], keys: tuple[str, ...]) -> Iterator[str]:
    """Yield lines for people, in columns as wide as is known beforehand."""
    width = max(len("METRIC"), *(len(output.visible(key)) for key in keys), 0)
    empty = True
    for run_id, point in points:
        if empty:
            yield f"{'RUN':{_SHORT_ID}}  {'METRIC':{width}}  {'STEP':>10}  {'TIME':24}  VALUE\n"
            empty = False
        moment = table.utc(point.timestamp_ms)
        told = table.iso(moment) if moment else str(point.timestamp_ms)
        key = f"{output.visible(point.key):{width}}"
        yield f"{run_id[:_SHORT_ID]}  {key}  {point.step:>10}  {told:24}  {float(point.value)!r}\n"
    if empty:
        output.say("No metrics.")
