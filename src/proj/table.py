"""Runs and metric histories as tables: named columns, page after page, and comma-separated values.

The columns that MLflow's `search_runs` has are named as there; the first of them are its, in its order.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import IO, TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from proj.model import Experiment, Metric, RunRecord
    from proj.tracking.store import RunQuery, RunStore

RUN_COLUMNS = (
    *("run_id", "experiment_id", "status", "artifact_uri", "start_time", "end_time"),
    *("run_name", "experiment", "user", "duration_s"),
)
"""What every run has; then come `metrics.NAME`, `params.NAME`, `tags.NAME`."""
POINT_COLUMNS = ("run_id", "key", "step", "timestamp", "value")

RUNS_AT_ONCE = 1000
POINTS_AT_ONCE = 10_000
"""How many are in memory at a time."""

Cell = str | int | float | dt.datetime | None
"""None: there is no value."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_QUOTED = re.compile('[",\r\n]')


def utc(milliseconds: int | None) -> dt.datetime | None:
    """Return a point in time; None where there is none, or the calendar ends before it."""
    if milliseconds is None:
        return None
    try:
        return _EPOCH + dt.timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None


def run_cells(run: RunRecord, experiment: str) -> dict[str, Cell]:
    """Return the values of `RUN_COLUMNS`, in their order.

    Args:
        run: The run.
        experiment: The name of its experiment.
    """
    took_ms = None if run.ended_ms is None else max(0, run.ended_ms - run.started_ms)
    return {
        "run_id": run.run_id,
        "experiment_id": run.experiment_id,
        "status": run.status.value,
        "artifact_uri": run.artifact_uri,
        "start_time": utc(run.started_ms),
        "end_time": utc(run.ended_ms),
        "run_name": run.run_name,
        "experiment": experiment,
        "user": run.user,
        "duration_s": None if took_ms is None else took_ms / 1000,
    }


# --- page after page ----------------------------------------------------------------------------------


def runs(store: RunStore, query: RunQuery, *, limit: int | None = None) -> Iterator[RunRecord]:
    """Yield the runs that match, a page in memory at a time.

    Args:
        store: Where they are.
        query: Which ones; its own limit and page token do not count.
        limit: At most so many; None: all.

    Raises:
        UsageError: The filter or an order cannot be understood.
    """
    token = None
    while limit is None or limit > 0:
        at_once = RUNS_AT_ONCE if limit is None else min(limit, RUNS_AT_ONCE)
        page = store.search_runs(msgspec.structs.replace(query, limit=at_once, page_token=token))
        yield from page.runs
        token = page.next_page_token
        if token is None:
            return
        if limit is not None:
            limit -= len(page.runs)


def points(store: RunStore, run_id: str, key: str) -> Iterator[Metric]:
    """Yield the history of a metric in the order of step, then timestamp, a page in memory at a time.

    Raises:
        NotFoundError: There is no such run.
    """
    token = None
    while True:
        page = store.metric_page(run_id, key, limit=POINTS_AT_ONCE, page_token=token)
        yield from page.points
        token = page.next_page_token
        if token is None:
            return


def experiment_names(experiments: Iterable[Experiment]) -> dict[str, str]:
    """Return experiment id -> name."""
    return {each.experiment_id: each.name for each in experiments}


# --- comma-separated values ---------------------------------------------------------------------------


def csv_line(cells: Iterable[Cell]) -> str:
    """Return a line of comma-separated values, its end included.

    Text without characters is `""`, no value is nothing at all; NaN is `nan`, an infinite number `inf` or
    `-inf`; a point in time is that of ISO 8601, in UTC.
    """
    return ",".join(map(_csv_cell, cells)) + "\n"


def _csv_cell(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        # A carriage return, too: who reads the file takes it for the end of a line.
        return '"' + cell.replace('"', '""') + '"' if not cell or _QUOTED.search(cell) else cell
    if isinstance(cell, dt.datetime):
        return iso(cell)
    return repr(cell)


def iso(moment: dt.datetime) -> str:
    """Return a point in time, which is in UTC, as `2026-11-21T04:05:06.789Z`."""
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


class _Values(msgspec.Struct, frozen=True, array_like=True):
    """A run on its way to a file: without the names that all runs share."""

    cells: list[str | float | None]
    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]


def runs_csv(found: Iterable[RunRecord], names: Mapping[str, str], spool: IO[bytes]) -> Iterator[str]:
    """Yield the lines of runs as comma-separated values, the columns first.

    Which columns there are is known after the last run, and the runs are asked for once, since there may be
    others the second time: so they are kept in a file meanwhile, and memory stays as it is.

    Args:
        found: The runs.
        names: Experiment id -> name.
        spool: An empty file, for reading and writing.
    """
    metrics: set[str] = set()
    params: set[str] = set()
    tags: set[str] = set()
    encoder = msgspec.msgpack.Encoder()
    for run in found:
        values = _values(run, names.get(run.experiment_id, ""))
        metrics.update(values.metrics)
        params.update(values.params)
        tags.update(values.tags)
        content = encoder.encode(values)
        spool.write(len(content).to_bytes(4, "big"))
        spool.write(content)
    keys = tuple(map(sorted, (metrics, params, tags)))
    kinds = zip(("metrics", "params", "tags"), keys, strict=True)
    yield csv_line((*RUN_COLUMNS, *(f"{kind}.{key}" for kind, of_kind in kinds for key in of_kind)))
    for values in _read(spool):
        yield csv_line(
            (
                *values.cells,
                *map(values.metrics.get, keys[0]),
                *map(values.params.get, keys[1]),
                *map(values.tags.get, keys[2]),
            )
        )


def _values(run: RunRecord, experiment: str) -> _Values:
    cells = run_cells(run, experiment).values()
    return _Values(
        cells=[iso(cell) if isinstance(cell, dt.datetime) else cell for cell in cells],
        metrics={key: float(metric.value) for key, metric in run.metrics.items()},
        params=dict(run.params),
        tags=dict(run.tags),
    )


def _read(spool: IO[bytes]) -> Iterator[_Values]:
    decoder = msgspec.msgpack.Decoder(_Values)
    spool.seek(0)
    while size := spool.read(4):
        yield decoder.decode(spool.read(int.from_bytes(size, "big")))


def points_csv(found: Iterable[tuple[str, Metric]]) -> Iterator[str]:
    """Yield the lines of metric points as comma-separated values, the columns first.

    Args:
        found: Run id and point.
    """
    yield csv_line(POINT_COLUMNS)
    for run_id, point in found:
        yield csv_line((run_id, point.key, point.step, _moment(point.timestamp_ms), float(point.value)))


def _moment(milliseconds: int) -> Cell:
    """A point in time, or the number where it is none: clients may have said anything."""
    return utc(milliseconds) or milliseconds


# --- data frames --------------------------------------------------------------------------------------


def keys_of(values: Sequence[Mapping[str, object]]) -> list[str]:
    """Return the names that occur in some mappings, sorted."""
    return sorted({key for each in values for key in each})
