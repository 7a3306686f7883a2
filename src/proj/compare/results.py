"""Rows of what came out: exit code, metrics, artifacts, standard output."""

from __future__ import annotations

import bisect
import math
from typing import TYPE_CHECKING

from proj import record
from proj.compare import files
from proj.compare.rows import FLOAT_RTOL, Row, Status, row, unknown
from proj.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from proj.compare.facts import RunFacts
    from proj.compare.rows import Settings
    from proj.model import Tolerance

MEASURED = "system/"
"""Metrics of MLflow's system monitor: how busy the machine was."""


def result_rows(left: RunFacts, right: RunFacts, settings: Settings) -> Iterator[Row]:
    """Yield how the two runs ended and what they left."""
    yield row("outcome", "status", _ending(left), _ending(right), required=True)
    codes = [None if run.exit_code is None else str(run.exit_code) for run in (left, right)]
    if codes != [None, None]:
        yield row("outcome", "exit code", codes[0], codes[1], required=True)
    for key in sorted({*left.metrics, *right.metrics}):
        tolerance = settings.of_metric(key)
        if not tolerance.ignore:
            yield _metric(key, left, right, tolerance)
    for path in sorted({*left.artifacts, *right.artifacts}):
        if not settings.ignores(path):
            yield _artifact(path, left, right)
    if settings.stdout:
        yield _stdout(left, right)


def _ending(run: RunFacts) -> str:
    return f"{run.status} ({run.failure})" if run.failure else run.status


def close(left: float, right: float, tolerance: Tolerance) -> bool:
    """Whether two values of a metric are the same.

    NaN equals NaN. Without a tolerance whole numbers are the same only if they are equal, others if they are
    no further apart than `FLOAT_RTOL` of the greater.
    """
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    rtol, atol = tolerance.rtol, tolerance.atol
    if rtol is None and atol is None and left.is_integer() and right.is_integer():
        return left == right
    default = FLOAT_RTOL if atol is None else 0.0
    return math.isclose(left, right, rel_tol=default if rtol is None else rtol, abs_tol=atol or 0.0)


def _metric(key: str, left: RunFacts, right: RunFacts, tolerance: Tolerance) -> Row:
    one, other = left.metrics.get(key), right.metrics.get(key)
    required = not key.startswith(MEASURED)
    shown = [None if value is None else repr(value) for value in (one, other)]
    reason = None if required else "measured on the machine"
    if one is None or other is None:
        return row("metrics", key, shown[0], shown[1], required=required, reason=reason)
    series = [_by_step(run.evidence.series(key)) for run in (left, right)]
    shared = any(each and len(each[max(each)]) > 1 for each in series)
    if same := close(one, other, tolerance):
        told = _parting(series[0], series[1], tolerance)
        same = told is None
        within = "within the tolerance" if shown[0] != shown[1] else None
        reason = reason or (f"the last value is the same; {told}" if told else within)
    elif shared:  # which of several values is the last one depends on when they were logged
        told = _parting(series[0], series[1], tolerance)
        same = told is None
        reason = reason or told or "the last step has several values, the same ones"
    status = Status.SAME if same else Status.DIFFERENT
    return Row(
        group="metrics",
        item=key,
        status=status,
        left=shown[0],
        right=shown[1],
        reason=reason,
        required=required,
    )


def _by_step(series: Sequence[tuple[int, float]]) -> Mapping[int, list[float]]:
    """Step -> its distinct values in ascending order, NaN at the end."""
    found: dict[int, dict[str, float]] = {}
    for step, value in series:
        found.setdefault(step, {})[repr(value)] = value
    return {
        step: sorted(values.values(), key=lambda value: (math.isnan(value), value))
        for step, values in found.items()
    }


def _parting(
    left: Mapping[int, list[float]], right: Mapping[int, list[float]], tolerance: Tolerance
) -> str | None:
    """Where two histories part, if they do. When, and how often, a value was logged does not count."""
    if len(left) != len(right):
        return f"{min(len(left), len(right))} or {max(len(left), len(right))} steps"
    if odd := left.keys() ^ right.keys():
        return f"logged for other steps from {min(odd)} on"
    for step in sorted(left):
        if not _alike(left[step], right[step], tolerance):
            return f"the values differ from step {step} on"
    return None


def _alike(left: list[float], right: list[float], tolerance: Tolerance) -> bool:
    """Whether each value of one step is close to one of the other's."""
    return all(
        any(close(value, near, tolerance) for near in _around(value, others))
        for values, others in ((left, right), (right, left))
        for value in values
    )


def _around(value: float, ordered: list[float]) -> list[float]:
    """The values nearest to one, in a list as `_by_step` makes it."""
    if math.isnan(value):
        return ordered[-1:]
    numbers = ordered[:-1] if math.isnan(ordered[-1]) else ordered
    place = bisect.bisect_left(numbers, value)
    return numbers[max(place - 1, 0) : place + 2]


def _artifact(path: str, left: RunFacts, right: RunFacts) -> Row:
    sizes = [run.artifacts.get(path) if path in run.artifacts else None for run in (left, right)]
    if path not in left.artifacts or path not in right.artifacts:
        shown = [_size(run.artifacts[path]) if path in run.artifacts else None for run in (left, right)]
        return row("artifacts", path, shown[0], shown[1], required=True)
    try:
        found = files.compare(
            path,
            left.evidence.open,
            right.evidence.open,
            names=(left.run_id, right.run_id),
            sizes=tuple(sizes),
        )
    except NotFoundError:  # removed meanwhile
        return unknown("artifacts", path, (None, None), "it cannot be read", required=True)
    return Row(
        group="artifacts",
        item=path,
        status=Status.SAME if found.same else Status.DIFFERENT,
        left=found.left,
        right=found.right,
        reason=found.reason,
        required=True,
    )


def _size(size_bytes: int | None) -> str:
    return "there" if size_bytes is None else f"{size_bytes} bytes"


def _stdout(left: RunFacts, right: RunFacts) -> Row:
    """What the programs printed, with the runs' own ids taken out."""
    shown = [_printed(run) for run in (left, right)]
    if None in shown:
        return unknown("stdout", "text", shown, "not recorded of one of the runs")
    reason = None
    if shown[0] != shown[1]:
        with left.evidence.open(record.STDOUT) as one, right.evidence.open(record.STDOUT) as other:
            line = files.first_line_apart(files.without(one, left.run_id), files.without(other, right.run_id))
        reason = f"differs from line {line} on"
    return row("stdout", "text", shown[0], shown[1], reason=reason)


def _printed(run: RunFacts) -> str | None:
    try:
        with run.evidence.open(record.STDOUT) as file:
            return files.digest_of_all(files.without(file, run.run_id))
    except NotFoundError:
        return None
