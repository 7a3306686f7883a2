"""How MLflow names and numbers things, in all its stores."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Protocol

from proj import events
from proj.model import RunStatus
from proj.tracking.logged_models import LoggedModelStatus
from proj.tracking.registry import Stage

if TYPE_CHECKING:
    from proj.importing.folders import BadMetaError

RUN_ID = re.compile(r"[0-9a-f]{32}")
MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
_RUN_STATUS = {
    1: RunStatus.RUNNING,
    2: RunStatus.SCHEDULED,
    3: RunStatus.FINISHED,
    4: RunStatus.FAILED,
    5: RunStatus.KILLED,
}
"""See `RunStatus` in `mlflow/protos/service.proto`."""
_MODEL_STATUS = {
    0: LoggedModelStatus.UNSPECIFIED,
    1: LoggedModelStatus.PENDING,
    2: LoggedModelStatus.READY,
    3: LoggedModelStatus.FAILED,
}
_LARGEST = sys.float_info.max
DELETED_STAGE = "Deleted_Internal"
"""Of a version that is gone: its number is not given again."""


class Bad(Protocol):
    """Makes the error that names where a value stands."""

    def bad(self, message: str) -> BadMetaError:
        """Return the error to raise."""


def note_traces(count: int) -> None:
    """Say that traces are left out, if there are some."""
    if count:
        events.note(f"The store has traces, which proj does not keep: {count} are left out.")


def number(value: float) -> float:
    """Return a metric's value: MLflow keeps infinity in SQL as the largest number there is."""
    return value * 2 if abs(value) == _LARGEST else value


def run_status(value: object, place: Bad) -> RunStatus:
    """Return the state that a store's number or word stands for; nothing stands for RUNNING, as in MLflow."""
    if value is None:
        return RunStatus.RUNNING
    if isinstance(value, int) and value in _RUN_STATUS:
        return _RUN_STATUS[value]
    try:
        return RunStatus(value)
    except ValueError as error:
        raise place.bad(f"the status {value!r} is unknown") from error


def model_status(value: object, place: Bad) -> LoggedModelStatus:
    """Return the state of an upload that a store's number stands for."""
    if isinstance(value, int) and value in _MODEL_STATUS:
        return _MODEL_STATUS[value]
    try:
        return LoggedModelStatus(value)
    except ValueError as error:
        raise place.bad(f"the status {value!r} is unknown") from error


def stage(value: str | None, place: Bad) -> Stage:
    """Return the stage of a version."""
    try:
        return Stage(value or Stage.NONE.value)
    except ValueError as error:
        raise place.bad(f"the stage {value!r} is unknown") from error
