"""Look after an execution again that has outlived the process that looked after it: a Job, a container.

Started by the first command that finds it, as `python -m proj.reattach`, with the claim as an open file.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj import active, events, paths, process
from proj.backends import BACKENDS
from proj.errors import BackendError, FailureCode, ProjError
from proj.model import Command, Execution, HostRuntime, Outcome, RunStatus
from proj.place import named, open_tracking
from proj.process.detached import spawn_detached
from proj.supervise import close_run, run_of
from proj.times import now_ms

if TYPE_CHECKING:
    from proj.backends.base import Handle
    from proj.model import RunRecord
    from proj.tracking import Tracking

_PATIENCE_S = 3.0
"""How long the command that found it waits: what has ended already is shown as ended."""
LOST = "The proj process that looked after this run was killed, and the run with it."


def outlives(claim: active.Claim) -> bool:
    """Whether what runs under a claim may be there although its supervisor is not."""
    backend = claim.info.backend
    if backend is None or claim.info.reference is None:
        return False
    try:
        return bool(getattr(BACKENDS.load(backend), "outlives", False))
    except ProjError:  # a plugin that is gone
        return False


def hand_over(claim: active.Claim, home: Path, workspace: Path) -> bool:
    """Have a process of its own look after an execution; returns whether it has ended by now.

    Raises:
        BackendError: No process can be started.
    """
    argv = [sys.executable, "-m", "proj.reattach", str(claim.descriptor), str(home), claim.info.token]
    workspace.mkdir(parents=True, exist_ok=True)
    with process.deferred():
        try:
            spawn_detached(
                argv, cwd=home, stdin=b"", pass_fds=(claim.descriptor,), log=workspace / "supervisor.log"
            )
        except OSError as error:
            raise BackendError(f"No process can be started: {error}.", code=FailureCode.LOST) from error
        claim.hand_over()
    return active.wait(home, claim.info.token, _PATIENCE_S)


def attached(claim: active.Claim, run: RunRecord, tracking: Tracking) -> Handle | None:
    """The execution of a run, found again; None if it is not there.

    Raises:
        ProjError: Where it may be cannot be asked.
    """
    backend, reference = claim.info.backend, claim.info.reference
    if backend is None or reference is None:
        return None
    return BACKENDS.load(backend).attach(_execution(run, tracking), reference)


def _execution(run: RunRecord, tracking: Tracking) -> Execution:
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


def lost(run: RunRecord) -> Outcome:
    """The outcome of a run that went with its supervisor."""
    return Outcome(
        status=RunStatus.KILLED,
        failure=FailureCode.LOST,
        message=LOST,
        started_ms=run.started_ms,
        ended_ms=now_ms(),
    )


def _look_after(claim: active.Claim, tracking: Tracking) -> None:
    from proj.server.owned import close_owned

    run = run_of(claim, tracking)
    if run is None or run.status.finished:
        claim.release()
        return
    handle = attached(claim, run, tracking)
    outcome = handle.wait() if handle is not None else lost(run)
    with process.deferred():
        if outcome.started_ms is None:
            outcome = msgspec.structs.replace(outcome, started_ms=run.started_ms)
        close_run(tracking, run, outcome, claim)
        close_owned(tracking, run.run_id, outcome)
        claim.release()


def main() -> int:
    """Follow the execution of a claim to its end, and close its run."""
    from proj.process.detached import take_signals

    descriptor, home, token = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    claim = active.Claim.adopt(home, token, descriptor)
    try:
        with process.interruptible():
            take_signals()
            with open_tracking(named(claim.info.place or paths.home().as_uri())) as tracking:
                _look_after(claim, tracking)
    except (ProjError, process.Interrupted) as error:
        # The claim stays: the next command tries again.
        events.warning(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
