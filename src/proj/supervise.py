"""Look after one run: start its command, gather what the record needs meanwhile, close it by its outcome.

The same code serves a run in the foreground and, as `python -m proj.supervise`, one that was detached: the
assignment is a value that travels as JSON through a pipe.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj import active, events, process, record, source
from proj.aside import Aside
from proj.assignment import Assignment, decode
from proj.backends import BACKENDS
from proj.closing import close, outcome_of, settling
from proj.environments.cache import in_use
from proj.errors import DetachedError, FailureCode, ProjError, StoreError
from proj.model import Execution, Outcome, RunStatus
from proj.place import open_tracking
from proj.ranimage import image_tags
from proj.recording import open_recording
from proj.server.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from proj.backends.base import Handle
    from proj.model import Reach
    from proj.recording import Recording
    from proj.tracking import Tracking

_TAIL_BYTES = 8192


def supervise(assignment: Assignment, tracking: Tracking, claim: active.Claim) -> Outcome:
    """Run the command to its end and close the run by its outcome.

    Args:
        assignment: What to run.
        tracking: The records.
        claim: Under which it runs.

    Raises:
        DetachedError: The command goes on without us, and the claim is still ours.
        ProjError: The command could not be started; the run is closed as failed.
    """
    detached: DetachedError | None = None
    try:
        with open_recording(assignment, tracking) as recording:
            try:
                return _supervised(assignment, recording, claim)
            except DetachedError as error:
                detached = error
                raise
    except BaseException as error:
        if detached is None or error is detached:
            raise
        raise detached from error  # whatever comes between: the command goes on


def _supervised(assignment: Assignment, recording: Recording, claim: active.Claim) -> Outcome:
    outcome: Outcome | None = None
    try:
        with (
            in_use(assignment.prepared, assignment.execution.run_id),
            Aside(assignment, recording) as aside,
        ):
            outcome = _execute(assignment, recording, claim, aside)
            aside.cut_short = outcome.failure is FailureCode.CANCELLED
    except DetachedError:
        raise
    except BaseException as error:
        # An interrupt that comes after the command has ended does not change how it ended.
        finish(assignment, recording, claim, outcome or outcome_of(error))
        raise
    finish(assignment, recording, claim, outcome, tags=aside.tags)
    return outcome


def _execute(assignment: Assignment, recording: Recording, claim: active.Claim, aside: Aside) -> Outcome:
    execution, tracking = assignment.execution, recording.tracking
    tags = {**assignment.tags, **_whereabouts(execution, assignment.backend, recording)}
    tracking.runs.update_run(execution.run_id, status=RunStatus.RUNNING, tags=tags)
    events.status(f"=== Running command '{execution.command.line}' in run with ID '{execution.run_id}' ===")
    endpoint = _endpoint(assignment, recording, BACKENDS.load(assignment.backend).reach(execution))
    if endpoint is None:
        if execution.code is not None:
            from proj.direct import told_of_server

            execution = told_of_server(execution, assignment)
        with _brought(execution, assignment, recording) as execution:
            return _follow(execution, assignment.backend, recording, claim, aside)
    with endpoint:
        variables = {**execution.variables, **endpoint.variables}
        execution = msgspec.structs.replace(execution, variables=variables)
        with _brought(execution, assignment, recording) as execution:
            outcome = _follow(execution, assignment.backend, recording, claim, aside)
    try:
        return endpoint.settle(outcome)
    except ProjError as error:
        events.warning(f"The record is incomplete: {error.message}")
        return outcome


def _whereabouts(execution: Execution, backend: str, recording: Recording) -> dict[str, str]:
    """By what other machines with the same records find the execution, where it is none of this machine's."""
    foretell = getattr(BACKENDS.load(backend), "foretell", None)
    if foretell is None or not _is_shared(backend, recording):
        return {}
    return {record.TAG_REFERENCE: foretell(execution)}


def _is_shared(backend: str, recording: Recording) -> bool:
    """Whether other machines may find the execution, and record how it ended."""
    return recording.upstream is not None and hasattr(BACKENDS.load(backend), "observe")


def _endpoint(assignment: Assignment, recording: Recording, reach: Reach | None) -> Endpoint | None:
    if assignment.endpoint is None or reach is None:
        return None
    try:
        return Endpoint(recording.tracking, assignment.endpoint, recording.upstream, reach)
    except OSError as error:
        events.warning(f"The program cannot record by MLflow's client: no port to be had: {error.strerror}.")
        return None


def _brought(
    execution: Execution, assignment: Assignment, recording: Recording
) -> AbstractContextManager[Execution]:
    """A block in which the code is where its backend fetches it from, if it is to be fetched."""
    pack = getattr(BACKENDS.load(assignment.backend), "parcel", None)
    if pack is None:
        return contextlib.nullcontext(execution)
    from proj.parcels import kept

    return kept(execution, pack, recording.tracking.artifacts, assignment.artifact_uri)


def _follow(
    execution: Execution, backend: str, recording: Recording, claim: active.Claim, aside: Aside
) -> Outcome:
    handle: Handle | None = None
    try:
        with process.deferred():
            runner = BACKENDS.load(backend)
            foretell = getattr(runner, "foretell", None)
            if foretell is not None:
                claim.update(backend=backend, reference=foretell(execution))
            handle = runner.submit(execution, aside.metrics)
        recording.begun(handle.cancel)
        claim.update(backend=backend, reference=handle.reference)
        aside.gather_facts()
        outcome = handle.wait()
    except DetachedError:
        raise
    except BaseException as error:
        if handle is None:
            raise
        # A command that was started is always followed to its end, whatever comes between.
        outcome = _end(handle, error)
        forget(handle, outcome, claim)
        if not isinstance(error, process.Interrupted):
            raise
        return _signalled(outcome, error)
    forget(handle, outcome, claim)
    return outcome


def forget(handle: Handle, outcome: Outcome, claim: active.Claim) -> None:
    """Let go of what an execution left where it ran, once how it ended is written down here."""
    if hasattr(handle, "forget"):
        with contextlib.suppress(StoreError):  # a full disk: it stays, to be asked again
            claim.update(outcome=outcome)
            handle.forget()


def _end(handle: Handle, error: BaseException) -> Outcome:
    """Stop an execution as `wait` would have, had the interrupt come while it waited."""
    with process.deferred() as pending:
        if isinstance(error, process.Interrupted):
            signal.raise_signal(error.signum)
        handle.cancel()
        outcome = handle.wait()
        pending.take()
    return outcome


def _signalled(outcome: Outcome, interrupt: process.Interrupted) -> Outcome:
    """An outcome of our cancelling, told as what it was: the interrupt's doing."""
    if outcome.failure is not FailureCode.CANCELLED:
        return outcome
    # Its own signal, if any, is the one that we sent the command when we cancelled it.
    name = process.signal_name(interrupt.signum)
    message = (outcome.message or "The run was cancelled.").replace("cancelled", f"interrupted by {name}")
    return msgspec.structs.replace(outcome, signal=name, message=message)


def finish(
    assignment: Assignment,
    recording: Recording,
    claim: active.Claim,
    outcome: Outcome,
    *,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Store outputs, close the run, and clean up after it. Signals wait until it is done.

    Where a server has something against it, that is told, and the claim is left for recovery: a program that
    has run keeps its exit code.

    Args:
        assignment: What ran.
        recording: Its record.
        claim: Under which it ran.
        outcome: How it ended.
        tags: More to be said of it if it ended well.

    Raises:
        StoreError: The record cannot be written; the claim remembers the outcome.
    """
    run_id = assignment.execution.run_id
    with process.deferred() as pending, recording.ending(pending):
        try:
            if recording.upstream is not None:  # the end may have to wait: nobody is to make up another one
                claim.update(outcome=outcome)
            try:
                if outcome.started_ms is not None:
                    _store_outputs(assignment, recording.tracking)
            finally:
                of_image = image_tags(
                    recording.tracking,
                    assignment.backend,
                    outcome,
                    folder=Path(assignment.execution.record_dir),
                    uris=(assignment.record_uri, assignment.artifact_uri),
                )
                more = (tags or {}) if outcome.status is RunStatus.FINISHED else {}
                close(
                    recording.tracking,
                    run_id,
                    assignment.record_uri,
                    outcome,
                    claim,
                    upload=recording.upload,
                    shared=_is_shared(assignment.backend, recording),
                    tags={**of_image, **more},
                )
        except ProjError as error:
            with contextlib.suppress(ProjError):
                claim.update(outcome=outcome)
            if recording.upstream is None or outcome.started_ms is None:
                raise
            events.warning(f"The record of the run {run_id} is incomplete: {error.message}")
            claim.hand_over()
        finally:
            _clean_up(assignment, outcome)
        _advise(assignment, outcome)
    word = "succeeded" if outcome.status is RunStatus.FINISHED else "failed"
    events.status(f"=== Run (ID '{run_id}') {word} ===")


def _store_outputs(assignment: Assignment, tracking: Tracking) -> None:
    away = getattr(BACKENDS.load(assignment.backend), "target", "host") == "cluster"
    if away or getattr(assignment.prepared.runtime, "has_code", False):
        return  # they are where the code was: the backend brings them
    root = assignment.checkout.project_dir
    for pattern in assignment.outputs:
        for path in sorted(root.glob(pattern)):
            if not path.is_file():
                continue
            relative = path.relative_to(root)
            if relative.parts[0] == "proj":
                events.warning(f"Output {relative} is not stored: the record itself is kept under proj/.")
                continue
            if not path.resolve().is_relative_to(assignment.checkout.root.resolve()):
                events.warning(f"Output {relative} is a link that leaves the project: not stored.")
                continue
            tracking.artifacts.put(assignment.artifact_uri, relative.as_posix(), path)


def _advise(assignment: Assignment, outcome: Outcome) -> None:
    """Say what to try where the program's last words are typical of packages that do not fit the code."""
    if outcome.failure is not FailureCode.USER_EXIT:
        return
    from proj.environments.advice import import_failure_hint

    try:
        with (Path(assignment.execution.record_dir) / "stderr.log").open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - _TAIL_BYTES))
            tail = log.read().decode(errors="replace")
    except OSError:
        return
    git = assignment.checkout.git
    hint = import_failure_hint(tail, assignment.prepared, git.committed_at_s if git else None)
    if hint:
        events.note(hint)


def _clean_up(assignment: Assignment, outcome: Outcome) -> None:
    if assignment.downloads is not None and assignment.downloads.exists():
        import shutil

        shutil.rmtree(assignment.downloads, ignore_errors=True)
    if not assignment.checkout.private:
        return
    failed = outcome.status is not RunStatus.FINISHED and outcome.started_ms is not None
    if assignment.keep or failed:
        source.keep(assignment.checkout)
        events.note(f"The checkout is kept: {assignment.checkout.project_dir}")
    else:
        source.release(assignment.checkout)


def main() -> int:
    """Look after a detached run: the assignment comes on standard input, the claim as an open file."""
    from proj.process.detached import take_signals

    descriptor = int(sys.argv[1])
    assignment = decode(sys.stdin.buffer.read())
    claim = active.Claim.adopt(assignment.home, assignment.claim, descriptor)
    source.hold(assignment.checkout)
    tracking = open_tracking(assignment.place)
    try:
        with process.interruptible(), settling(claim, tracking):
            try:
                take_signals()
            except process.Interrupted as interrupt:
                with open_recording(assignment, tracking) as recording:
                    finish(assignment, recording, claim, outcome_of(interrupt))
                raise
            try:
                supervise(assignment, tracking, claim)
            except DetachedError:
                claim.hand_over()  # the next command follows it
                raise
    except (ProjError, process.Interrupted):
        return 1  # recorded as the run's outcome
    finally:
        tracking.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
