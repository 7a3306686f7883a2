"""Handlers of `experiments/…`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from msgspec import UNSET

from proj.errors import ConflictError, NotFoundError
from proj.server import limits
from proj.server.policy import Access
from proj.server.routes import RawRoute, Route
from proj.tracking.experiments import ExperimentQuery
from proj.wire.codec import Empty
from proj.wire.entities import experiment_out
from proj.wire.enums import lifecycle
from proj.wire.errors import absent, exists, invalid
from proj.wire.experiments import (
    CreateExperiment,
    DeleteExperimentTag,
    ExperimentAnswer,
    ExperimentId,
    ExperimentName,
    ExperimentsAnswer,
    SearchExperiments,
    SetExperimentTag,
    UpdateExperiment,
)

if TYPE_CHECKING:
    from proj.model import Experiment
    from proj.server.routes import Context, Site
    from proj.wire.entities import ExperimentOut
    from proj.wire.errors import ApiError


def _out(context: Context, experiment: Experiment) -> ExperimentOut:
    return experiment_out(experiment, context.site.public_uri(experiment.artifact_location))


def create(context: Context, request: CreateExperiment) -> ExperimentId:
    """`POST experiments/create`."""
    limits.check_length(request.name, limits.MAX_EXPERIMENT_NAME, "name")
    tags = limits.tags(request.tags, limit=limits.MAX_EXPERIMENT_TAG_VALUE)
    location = _location(context.site, request.artifact_location)
    try:
        made = context.tracking.runs.create_experiment(
            request.name, exist_ok=False, artifact_location=location, tags=tags
        )
    except ConflictError as error:  # MLflow's clients look for this word
        raise _exists(context, request.name) from error
    context.rules.found_experiment(made.experiment_id)
    return ExperimentId(experiment_id=made.experiment_id)


def get(context: Context, request: ExperimentId) -> ExperimentAnswer:
    """`GET experiments/get`."""
    found = context.tracking.runs.experiment(request.experiment_id)
    context.rules.found_experiment(found.experiment_id)
    return ExperimentAnswer(experiment=_out(context, found))


def get_by_name(context: Context, request: ExperimentName) -> ExperimentAnswer:
    """`GET experiments/get-by-name`."""
    try:
        found = context.tracking.runs.experiment_named(request.experiment_name)
    except NotFoundError as error:
        raise absent(f"Could not find experiment with name '{request.experiment_name}'") from error
    context.rules.found_experiment(found.experiment_id)
    return ExperimentAnswer(experiment=_out(context, found))


def search(context: Context, request: SearchExperiments) -> ExperimentsAnswer:
    """`experiments/search`, and `experiments/list` of the clients of 1.x."""
    limits.check_results(request.max_results)
    page = context.tracking.runs.search_experiments(
        ExperimentQuery(
            filter=request.filter,
            order_by=request.order_by,
            lifecycle=lifecycle(request.view_type),
            limit=request.max_results,
            page_token=request.page_token or None,
        )
    )
    return ExperimentsAnswer(
        experiments=tuple(_out(context, experiment) for experiment in page.experiments),
        next_page_token=page.next_page_token or UNSET,
    )


def update(context: Context, request: UpdateExperiment) -> Empty:
    """`POST experiments/update`."""
    limits.check_length(request.new_name, limits.MAX_EXPERIMENT_NAME, "name")
    context.tracking.runs.rename_experiment(request.experiment_id, request.new_name)
    return Empty()


def delete(context: Context, request: ExperimentId) -> Empty:
    """`POST experiments/delete`."""
    context.tracking.runs.delete_experiment(request.experiment_id)
    return Empty()


def restore(context: Context, request: ExperimentId) -> Empty:
    """`POST experiments/restore`."""
    context.tracking.runs.restore_experiment(request.experiment_id)
    return Empty()


def set_tag(context: Context, request: SetExperimentTag) -> Empty:
    """`POST experiments/set-experiment-tag`."""
    limits.check_key(request.key)
    limits.check_length(request.value, limits.MAX_EXPERIMENT_TAG_VALUE, "value")
    context.tracking.runs.set_experiment_tags(request.experiment_id, {request.key: request.value})
    return Empty()


def delete_tag(context: Context, request: DeleteExperimentTag) -> Empty:
    """`POST experiments/delete-experiment-tag`."""
    if not context.tracking.runs.remove_experiment_tags(request.experiment_id, request.key):
        raise absent(f"No tag with name: {request.key} in experiment with id {request.experiment_id}")
    return Empty()


def _location(site: Site, given: str) -> str | None:
    """Return where the artifacts of an experiment go; clients of a server choose no folder of its machine."""
    stored = site.stored_uri(given)
    if stored in ("", site.artifact_base):
        return None
    scheme = stored.partition(":")[0].lower() if ":" in stored else ""
    if ".." in unquote(stored).split("/"):
        raise invalid(f"'{given}' leads out of where artifacts are kept.")
    if (scheme in ("", "file") or "/" in scheme) and not site.reaches(stored):
        raise invalid(f"'{given}' is a place on the server's machine. Leave artifact_location out.")
    return stored


def _exists(context: Context, name: str) -> ApiError:
    if context.tracking.runs.experiment_named(name).lifecycle_stage == "active":
        return exists(f"Experiment '{name}' already exists.")
    return exists(
        f"Experiment '{name}' already exists in deleted state. You can restore the experiment, or "
        "permanently delete it to create a new one."
    )


ROUTES: tuple[Route | RawRoute, ...] = (
    Route("POST", "experiments/create", create, CreateExperiment, Access.CREATE_EXPERIMENT),
    Route("GET", "experiments/get", get, ExperimentId),
    Route("GET", "experiments/get-by-name", get_by_name, ExperimentName),
    Route("GET", "experiments/search", search, SearchExperiments),
    Route("POST", "experiments/search", search, SearchExperiments),
    Route("GET", "experiments/list", search, SearchExperiments),
    Route("POST", "experiments/update", update, UpdateExperiment, Access.EDIT_EXPERIMENT),
    Route("POST", "experiments/delete", delete, ExperimentId, Access.EDIT_EXPERIMENT),
    Route("POST", "experiments/restore", restore, ExperimentId, Access.EDIT_EXPERIMENT),
    Route("POST", "experiments/set-experiment-tag", set_tag, SetExperimentTag, Access.TAG_EXPERIMENT),
    Route(
        "POST", "experiments/delete-experiment-tag", delete_tag, DeleteExperimentTag, Access.TAG_EXPERIMENT
    ),
)
