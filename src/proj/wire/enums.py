"""Protobuf's enumerations: clients send a name or a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.model import RunStatus
from proj.wire.errors import invalid

if TYPE_CHECKING:
    from proj.tracking.store import Lifecycle

_VIEWS: dict[str, Lifecycle] = {
    **dict.fromkeys(("", "1", "ACTIVE_ONLY"), "active"),
    **dict.fromkeys(("2", "DELETED_ONLY"), "deleted"),
    **dict.fromkeys(("3", "ALL"), "all"),
}
_STATUSES = {
    "1": RunStatus.RUNNING,
    "2": RunStatus.SCHEDULED,
    "3": RunStatus.FINISHED,
    "4": RunStatus.FAILED,
    "5": RunStatus.KILLED,
}


def lifecycle(view_type: str | int | None) -> Lifecycle:
    """Return which stages of life a ViewType lets through; none given: the active ones.

    Raises:
        ApiError: There is no such view.
    """
    text = "" if view_type is None else str(view_type)
    if text not in _VIEWS:
        raise invalid(f"Invalid value '{text}' for a view type: ACTIVE_ONLY, DELETED_ONLY or ALL.")
    return _VIEWS[text]


def view_type(stages: Lifecycle) -> str:
    """Return the ViewType that lets these stages of life through."""
    return {"active": "ACTIVE_ONLY", "deleted": "DELETED_ONLY", "all": "ALL"}[stages]


def run_status(status: str | int | None) -> RunStatus | None:
    """Return a run's status.

    Raises:
        ApiError: There is no such status.
    """
    if status is None or status == "":
        return None
    text = str(status)
    if text in _STATUSES:
        return _STATUSES[text]
    if text not in RunStatus.__members__:
        raise invalid(f"Invalid value '{text}' for parameter 'status': {', '.join(RunStatus.__members__)}.")
    return RunStatus(text)
