"""Wait for and stop runs that another process looks after."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from proj import active, recovery
from proj.errors import NotFoundError, UsageError
from proj.model import Outcome, RunStatus
from proj.record import OUTCOME, TAG_CLAIM, read_outcome

if TYPE_CHECKING:
    from pathlib import Path

    from proj.model import RunRecord
    from proj.tracking import Tracking


def wait(run: RunRecord, tracking: Tracking, home: Path, timeout_s: float | None = None) -> RunRecord | None:
    """Wait until a run has ended and return its record; None when `timeout_s` went by first.

    A run whose supervisor dies meanwhile is closed here.
    """
    claim = run.tags.get(TAG_CLAIM)
    if not run.status.finished and claim is not None:
        if not active.wait(home, claim, timeout_s):
            return None
        recovery.recover(tracking, home)
    return tracking.runs.run(run.run_id)


def cancel(run: RunRecord, tracking: Tracking, home: Path) -> bool:
    """Ask the process that looks after a run to stop it; False when the run has ended already.

    Raises:
        UsageError: The run is looked after on another machine, or by another user's process.
    """
    # Closes it if its supervisor is gone: the process number in its claim may be somebody else's by now.
    recovery.recover(tracking, home)
    if tracking.runs.run(run.run_id).status.finished:
        return False
    token = run.tags.get(TAG_CLAIM, "")
    claim = active.find(home, token)
    if claim is None or active.wait(home, token, timeout_s=0):
        if tracking.runs.run(run.run_id).status.finished:
            return False
        raise UsageError(
            f"No process on this machine looks after the run {run.run_id}.",
            hint="Cancel it on the machine where it was started.",
        )
    try:
        os.kill(claim.pid, signal.SIGTERM)
    except ProcessLookupError:
        recovery.recover(tracking, home)
        return False
    except PermissionError as error:
        raise UsageError(f"The run {run.run_id} belongs to another user.") from error
    return True


def outcome(run: RunRecord, tracking: Tracking) -> Outcome:
    """How a run ended, from its record.

    Raises:
        UsageError: It has not ended yet.
        StoreError: What is recorded of its end cannot be understood.
    """
    if not run.status.finished:
        raise UsageError(f"The run {run.run_id} has not ended yet.")
    try:
        with tracking.artifacts.open(run.artifact_uri, OUTCOME) as file:
            return read_outcome(file.read()).outcome
    except NotFoundError:
        # Recorded by somebody else's client: MLflow's status is all there is.
        return Outcome(status=RunStatus(run.status), started_ms=run.started_ms, ended_ms=run.ended_ms)
