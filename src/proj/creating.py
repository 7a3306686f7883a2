"""The run that a plan is recorded as: created anew, or one that is there and is reopened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from proj import active, paths, process, record
from proj.closing import outcome_of
from proj.errors import UsageError
from proj.model import NewRun, RunRecord
from proj.times import now_ms
from proj.tracking.naming import new_run_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proj.planning import Plan, RunRequest
    from proj.tracking import Tracking


def _experiment_id(request: RunRequest, plan: Plan, tracking: Tracking) -> str:
    if request.experiment_name is not None and request.experiment_id is not None:
        raise UsageError("Give an experiment's name or its id, not both.")
    if request.experiment_id is not None:
        return tracking.runs.experiment(request.experiment_id).experiment_id
    name = request.experiment_name or plan.project.display_name
    return tracking.runs.create_experiment(name).experiment_id


def create_run(request: RunRequest, plan: Plan, tracking: Tracking, claim: active.Claim) -> RunRecord:
    """Create the run that a request asks for, or reopen the one that it names; the claim knows it then.

    Raises:
        UsageError: The run that it names is under way.
        StoreError: It cannot be recorded.
    """
    run_name = request.run_name or new_run_name()
    params = {parameter.name: parameter.given for parameter in plan.parameters}
    tags = record.tags(
        plan.checkout,
        entry_point=plan.entry_point.name,
        backend=plan.backend,
        environment_kind=plan.environment,
        run_name=run_name,
        claim=claim.info.token,
        parent_run_id=os.environ.get("PROJ_RUN_ID"),
        extra=request.tags,
    )
    tags |= plan.tags
    if request.run_id is None:
        new = NewRun(
            experiment_id=_experiment_id(request, plan, tracking),
            run_name=run_name,
            started_ms=now_ms(),
            user=tags["mlflow.user"],
            params=params,
            tags=tags,
        )
        created = _created(new, tracking, claim)
    else:
        if request.run_name is None:
            del tags["mlflow.runName"]
        created = _reopen(request.run_id, params, tags, tracking)
    claim.update(run_id=created.run_id, backend=plan.backend)
    return created


def _created(new: NewRun, tracking: Tracking, claim: active.Claim) -> RunRecord:
    """Create a run; where a server was asked to and has not answered, its claim stays: it may appear."""
    try:
        return tracking.runs.create_run(new)
    except BaseException as error:
        from proj.remote.transport import UncertainError

        interrupted = not isinstance(error, Exception) and not tracking.uri.startswith("file:")
        if interrupted or isinstance(error, UncertainError):
            with process.deferred():
                claim.update(outcome=outcome_of(error))
                claim.hand_over()
        raise


def _reopen(run_id: str, params: Mapping[str, str], tags: Mapping[str, str], tracking: Tracking) -> RunRecord:
    found = tracking.runs.find_run(run_id)
    other = found.tags.get(record.TAG_CLAIM)
    if not found.status.finished and other is not None and active.find(paths.home(), other) is not None:
        raise UsageError(f"The run {found.run_id} is under way already.")
    tracking.runs.reopen_run(
        found.run_id,
        params=params,
        tags=tags,
        # How it ended before is not how it is going to end.
        drop_tags=record.OUTCOME_TAGS,
        expect_tag=(record.TAG_CLAIM, other),
    )
    return tracking.runs.run(found.run_id)
