"""Handlers of `runs/…`."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from proj.errors import ParameterConflictError
from proj.model import NewRun, RunStatus
from proj.server import limits
from proj.server.policy import Access
from proj.server.routes import Context, RawRoute, Route, its_run
from proj.times import now_ms
from proj.tracking.naming import new_run_name
from proj.tracking.store import RunQuery
from proj.tracking.values import RUN_NAME_TAG
from proj.wire.codec import Empty
from proj.wire.entities import OfRun, run_info_out, run_out
from proj.wire.enums import lifecycle, run_status
from proj.wire.errors import absent, invalid
from proj.wire.runs import (
    CreateRun,
    DeleteTag,
    LogBatch,
    LogMetric,
    LogModel,
    RunAnswer,
    RunInfoAnswer,
    RunsAnswer,
    SearchRuns,
    SetOfRun,
    UpdateRun,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proj.model import Metric, RunRecord
    from proj.wire.entities import RunOut
    from proj.wire.errors import ApiError

_MODELS_TAG = "mlflow.log-model.history"
_MODEL_FIELDS = ("run_id", "utc_time_created", "artifact_path", "model_uuid")
_models_lock = threading.Lock()


def _runs_out(context: Context, runs: Sequence[RunRecord]) -> tuple[RunOut, ...]:
    inputs = context.tracking.inputs.of_runs([run.run_id for run in runs])
    return tuple(
        run_out(run, context.site.public_uri(run.artifact_uri), inputs.get(run.run_id)) for run in runs
    )


def _active(context: Context, run_id: str) -> RunRecord:
    run = context.tracking.runs.run(run_id)
    if run.lifecycle_stage != "active":
        raise invalid(f"The run {run_id} must be in the 'active' state. Current state is deleted.")
    return run


# --- the run itself -----------------------------------------------------------------------------------


def create(context: Context, request: CreateRun) -> RunAnswer:
    """`POST runs/create`."""
    tags = limits.tags(request.tags)
    tagged = tags.get(RUN_NAME_TAG, "")
    if request.run_name and tagged and request.run_name != tagged:
        raise invalid(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values "
            f"(run_name='{request.run_name}', mlflow.runName='{tagged}')."
        )
    name = request.run_name or tagged or new_run_name()
    new = NewRun(
        experiment_id=request.experiment_id or "0",
        run_name=name,
        started_ms=now_ms() if request.start_time is None else request.start_time,
        user=request.user_id,
        status=RunStatus.RUNNING,
        tags={**tags, RUN_NAME_TAG: name},
    )
    run = context.tracking.runs.create_run(context.rules.new_run(new))
    context.rules.created_run(run)
    return RunAnswer(run=run_out(run, context.site.public_uri(run.artifact_uri)))


def get(context: Context, request: OfRun) -> RunAnswer:
    """`GET runs/get`."""
    run = context.rules.shown_run(context.tracking.runs.run(request.run))
    return RunAnswer(run=_runs_out(context, (run,))[0])


def update(context: Context, request: UpdateRun) -> RunInfoAnswer:
    """`POST runs/update`."""
    run = _active(context, request.run)
    status = run_status(request.status)
    recorded = None if status is None else context.rules.status(run.run_id, status)
    name = request.run_name or None
    if recorded is not None or name is not None or (status is None and request.end_time is not None):
        context.tracking.runs.update_run(
            run.run_id, status=recorded, ended_ms=request.end_time, run_name=name
        )
    info = run_info_out(context.tracking.runs.run(run.run_id), context.site.public_uri(run.artifact_uri))
    if status is not None and recorded is None:  # what it asked for is what it sees
        ended = UNSET if request.end_time is None else request.end_time
        info = msgspec.structs.replace(info, status=status.value, end_time=ended)
    return RunInfoAnswer(run_info=info)


def delete(context: Context, request: OfRun) -> Empty:
    """`POST runs/delete`."""
    context.tracking.runs.delete_runs([request.run])
    return Empty()


def restore(context: Context, request: OfRun) -> Empty:
    """`POST runs/restore`."""
    context.tracking.runs.restore_runs([request.run])
    return Empty()


def search(context: Context, request: SearchRuns) -> RunsAnswer:
    """`POST runs/search`."""
    limits.check_results(request.max_results)
    page = context.tracking.runs.search_runs(
        RunQuery(
            experiment_ids=request.experiment_ids,
            filter=request.filter,
            order_by=request.order_by,
            lifecycle=lifecycle(request.run_view_type),
            limit=request.max_results,
            page_token=request.page_token or None,
        )
    )
    return RunsAnswer(runs=_runs_out(context, page.runs), next_page_token=page.next_page_token or UNSET)


# --- what is logged to it -----------------------------------------------------------------------------


def log_metric(context: Context, request: LogMetric) -> Empty:
    """`POST runs/log-metric`."""
    context.tracking.runs.log(request.run, metrics=limits.metrics((request.to_metric(),)))
    return Empty()


def log_parameter(context: Context, request: SetOfRun) -> Empty:
    """`POST runs/log-parameter`."""
    limits.check_key(request.key)
    _log(context, request.run, {request.key: request.value[: limits.MAX_PARAM_VALUE]})
    return Empty()


def log_batch(context: Context, request: LogBatch) -> Empty:
    """`POST runs/log-batch`."""
    limits.check_batch(request.metrics, request.params, request.tags)
    metrics, tags = limits.metrics(request.metrics), limits.tags(request.tags)
    _log(context, request.run, limits.params(request.params), metrics, tags)
    return Empty()


def _log(
    context: Context,
    run_id: str,
    params: Mapping[str, str],
    metrics: Sequence[Metric] = (),
    tags: Mapping[str, str] | None = None,
) -> None:
    try:
        context.tracking.runs.log(run_id, params=params, metrics=metrics, tags=tags)
    except ParameterConflictError as error:
        same = {
            key
            for key, recorded, given in error.conflicts
            if context.rules.same_value(run_id, key, recorded, given)
        }
        if len(same) < len(error.conflicts):
            raise _unchangeable(run_id, error.conflicts) from error
        rest = {key: value for key, value in params.items() if key not in same}
        context.tracking.runs.log(run_id, params=rest, metrics=metrics, tags=tags)


def _unchangeable(run_id: str, conflicts: Sequence[tuple[str, str, str]]) -> ApiError:
    told = "; ".join(
        f"Param with key='{key}' was already logged with value='{recorded}' for run ID='{run_id}'. "
        f"Attempted logging new value '{given}'"
        for key, recorded, given in conflicts
    )
    return invalid(f"Changing param values is not allowed. {told}.")


def set_tag(context: Context, request: SetOfRun) -> Empty:
    """`POST runs/set-tag`."""
    limits.check_key(request.key)
    context.tracking.runs.log(request.run, tags={request.key: request.value[: limits.MAX_TAG_VALUE]})
    return Empty()


def delete_tag(context: Context, request: DeleteTag) -> Empty:
    """`POST runs/delete-tag`."""
    run = _active(context, request.run)
    if request.key not in run.tags:
        raise absent(f"No tag with name: {request.key} in run with id {run.run_id}")
    context.tracking.runs.remove_tags(run.run_id, [request.key])
    return Empty()


def log_model(context: Context, request: LogModel) -> Empty:
    """`POST runs/log-model`: the clients before 3.0 keep their models in a tag of the run."""
    try:
        model = json.loads(request.model_json)
    except (ValueError, RecursionError) as error:
        raise invalid(f"Malformed model info. \n {request.model_json} \n is not a valid JSON.") from error
    if not isinstance(model, dict):
        raise invalid("Malformed model info: it is no JSON object.")
    lacking = {"artifact_path", "flavors", "utc_time_created", "run_id"} - model.keys()
    if lacking:
        raise invalid(f"Model json is missing mandatory fields: {lacking}")
    entry = {key: model[key] for key in _MODEL_FIELDS if key in model}
    flavors = model["flavors"] if isinstance(model["flavors"], dict) else {}
    entry["flavors"] = {name: _without_config(flavor) for name, flavor in flavors.items()}
    with _models_lock:
        run = _active(context, request.run)
        history = json.loads(run.tags.get(_MODELS_TAG, "[]"))
        if entry not in history:  # the client tries again when an answer is lost
            context.tracking.runs.log(run.run_id, tags={_MODELS_TAG: json.dumps([*history, entry])})
    return Empty()


def _without_config(flavor: object) -> object:
    if not isinstance(flavor, dict):
        return flavor
    return {key: value for key, value in flavor.items() if key != "config"}


ROUTES: tuple[Route | RawRoute, ...] = (
    Route("POST", "runs/create", create, CreateRun, Access.CREATE_RUN),
    Route("GET", "runs/get", get, OfRun),
    Route("POST", "runs/update", update, UpdateRun, Access.LOG, its_run),
    Route("POST", "runs/delete", delete, OfRun, Access.DELETE_RUN, its_run),
    Route("POST", "runs/restore", restore, OfRun, Access.DELETE_RUN, its_run),
    Route("POST", "runs/search", search, SearchRuns),
    Route("POST", "runs/log-metric", log_metric, LogMetric, Access.LOG, its_run),
    Route("POST", "runs/log-parameter", log_parameter, SetOfRun, Access.LOG, its_run),
    Route("POST", "runs/log-batch", log_batch, LogBatch, Access.LOG, its_run),
    Route("POST", "runs/set-tag", set_tag, SetOfRun, Access.LOG, its_run),
    Route("POST", "runs/delete-tag", delete_tag, DeleteTag, Access.LOG, its_run),
    Route("POST", "runs/log-model", log_model, LogModel, Access.LOG, its_run),
)
