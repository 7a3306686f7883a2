"""Bring runs whose supervisor died to their true state: every command does so first, for one listdir."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from proj import active, events, paths, process, record, source
from proj.backends import BACKENDS
from proj.closing import close_run, closed_elsewhere, run_of, written_outcome
from proj.errors import BackendError, FailureCode, ProjError, StoreError, UnreachableError
from proj.model import Command, Execution, HostRuntime, Outcome, RunStatus
from proj.recording import bring_files
from proj.supervise import forget
from proj.times import now_ms
from proj.tracking.artifacts import remove_partial

_LATE_MS = 15 * 60 * 1000
"""For how long a run may still appear whose creation had no answer."""

_SLOW_S = 1.0
"""Whoever takes longer to say nothing is not asked by each command."""

if TYPE_CHECKING:
    from proj.backends.base import Handle
    from proj.model import RunRecord
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
            run_id = _recover(claim, tracking, patient=patient)
        else:
            run_id = _recover_elsewhere(claim, place, home, patient=patient)
        closed += [run_id] if run_id else []
    return tuple(closed)


def _recover(
    claim: active.Claim, tracking: Tracking, *, follow: bool = False, patient: bool = False
) -> str | None:
    """Close the run of a claim; returns its id, or None where there is nothing to close, or no way to.

    Args:
        claim: The claim, locked by us.
        tracking: Where its run is recorded.
        follow: Whether to wait for an execution that goes on; else a process of its own does.
        patient: Whether to ask a backend that was away a moment ago.
    """
    run = run_of(claim, tracking)
    if run is None:
        if _may_appear(claim):
            claim.hand_over()
        else:
            claim.release()
        return None
    if run.status.finished:
        _bring_rest(claim, run, tracking)
        claim.release()
        return None
    with contextlib.suppress(OSError):  # it only takes space
        remove_partial(tracking.workspace(run))
    try:
        outcome = _known_outcome(claim, run, tracking)
        handle = _attached(claim, run, tracking, insist=follow or patient)
        if outcome is None and handle is not None and not follow and not getattr(handle, "ended", True):
            hand_on(claim, run.run_id, tracking.workspace(run) / "proj")
            events.note(f"The run {run.run_id} went on without its proj; it is followed again.")
            return None
        if outcome is None:
            outcome = _lost(run) if handle is None else _followed(handle, run, tracking)
        if handle is not None:
            forget(handle, outcome, claim)
        close_run(tracking, run, outcome, claim)
        _close_owned(tracking, run, outcome)
    except BackendError as error:
        # It may go on where nobody can look: what becomes of it is not known yet.
        events.warning(f"What has become of the run {run.run_id} cannot be found out now: {error.message}")
        claim.hand_over()
        return None
    except StoreError as error:
        if isinstance(error, UnreachableError) and not tracking.uri.startswith("file:"):
            raise
        # A full disk, say: what is recorded can be looked at nevertheless.
        events.warning(f"The run {run.run_id} has ended, which cannot be recorded now: {error.message}")
        claim.hand_over()
        return None
    claim.release()
    return run.run_id


def _followed(handle: Handle, run: RunRecord, tracking: Tracking) -> Outcome:
    """Wait for the end of an execution, and record the metrics that it prints where they are read."""
    from proj.printed import reading_on  # hardly any command has something to wait for

    with reading_on(handle, tracking, run.run_id):
        return _waited_for(handle, run, tracking)


def _waited_for(handle: Handle, run: RunRecord, tracking: Tracking) -> Outcome:
    """Wait for the end of an execution; other machines may look at its run, and cancel it, meanwhile."""
    if tracking.uri.startswith("file:") or getattr(handle, "ended", True):
        return handle.wait()
    from proj import place
    from proj.recording.beside import Beside
    from proj.recording.uploads import Uploads

    uploads = Uploads(run.run_id, run.artifact_uri, tracking.workspace(run))
    with place.open_tracking(place.named(tracking.uri)) as server, Beside(server, uploads) as beside:
        beside.cancel = handle.cancel
        return handle.wait()


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
            return _recover(claim, tracking, patient=patient)
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


def _bring_rest(claim: active.Claim, run: RunRecord, tracking: Tracking) -> None:
    """Bring the files of a run that has ended to their place, unless another machine has done so."""
    if record.TAG_REFERENCE not in run.tags or not closed_elsewhere(tracking, run, claim):
        bring_files(tracking, run)


def _known_outcome(claim: active.Claim, run: RunRecord, tracking: Tracking) -> Outcome | None:
    """How a run ended, if somebody wrote it down before he died."""
    if claim.info.outcome is not None:
        return claim.info.outcome
    written = written_outcome(tracking, tracking.record_uri(run))
    if written is not None and written.claim == claim.info.token:
        return written.outcome
    return None


def _lost(run: RunRecord) -> Outcome:
    return Outcome(
        status=RunStatus.KILLED,
        failure=FailureCode.LOST,
        message="The proj process that looked after this run was killed, and the run with it.",
        started_ms=run.started_ms,
        ended_ms=now_ms(),
    )


def _attached(claim: active.Claim, run: RunRecord, tracking: Tracking, *, insist: bool) -> Handle | None:
    """The execution of a run whose client died; one command in half a minute waits in vain."""
    if claim.info.backend is None or claim.info.reference is None:
        return None
    from proj import sync  # hardly any command has something to attach to

    home, asked = paths.home(), f"backend:{claim.info.backend}"
    if not insist and sync.away_just_now(home, asked):
        raise BackendError("it could not be asked a moment ago.", code=FailureCode.LOST)
    begun_s = time.monotonic()
    try:
        return BACKENDS.load(claim.info.backend).attach(execution_of(run, tracking), claim.info.reference)
    except BackendError:
        if time.monotonic() - begun_s > _SLOW_S:
            sync.note_away(home, asked)
        raise
    except Exception as error:  # noqa: BLE001  perhaps a plugin that is gone: no reason to refuse every command
        events.warning(f"The backend {claim.info.backend} cannot tell of the run {run.run_id}: {error}")
        return None


def execution_of(run: RunRecord, tracking: Tracking) -> Execution:
    """A run as `Backend.attach` needs it, as far as its record tells."""
    return Execution(
        run_id=run.run_id,
        run_name=run.run_name,
        project_name="",
        command=Command(line="", argv=(), cwd=""),
        runtime=HostRuntime(),
        variables={},
        record_dir=str(tracking.workspace(run) / "proj"),
        quiet=True,
    )


def hand_on(claim: active.Claim, run_id: str, folder: Path) -> None:
    """Have a process of its own follow an execution that goes on without its client, under the same claim.

    Args:
        claim: It is not ours afterwards, whatever happens.
        run_id: The run.
        folder: Of its logs.
    """
    from proj.process.detached import spawn_detached

    home = paths.home()
    argv = [sys.executable, "-m", "proj.recovery", str(home), claim.info.token, str(claim.descriptor)]
    with process.deferred():
        try:
            pid = spawn_detached(
                argv, cwd=home, stdin=b"", pass_fds=(claim.descriptor,), log=folder / "supervisor.log"
            )
        except OSError as error:
            events.warning(f"The run {run_id} goes on, and cannot be followed now: {error.strerror}.")
        else:
            with contextlib.suppress(StoreError):
                claim.update(pid=pid)
        finally:
            claim.hand_over()


def main() -> int:
    """Follow one execution to its end; the arguments are the home, the claim's token and its open file."""
    from proj import place
    from proj.process.detached import take_signals

    home = Path(sys.argv[1])
    claim = active.Claim.adopt(home, sys.argv[2], int(sys.argv[3]))
    uri = claim.info.place or home.as_uri()
    try:
        with process.interruptible(), place.open_tracking(place.named(uri)) as tracking:
            take_signals()
            _recover(claim, tracking, follow=True)
    except (ProjError, process.Interrupted):
        return 1  # the claim stays, and the next command tries again
    return 0


if __name__ == "__main__":
    sys.exit(main())
