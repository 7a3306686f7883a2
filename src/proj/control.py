"""Wait for and stop runs that another process looks after."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from proj import active, recovery
from proj.errors import NotFoundError, UsageError
from proj.model import Outcome, RunStatus
from proj.record import OUTCOME, TAG_CANCEL, TAG_CLAIM, read_outcome
from proj.users import user_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from proj.model import RunRecord
    from proj.tracking import Tracking

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 5.0


def wait(run: RunRecord, tracking: Tracking, home: Path, timeout_s: float | None = None) -> RunRecord | None:
    """Wait until a run has ended and return its record; None when `timeout_s` went by first.

    A run whose supervisor dies meanwhile is closed here.
    """
    claim = run.tags.get(TAG_CLAIM)
    if run.status.finished or claim is None:
        return tracking.runs.run(run.run_id)
    if active.find(home, claim) is None and not tracking.uri.startswith("file:"):
        return _watch(run, tracking, timeout_s)
    if not active.wait(home, claim, timeout_s):
        return None
    recovery.recover(tracking, home)
    return tracking.runs.run(run.run_id)


def _watch(run: RunRecord, tracking: Tracking, timeout_s: float | None) -> RunRecord | None:
    """Ask the server until a run has ended that another machine looks after."""
    from proj.afar import looking_on

    onlooker = looking_on(tracking, run)
    if onlooker is None:
        return _ended(lambda: tracking.runs.run(run.run_id), timeout_s)
    with onlooker:
        onlooker.follow()
        return _ended(onlooker.look, timeout_s)


def _ended(look: Callable[[], RunRecord], timeout_s: float | None) -> RunRecord | None:
    """Look until a run has ended."""
    deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
    pause_s = _FIRST_PAUSE_S
    while True:
        found = look()
        if found.status.finished:
            return found
        if deadline_s is not None:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return None
            pause_s = min(pause_s, left_s)
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)


def cancel(run: RunRecord, tracking: Tracking, home: Path) -> bool:
    """Ask the process that looks after a run to stop it; False when the run has ended already.

    A run on a server may be looked after on another machine: a tag asks for it, and is seen within seconds.

    Raises:
        UsageError: The run is looked after on another machine, or by another user's process.
    """
    # Closes it if its supervisor is gone: the process number in its claim may be somebody else's by now.
    recovery.recover(tracking, home)
    if tracking.runs.run(run.run_id).status.finished:
        return False
    token = run.tags.get(TAG_CLAIM, "")
    claim = active.find(home, token)
    if claim is None and not tracking.uri.startswith("file:"):
        tracking.runs.log(run.run_id, tags={TAG_CANCEL: user_name()})
        return True
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
