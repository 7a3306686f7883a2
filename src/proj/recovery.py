"""Bring runs whose supervisor died to their true state: every command does so first, for one listdir."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from proj import active, events, paths, record, source
from proj.errors import ProjError, StoreError, UnreachableError
from proj.recording import bring_files
from proj.supervise import close_run, run_of
from proj.times import now_ms
from proj.tracking.artifacts import remove_partial

_LATE_MS = 15 * 60 * 1000
"""For how long a run may still appear whose creation had no answer."""

if TYPE_CHECKING:
    from pathlib import Path

    from proj.model import Outcome, RunRecord
    from proj.tracking import Tracking


def recover(tracking: Tracking, home: Path) -> tuple[str, ...]:
    """Close the runs of this machine that nobody looks after any more; returns their ids.

    What waits for a server is offered to it, for two seconds at most.

    Args:
        tracking: The records that are open anyway; runs that are recorded elsewhere are closed there.
        home: Folder of the claims.

    Raises:
        StoreError: The record cannot be read.
    """
    closed = close_abandoned(tracking, home)
    if os.path.exists(paths.journal(home) / "waiting"):  # noqa: PTH110  on the path of every command
        from proj import sync

        sync.deliver_quickly(home, tracking.uri)
    return closed


def close_abandoned(tracking: Tracking, home: Path, *, patient: bool = False) -> tuple[str, ...]:
    """Close runs as `recover` does. Where the record cannot be written, the claim stays for the next command.

    Args:
        tracking: See `recover`.
        home: See `recover`.
        patient: Whether servers are waited for; else what they do not take in two seconds is left for later.

    Raises:
        StoreError: As `recover`.
    """
    closed: list[str] = []
    for claim in active.abandoned(home):
        _clean_up(claim)
        place = claim.info.place or home.as_uri()
        if place == tracking.uri and place.startswith("file:"):
            run_id = _recover(claim, tracking)
        else:
            run_id = _recover_elsewhere(claim, place, home, patient=patient)
        closed += [run_id] if run_id else []
    return tuple(closed)


def _recover(claim: active.Claim, tracking: Tracking) -> str | None:
    """Close the run of a claim; returns its id, or None where there is nothing to close, or no way to."""
    run = run_of(claim, tracking)
    if run is None:
        if _may_appear(claim):
            claim.hand_over()
        else:
            claim.release()
        return None
    if run.status.finished:
        bring_files(tracking, run)
        claim.release()
        return None
    with contextlib.suppress(OSError):  # it only takes space
        remove_partial(tracking.workspace(run))
    try:
        outcome = _outcome(claim, run, tracking)
        if outcome is None:
            return _look_after_again(claim, run, tracking)
        close_run(tracking, run, outcome, claim)
        _close_owned(tracking, run, outcome)
    except StoreError as error:
        if isinstance(error, UnreachableError) and not tracking.uri.startswith("file:"):
            raise
        # A full disk, say: what is recorded can be looked at nevertheless.
        events.warning(f"The run {run.run_id} has ended, which cannot be recorded now: {error.message}")
        claim.hand_over()
        return None
    claim.release()
    return run.run_id


def _may_appear(claim: active.Claim) -> bool:
    """Whether a server may still make the run of a claim: it was asked to, and has not answered."""
    asked = claim.info.outcome if claim.info.run_id is None else None
    return asked is not None and now_ms() - (asked.ended_ms or 0) < _LATE_MS


def _recover_elsewhere(claim: active.Claim, uri: str, home: Path, *, patient: bool) -> str | None:
    """Close the run of a claim where it is recorded; one command in half a minute asks a server for it."""
    from proj import place, sync

    if sync.away_just_now(home, uri):
        claim.hand_over()
        return None
    try:
        with place.open_tracking(place.named(uri), patient=patient) as tracking:
            return _recover(claim, tracking)
    except ProjError as error:
        if isinstance(error, UnreachableError):
            sync.note_away(home, uri)
        who = f"The run {claim.info.run_id}" if claim.info.run_id else "A run"
        events.warning(f"{who} has ended, which cannot be recorded on {uri} now: {error.message}")
        if claim.held:
            claim.hand_over()
        return None


def _close_owned(tracking: Tracking, run: RunRecord, outcome: Outcome) -> None:
    from proj.server.owned import close_owned  # searching is slow to import, and this is rare

    close_owned(tracking, run.run_id, outcome)


def downloads(token: str) -> Path:
    """Where what is downloaded for a run lies while it is under way."""
    return paths.cache() / "downloads" / token


def _clean_up(claim: active.Claim) -> None:
    """Remove what its process may have left in the caches."""
    source.prune_checkouts()
    folder = downloads(claim.info.token)
    if folder.exists():
        import shutil

        shutil.rmtree(folder, ignore_errors=True)


def _look_after_again(claim: active.Claim, run: RunRecord, tracking: Tracking) -> str | None:
    """Have somebody look after what has outlived its supervisor; the run's id, if it has ended by now."""
    from proj import reattach

    home = claim.home
    try:
        ended = reattach.hand_over(claim, home, tracking.workspace(run) / "proj")
    except ProjError as error:
        events.warning(f"The run {run.run_id} goes on, and nobody looks after it: {error.message}")
        return None
    return run.run_id if ended and tracking.runs.run(run.run_id).status.finished else None


def _outcome(claim: active.Claim, run: RunRecord, tracking: Tracking) -> Outcome | None:
    """How a run ended; None if it may go on without the process that looked after it."""
    if claim.info.outcome is not None:
        return claim.info.outcome
    try:
        with tracking.artifacts.open(tracking.record_uri(run), record.OUTCOME) as file:
            written = record.read_outcome(file.read())
    except ProjError:
        written = None  # it died before it could write one
    if written is not None and written.claim == claim.info.token:
        return written.outcome
    from proj import reattach

    if reattach.outlives(claim):
        return None
    try:
        handle = reattach.attached(claim, run, tracking)
    except Exception as error:  # noqa: BLE001  perhaps a plugin that is gone: no reason to refuse every command
        events.warning(f"The backend {claim.info.backend} cannot tell of the run {run.run_id}: {error}")
        handle = None
    return handle.wait() if handle is not None else reattach.lost(run)
