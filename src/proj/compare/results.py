"""Rows of what came out: exit code, metrics, artifacts, standard output."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from proj import record
from proj.compare import files
from proj.compare.rows import FLOAT_RTOL, Row, Status, row, unknown
from proj.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
    same = close(one, other, tolerance)
    if same:  # else the histories, which may be long, differ anyway
        told = _series(left.evidence.series(key), right.evidence.series(key), tolerance)
        same = told is None
        reason = reason or told or ("within the tolerance" if shown[0] != shown[1] else None)
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


def _series(
    left: Sequence[tuple[int, float]], right: Sequence[tuple[int, float]], tolerance: Tolerance
) -> str | None:
    """Where two histories part, if they do. When a value was logged does not count."""
    if len(left) != len(right):
        return (
            f"the last value is the same; {min(len(left), len(right))} or {max(len(left), len(right))} values"
        )
    for (step, one), (other_step, other) in zip(left, right, strict=True):
        if step != other_step:
            return f"the last value is the same; logged for other steps from {min(step, other_step)} on"
        if not close(one, other, tolerance):
            return f"the last value is the same; the values differ from step {step} on"
    return None


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
    texts = [_printed(run) for run in (left, right)]
    shown = [None if text is None else files.digest_of(text) for text in texts]
    lines = [text.splitlines() for text in texts if text is not None]
    if len(lines) < len(texts):
        return unknown("stdout", "text", shown, "not recorded of one of the runs")
    places = [number for number, pair in enumerate(zip(*lines, strict=False), start=1) if pair[0] != pair[1]]
    first = places[0] if places else min(map(len, lines)) + 1
    return row("stdout", "text", shown[0], shown[1], reason=f"differs from line {first} on")


def _printed(run: RunFacts) -> bytes | None:
    try:
        with run.evidence.open(record.STDOUT) as file:
            return file.read(files.READ_BYTES).replace(run.run_id.encode(), b"RUN")
    except NotFoundError:
        return None
