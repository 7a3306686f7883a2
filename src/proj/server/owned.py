"""Runs that a run's program made by MLflow's client: whose they are, and their end if it was forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.tracking.records import OWNER_TAG
from proj.tracking.store import RunQuery

if TYPE_CHECKING:
    from proj.model import Outcome
    from proj.tracking import Tracking


def close_owned(tracking: Tracking, owner: str, outcome: Outcome) -> tuple[str, ...]:
    """Close the runs that a program made and left open, by how it ended itself; returns their ids.

    Raises:
        StoreError: The record cannot be written.
    """
    closed: list[str] = []
    for status in ("RUNNING", "SCHEDULED"):
        query = RunQuery(
            filter=f"tags.`{OWNER_TAG}` = '{owner}' and attributes.status = '{status}'", limit=50_000
        )
        closed += (
            run.run_id
            for run in tracking.runs.search_runs(query).runs
            if tracking.runs.update_run(
                run.run_id, status=outcome.status, ended_ms=outcome.ended_ms, if_open=True
            )
        )
    return tuple(closed)
