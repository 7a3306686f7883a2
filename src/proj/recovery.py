"""Bring runs whose supervisor died to their true state: every command does so first, for one listdir."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj import active, paths, record, source
from proj.backends import BACKENDS
from proj.errors import FailureCode, ProjError
from proj.model import Command, Execution, HostRuntime, Outcome, RunStatus
from proj.supervise import close, run_of
from proj.times import now_ms
from proj.tracking.artifacts import remove_partial

if TYPE_CHECKING:
    from pathlib import Path

    from proj.model import RunRecord
    from proj.tracking import Tracking


def recover(tracking: Tracking, home: Path) -> tuple[str, ...]:
    """Close the runs of this machine that nobody looks after any more; returns their ids.

    Raises:
        StoreError: The record cannot be written; the claim stays for the next command.
    """
    closed: list[str] = []
    for claim in active.abandoned(home):
        _clean_up(claim)
        run = run_of(claim, tracking)
        if run is None or run.status.finished:
            claim.release()
            continue
        folder = record.local_folder(run.artifact_uri)
        if folder is not None:
            remove_partial(folder)
        try:
            outcome = _outcome(claim, run, tracking)
            close(tracking, run.run_id, run.artifact_uri, outcome)
            _close_owned(tracking, run, outcome)
        except BaseException:
            claim.hand_over()
            raise
        claim.release()
        closed.append(run.run_id)
    return tuple(closed)


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


def _outcome(claim: active.Claim, run: RunRecord, tracking: Tracking) -> Outcome:
    if claim.info.outcome is not None:
        return claim.info.outcome
    try:
        with tracking.artifacts.open(run.artifact_uri, record.OUTCOME) as file:
            return record.read_outcome(file.read())
    except ProjError:
        pass  # it died before it could write one
    if claim.info.backend is not None and claim.info.reference is not None:
        handle = BACKENDS.load(claim.info.backend).attach(_execution(run), claim.info.reference)
        if handle is not None:
            return handle.wait()
    return Outcome(
        status=RunStatus.KILLED,
        failure=FailureCode.LOST,
        message="The proj process that looked after this run was killed, and the run with it.",
        started_ms=run.started_ms,
        ended_ms=now_ms(),
    )


def _execution(run: RunRecord) -> Execution:
    folder = record.local_folder(run.artifact_uri)
    return Execution(
        run_id=run.run_id,
        run_name=run.run_name,
        project_name="",
        command=Command(line="", argv=(), cwd=""),
        runtime=HostRuntime(),
        variables={},
        record_dir=str(folder / "proj") if folder else "",
    )
