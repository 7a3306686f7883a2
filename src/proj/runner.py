"""The pipeline: from a plan to a recorded run (see docs/explanation/architecture.md)."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj import active, events, paths, place, process, record, recovery, snapshots, source
from proj.assigning import assigned
from proj.assignment import Assignment, encode
from proj.backends import BACKENDS
from proj.closing import close_run, outcome_of, settling
from proj.creating import create_run
from proj.environments import ENVIRONMENTS
from proj.errors import BackendError, DetachedError, FailureCode, StoreError, UsageError
from proj.model import (
    HostRuntime,
    ImageRuntime,
    Outcome,
    PreparedEnvironment,
    RunRecord,
    Snapshot,
)
from proj.planning import Plan, RunRequest, discard, discard_files, given, planned
from proj.recording import make_workspace
from proj.server.endpoint import VARIABLES as ENDPOINT_VARIABLES
from proj.supervise import supervise

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proj import reuse
    from proj.model import Execution
    from proj.place import Place
    from proj.tracking import Tracking


_STALE_S = 1.0
"""Should making the environment have taken longer, the tree is kept anew: it may have changed meanwhile."""
WITHOUT_REUSE = {"PROJ_REUSE": "never"}
"""Set for a run that is made again: what is compared must have run, all of it."""


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """A run that has ended."""

    run_id: str
    run_name: str
    outcome: Outcome
    reused: bool = False
    """Whether it is an earlier run, since it was made of the same."""


def run(request: RunRequest, plan: Plan | None = None) -> Finished:
    """Run an entry point here and now, record it, and return how it ended.

    Args:
        request: What to run.
        plan: What was decided already; its files are removed, whatever happens. None: it is made now.

    Raises:
        DetachedError: The user let it go on; a process of its own follows it now.
        ProjError: It could not be run; a run that was recorded already is closed as failed.
    """
    with contextlib.ExitStack() as unused:
        if plan is not None:
            unused.callback(discard, plan)
        where = place.current()
        with _opened(where) as tracking:
            claim = active.Claim.create(paths.home(), tracking.uri)
            with settling(claim, tracking):
                assignment = _assign(request, where, tracking, claim, plan=plan)
                unused.pop_all()  # the end of the run removes them, or keeps them if that was asked for
                if isinstance(assignment, RunRecord):
                    return _reused(assignment, tracking)
                try:
                    outcome = supervise(assignment, tracking, claim)
                except DetachedError as detached:
                    with process.deferred():
                        recovery.hand_on(claim, detached.run_id, Path(assignment.execution.record_dir))
                    raise
    execution = assignment.execution
    return Finished(run_id=execution.run_id, run_name=execution.run_name, outcome=outcome)


def submit(request: RunRequest) -> RunRecord:
    """Start a run that goes on without this process, and return its record.

    The code is fetched and the environment made here, so that what is wrong with them is told here; the
    command and the record's closing are looked after by a process of its own.

    Raises:
        ProjError: As for `run`.
    """
    where = place.current()
    with _opened(where) as tracking:
        claim = active.Claim.create(paths.home(), tracking.uri)
        with settling(claim, tracking):
            assignment = _assign(request, where, tracking, claim, detached=True)
            if isinstance(assignment, RunRecord):
                return assignment
            try:
                started = tracking.runs.run(assignment.execution.run_id)
                _detach(assignment, claim)
            except BaseException:
                if claim.held:
                    discard_files(assignment.checkout, assignment.downloads)
                raise
        return started


def _detach(assignment: Assignment, claim: active.Claim) -> None:
    from proj.process.detached import spawn_detached

    folder = Path(assignment.execution.record_dir)
    argv = [sys.executable, "-m", "proj.supervise", str(claim.descriptor)]
    checkout = source.lock_descriptor(assignment.checkout)
    inherited = (claim.descriptor,) if checkout is None else (claim.descriptor, checkout)
    with process.deferred():
        try:
            pid = spawn_detached(
                argv,
                cwd=assignment.home,
                stdin=encode(assignment),
                pass_fds=inherited,
                log=folder / "supervisor.log",
            )
        except OSError as error:
            raise BackendError(
                f"The run cannot be handed to a process of its own: {error}.", code=FailureCode.LOST
            ) from error
        with contextlib.suppress(StoreError):  # the supervisor writes it down too
            claim.update(pid=pid)
        claim.hand_over()


@contextlib.contextmanager
def _opened(where: Place) -> Iterator[Tracking]:
    elsewhere = place.foreign()
    if elsewhere is not None:
        events.note(
            f"MLFLOW_TRACKING_URI is {place.shown(elsewhere)}: what the program logs by MLflow's client goes "
            f"there, and the record of the run to {where.folder or where.uri}. `proj import mlflow:…` copies "
            "what is there."
        )
    with contextlib.closing(place.open_tracking(where)) as tracking:
        place.check(where)
        recovery.recover(tracking, paths.home())
        yield tracking


def _reused(earlier: RunRecord, tracking: Tracking) -> Finished:
    with tracking.artifacts.open(earlier.artifact_uri, record.OUTCOME) as file:
        outcome = record.read_outcome(file.read()).outcome
    return Finished(run_id=earlier.run_id, run_name=earlier.run_name, outcome=outcome, reused=True)


def _earlier(request: RunRequest, plan: Plan, tracking: Tracking) -> RunRecord | None:
    """A run that was made of the same, if the request lets it count; says why there is none."""
    from proj import reuse

    if request.run_id is not None:
        raise UsageError("An earlier run cannot be reused as the run that --run-id names.")
    if os.environ.get("PROJ_REUSE") == WITHOUT_REUSE["PROJ_REUSE"]:
        events.note("No earlier run is reused: PROJ_REUSE is never, as it is within `proj reproduce`.")
        return None
    try:
        snapshot = snapshots.take(
            plan.checkout,
            outputs=plan.project.extensions.outputs,
            archive=request.archive_source,
            limit_bytes=request.snapshot_limit_bytes,
        )
        if snapshot is None or not reuse.is_whole(snapshot):
            raise reuse.UnknownPartError("not all of the code is kept with a run")  # noqa: TRY301  told below
        environment = ENVIRONMENTS.load(plan.environment)
        prepared = environment.prepare(plan.environment_request)
        known = _parts(request, plan, snapshot, prepared)
    except reuse.UnknownPartError as error:
        events.note(f"No earlier run can be reused: {error.message}.")
        return None
    found = reuse.find(known, tracking)
    if found is None:
        events.note(reuse.nearest(known, tracking))
    else:
        events.status(f"=== Run (ID '{found.run_id}'), {found.run_name}, was made of the same: reused ===")
        reuse.note_ignored(plan.checkout)
    return found


def _parts(request: RunRequest, plan: Plan, snapshot: Snapshot, prepared: PreparedEnvironment) -> reuse.Parts:
    from proj import inputs, reuse

    unlocked = prepared.lock_digest is None
    return reuse.parts(
        tree=snapshot.root.tree,
        checkout=plan.checkout,
        entry_point=plan.entry_point.name,
        line=plan.command.line,
        parameters=plan.parameters,
        inputs=inputs.complete(inputs.measure(plan.parameters)),
        prepared=prepared,
        facts=ENVIRONMENTS.load(plan.environment).facts(prepared) if unlocked else None,
        docker_args=request.docker_args,
        large_files=snapshot.large_files,
    )


def _assign(
    request: RunRequest,
    where: Place,
    tracking: Tracking,
    claim: active.Claim,
    *,
    detached: bool = False,
    plan: Plan | None = None,
) -> Assignment | RunRecord:
    """All that a supervisor needs to go on; or an earlier run that is reused."""
    with planned(request, claim.info.token) if plan is None else given(plan) as plan:  # noqa: PLR1704  the same
        _refuse_mismatch(plan.backend, plan.environment)
        earlier = _earlier(request, plan, tracking) if request.reuse else None
        if earlier is not None:
            discard(plan)
            return earlier
        record_ = create_run(request, plan, tracking, claim)
        try:
            # first, so that a tree that is too large is refused before anything is built
            make_workspace(tracking, record_)
            snapshot = _keep_source(request, plan, tracking, record_)
            kept_s = time.monotonic()
            prepared = ENVIRONMENTS.load(plan.environment).prepare(plan.environment_request)
            prepared = _with_variables(prepared, plan.variables)
            if plan.snapshot is None and time.monotonic() - kept_s > _STALE_S:
                snapshot = _keep_source(request, plan, tracking, record_)
            assignment = assigned(
                request, plan, where, tracking, record_, prepared, snapshot, claim, detached=detached
            )
            _write_beginning(assignment, plan, tracking, snapshot)
        except BaseException as error:
            with process.deferred():
                close_run(tracking, record_, outcome_of(error), claim)
                events.status(f"=== Run (ID '{record_.run_id}') failed ===")
            raise
    return assignment


def _with_variables(
    prepared: PreparedEnvironment, variables: Mapping[str, str | None]
) -> PreparedEnvironment:
    runtime = prepared.runtime
    if not variables:
        return prepared
    if isinstance(runtime, HostRuntime):
        runtime = msgspec.structs.replace(runtime, variables={**variables, **runtime.variables})
    elif isinstance(runtime, ImageRuntime):  # which has none of ours that would have to be removed
        given = {name: value for name, value in variables.items() if value is not None}
        runtime = msgspec.structs.replace(runtime, variables={**given, **runtime.variables})
    return msgspec.structs.replace(prepared, runtime=runtime)


def _refuse_mismatch(backend: str, environment: str) -> None:
    """Refuse a pair of backend and environment that cannot work, before anything is built."""
    runtime = getattr(ENVIRONMENTS.load(environment), "makes", HostRuntime)
    instead = BACKENDS.load(backend).accepts(runtime)
    if instead is not None:
        raise UsageError(f"The backend {backend!r} cannot run this project's environment.", hint=instead)


def _keep_source(request: RunRequest, plan: Plan, tracking: Tracking, created: RunRecord) -> Snapshot | None:
    if plan.snapshot is not None:
        if plan.bundle is not None:
            tracking.artifacts.put(tracking.record_uri(created), record.SOURCE_BUNDLE, plan.bundle)
        return plan.snapshot
    return snapshots.keep(
        plan.checkout,
        tracking.artifacts,
        tracking.record_uri(created),
        outputs=plan.project.extensions.outputs,
        archive=request.archive_source,
        limit_bytes=request.snapshot_limit_bytes,
    )


def _settings(plan: Plan) -> dict[str, object]:
    """The backend's settings, as they may be recorded."""
    if plan.backend_config == "{}":
        return {}
    from proj.backends.settings import recordable

    # Where every setting is known, none is a password: those that are called `secret` name one.
    return recordable(plan.backend_config, by_name=not hasattr(BACKENDS.load(plan.backend), "configure"))


def _read_variables(execution: Execution) -> tuple[str, ...]:
    """Those of the user's variables that the shell line names, where they reach it."""
    if "$" not in execution.command.line or not isinstance(execution.runtime, HostRuntime):
        return ()
    from proj.command.surroundings import read_variables  # few lines do

    return read_variables(execution.command.line, os.environ, own=execution.variables)


def _write_beginning(
    assignment: Assignment, plan: Plan, tracking: Tracking, snapshot: Snapshot | None
) -> None:
    """Record all that is known before the command starts."""
    uri, artifacts, execution = assignment.record_uri, tracking.artifacts, assignment.execution
    record.write(artifacts, uri, record.SOURCE, record.source(plan.checkout, snapshot))
    served = ENDPOINT_VARIABLES if assignment.endpoint is not None else ()
    in_container = plan.environment_request.target == "engine"
    what = record.command(
        plan.command,
        (*execution.variables, *served),
        plan.parameters,
        docker_args=execution.docker_args if in_container else (),
        backend_config=_settings(plan),
        read=_read_variables(execution),
        timeout_s=execution.timeout_s,
    )
    record.write(artifacts, uri, record.COMMAND, what)
    if assignment.has_inputs:
        from proj import inputs

        record.write(artifacts, uri, record.INPUTS, inputs.measure(plan.parameters))
    prepared = assignment.prepared
    if prepared.lock is not None and prepared.lock_name is not None:
        artifacts.write(uri, f"proj/environment/{prepared.lock_name}", prepared.lock)
