"""Data frames of pandas, where it is installed."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from proj.errors import UsageError
from proj.table import POINT_COLUMNS, RUN_COLUMNS, keys_of, run_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proj.model import RunRecord

_NOT_A_TIME = -(2**63)


def runs_frame(runs: Sequence[tuple[RunRecord, str]]) -> Any:
    """Return a `pandas.DataFrame` with a row for each run.

    Its columns, their order and their types are those of `mlflow.search_runs`, and ours between them.

    Args:
        runs: Each with the name of its experiment.

    Raises:
        UsageError: pandas is not installed.
    """
    pandas = _pandas()
    fixed = [run_cells(run, experiment) for run, experiment in runs]
    records = [run for run, _ in runs]
    columns: dict[str, object] = {name: [cells[name] for cells in fixed] for name in RUN_COLUMNS}
    columns["start_time"] = _times(pandas, [run.started_ms for run in records])
    columns["end_time"] = _times(pandas, [run.ended_ms for run in records])
    columns["duration_s"] = pandas.Series(columns["duration_s"], dtype="float64")
    nan = float("nan")
    for key in keys_of([run.metrics for run in records]):
        found = (run.metrics.get(key) for run in records)
        values = [nan if metric is None else float(metric.value) for metric in found]
        columns[f"metrics.{key}"] = pandas.Series(values, dtype="float64")
    for key in keys_of([run.params for run in records]):
        columns[f"params.{key}"] = [run.params.get(key) for run in records]
    for key in keys_of([run.tags for run in records]):
        columns[f"tags.{key}"] = [run.tags.get(key) for run in records]
    return pandas.DataFrame(columns)


def history_frame(
    run_id: str, key: str, steps: Sequence[int], timestamps_ms: Sequence[int], values: Sequence[float]
) -> Any:
    """Return a `pandas.DataFrame` with a row for each point of a metric.

    Raises:
        UsageError: pandas is not installed.
    """
    pandas = _pandas()
    columns = (
        pandas.Series([run_id] * len(steps), dtype=object),
        pandas.Series([key] * len(steps), dtype=object),
        pandas.Series(steps, dtype="int64"),
        _times(pandas, timestamps_ms),
        pandas.Series(values, dtype="float64"),
    )
    return pandas.DataFrame(dict(zip(POINT_COLUMNS, columns, strict=True)))


def _times(pandas: Any, milliseconds: Sequence[int | None]) -> Any:
    """Return points in time in UTC, as fine as this pandas has them by itself if they can be told so."""
    plain = [_NOT_A_TIME if each is None else each for each in milliseconds]
    times = pandas.Series(plain, dtype="int64").to_numpy().view("datetime64[ms]")
    found = pandas.DatetimeIndex(times)
    with contextlib.suppress(ValueError):  # nanoseconds hold no year before 1678 or after 2261
        found = found.as_unit(pandas.to_datetime(0, unit="ms", utc=True).unit)
    return pandas.Series(found.tz_localize("UTC"))


def _pandas() -> Any:
    import importlib

    try:
        return importlib.import_module("pandas")
    except ImportError as error:
        raise UsageError(
            f"A data frame needs pandas, which cannot be imported: {error}.",
            hint="Install it: `pip install pandas`. Without it, the rows themselves hold all of it.",
        ) from error
