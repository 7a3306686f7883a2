"""Handlers of `runs/…`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.model import NewRun, RunStatus
from proj.server.errors import invalid
from proj.server.policy import Access
from proj.server.routes import Context, Route
from proj.server.wire.entities import run_out
from proj.server.wire.runs import CreateRun, RunAnswer
from proj.times import now_ms
from proj.tracking.naming import new_run_name
from proj.tracking.values import RUN_NAME_TAG

if TYPE_CHECKING:
    from proj.model import RunRecord


def _answer(context: Context, run: RunRecord) -> RunAnswer:
    return RunAnswer(run=run_out(run, context.site.public_uri(run.artifact_uri)))


def create(context: Context, request: CreateRun) -> RunAnswer:
    """`POST runs/create`."""
    tags = {tag.key: tag.value for tag in request.tags}
    tagged = tags.get(RUN_NAME_TAG, "")
    if request.run_name and tagged and request.run_name != tagged:
        raise invalid(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values "
            f"(run_name='{request.run_name}', mlflow.runName='{tagged}')."
        )
    name = request.run_name or tagged or new_run_name()
    run = context.tracking.runs.create_run(
        NewRun(
            experiment_id=request.experiment_id or "0",
            run_name=name,
            started_ms=now_ms() if request.start_time is None else request.start_time,
            user=request.user_id,
            status=RunStatus.RUNNING,
            tags={**tags, RUN_NAME_TAG: name},
        )
    )
    return _answer(context, run)


ROUTES = (Route("POST", "runs/create", create, CreateRun, Access.CREATE_RUN),)
