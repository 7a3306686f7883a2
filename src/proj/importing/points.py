"""Points of metrics, as MLflow's file store has them: a line each."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from proj.model import Metric
from proj.tracking.logged_models import ModelMetric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.importing.folders import Folder

_INT64 = 2**63
_MAX_SHOWN = 60


def read_points(folder: Folder, path: str) -> Iterator[Metric]:
    """Yield the points of all metrics of a run; a line that is none is named and left out.

    A line is `time value step`; in the oldest stores `time value`; with a dataset its name and digest follow.
    """
    for key, fields, place in _lines(folder, path):
        try:
            if len(fields) not in (2, 3) and len(fields) < 5:  # noqa: PLR2004  time, value, step, name, digest
                raise ValueError("fields")  # noqa: TRY301  it is told with the others
            step = _integer(fields[2]) if len(fields) > 2 else 0  # noqa: PLR2004  the same
            yield Metric(key=key, value=float(fields[1]), timestamp_ms=_integer(fields[0]), step=step)
        except ValueError:  # noqa: PERF203  each line may be bad
            _tell(folder, place, fields)


def read_model_points(folder: Folder, path: str, model_id: str) -> Iterator[ModelMetric]:
    """Yield what was measured of a logged model.

    A line is `time value step run`; with a dataset its name and digest follow.
    """
    for key, fields, place in _lines(folder, path):
        try:
            if len(fields) != 4 and len(fields) < 6:  # noqa: PLR2004  time, value, step, run, name, digest
                raise ValueError("fields")  # noqa: TRY301  it is told with the others
            metric = Metric(
                key=key,
                value=float(fields[1]),
                timestamp_ms=_integer(fields[0]),
                step=_integer(fields[2]),
                model_id=model_id,
                dataset_name=" ".join(fields[4:-1]) or None,
                dataset_digest=fields[-1] if len(fields) > 4 else None,  # noqa: PLR2004  the same
            )
            yield ModelMetric(metric=metric, run_id=fields[3])
        except ValueError:  # noqa: PERF203  each line may be bad
            _tell(folder, place, fields)


def _lines(folder: Folder, path: str) -> Iterator[tuple[str, list[str], tuple[str, int]]]:
    """Yield key, fields, and file with line, of each line that is not blank."""
    for key, file in folder.keyed(path):
        with open(os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as stream:  # noqa: PTH123  a descriptor
            for number, line in enumerate(stream, start=1):
                fields = line.decode("utf-8", "replace").split()
                if fields:
                    yield key, fields, (file, number)


def _integer(text: str) -> int:
    number = int(text)
    if not -_INT64 <= number < _INT64:
        raise ValueError(text)
    return number


def _tell(folder: Folder, place: tuple[str, int], fields: list[str]) -> None:
    shown = " ".join(fields)[:_MAX_SHOWN]
    folder.problems.add(f"{place[0]}:{place[1]}", f"The line is no point of a metric: {shown!r}.")
