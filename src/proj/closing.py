"""How a run's end is recorded: once, by whoever comes first, whatever stands in the way."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from proj import active, process, record
from proj.errors import FailureCode, NotFoundError, ProjError
from proj.model import Outcome, RunStatus
from proj.ranimage import image_tags
from proj.recording import discard_workspace, rest_of
from proj.times import now_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from proj.model import RunRecord
    from proj.tracking import Tracking


def close(
    tracking: Tracking,
    run_id: str,
    record_uri: str,
    outcome: Outcome,
    claim: active.Claim,
    *,
    upload: Callable[[], None],
    tags: Mapping[str, str] | None = None,
    shared: bool = False,
) -> None:
    """Record how a run ended; the first outcome stays.

    The artifact is written first: should the store fail after that, recovery finds the true outcome there.
    Where another machine has recorded the end meanwhile, nothing is written.

    Args:
        tracking: The records.
        run_id: The run.
        record_uri: Where its files are made.
        outcome: How it ended.
        claim: Under which it ran.
        upload: Brings its files to where they belong.
        tags: More to be said of it.
        shared: Whether other machines may look after it as well.

    Raises:
        StoreError: One of the two cannot be written; the other one is nevertheless.
    """
    if shared and closed_elsewhere(tracking, tracking.runs.run(run_id), claim):
        return
    try:
        content = record.OutcomeRecord(outcome=outcome, claim=claim.info.token)
        record.write(tracking.artifacts, record_uri, record.OUTCOME, content)
        upload()
    finally:
        tracking.runs.update_run(
            run_id,
            status=outcome.status,
            ended_ms=outcome.ended_ms or now_ms(),
            tags={**record.outcome_tags(outcome), **(tags or {})},
            if_open=True,
        )


def closed_elsewhere(tracking: Tracking, run: RunRecord, claim: active.Claim) -> bool:
    """Whether another machine has recorded the end of a run, and all of its files; what is here goes then."""
    if not run.status.finished:
        return False
    written = written_outcome(tracking, run.artifact_uri)
    if written is None or written.claim in (None, claim.info.token):
        return False
    discard_workspace(tracking, run)
    return True


def written_outcome(tracking: Tracking, uri: str) -> record.OutcomeRecord | None:
    """How a run ended, as whoever looked after it wrote it down; None where nobody has."""
    try:
        with tracking.artifacts.open(uri, record.OUTCOME) as file:
            return record.read_outcome(file.read())
    except ProjError:
        return None


def close_run(
    tracking: Tracking,
    run: RunRecord,
    outcome: Outcome,
    claim: active.Claim,
    *,
    workspace: Path | None = None,
) -> None:
    """Record how a run ended that nobody looks after, and bring its files to where they belong.

    Args:
        tracking: The records.
        run: It.
        outcome: How it ended.
        claim: Under which it ran.
        workspace: The folder of its files, where it is not the usual one.

    Raises:
        StoreError: As `close`.
    """
    shared = record.TAG_REFERENCE in run.tags
    uri = tracking.record_uri(run) if workspace is None else workspace.as_uri()
    folder = (tracking.workspace(run) if workspace is None else workspace) / "proj"
    backend = run.tags.get(record.TAG_BACKEND, "local")
    with rest_of(tracking, run, workspace) as recording:
        close(
            recording.tracking,
            run.run_id,
            uri,
            outcome,
            claim,
            upload=recording.upload,
            tags=image_tags(tracking, backend, outcome, folder=folder, uris=(uri, run.artifact_uri)),
            shared=shared,
        )
    if shared or run.tags.get(record.TAG_BACKEND) == "kubernetes":
        with contextlib.suppress(ProjError):  # left by a client that died; it only takes space
            tracking.artifacts.delete(run.artifact_uri, record.PARCEL)


def run_of(claim: active.Claim, tracking: Tracking) -> RunRecord | None:
    """The run that was created under a claim; None if it never came to that."""
    if claim.info.run_id is not None:
        try:
            return tracking.runs.run(claim.info.run_id)
        except NotFoundError:
            return None
    from proj.tracking.store import RunQuery  # few runs are looked for

    found = tracking.runs.search_runs(
        RunQuery(filter=f"tags.`{record.TAG_CLAIM}` = '{claim.info.token}'", lifecycle="all", limit=1)
    )
    return found.runs[0] if found.runs else None


def outcome_of(error: BaseException) -> Outcome:
    """The outcome of a run whose command never started because of `error`."""
    if isinstance(error, Exception):
        known = {code.value: code for code in FailureCode}
        failure = known.get(error.code) if isinstance(error, ProjError) else None
        message = (
            str(error) if isinstance(error, ProjError) else f"proj failed: {type(error).__name__}: {error}"
        )
        return Outcome(status=RunStatus.FAILED, failure=failure, message=message, ended_ms=now_ms())
    name = process.signal_name(error.signum) if isinstance(error, process.Interrupted) else None
    return Outcome(
        status=RunStatus.KILLED,
        failure=FailureCode.CANCELLED,
        signal=name,
        message=f"Stopped by {name or type(error).__name__} before the command ended.",
        ended_ms=now_ms(),
    )


@contextlib.contextmanager
def settling(claim: active.Claim, tracking: Tracking) -> Iterator[None]:
    """See that no run stays open when the block is left: it is closed, or its claim is left for recovery."""
    try:
        yield
    except BaseException as error:
        with process.deferred():
            _settle(claim, tracking, error)
        raise
    claim.release()


def _settle(claim: active.Claim, tracking: Tracking, error: BaseException) -> None:
    if not claim.held:
        return
    outcome = claim.info.outcome or outcome_of(error)
    try:
        run = run_of(claim, tracking)
        if run is not None and not run.status.finished:
            close_run(tracking, run, outcome, claim)
    except ProjError:  # the record cannot be written now; the next command tries again
        with contextlib.suppress(ProjError):
            claim.update(outcome=outcome)
        claim.hand_over()
    else:
        claim.release()
