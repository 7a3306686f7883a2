"""Handlers of `logged-models/…`: models as the clients of MLflow 3 keep them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from proj.server import limits
from proj.server.artifacts import entries_of
from proj.server.policy import Access
from proj.server.routes import Context, Route
from proj.tracking.logged_models import LoggedModelQuery, NewLoggedModel
from proj.wire.codec import Empty
from proj.wire.entities import file_info_out
from proj.wire.errors import absent, invalid, missing
from proj.wire.logged_models import (
    CreateLoggedModel,
    DeleteLoggedModelTag,
    FinalizeLoggedModel,
    GetLoggedModel,
    ListLoggedModelFiles,
    LoggedModelAnswer,
    LoggedModelFilesAnswer,
    LoggedModelOut,
    LoggedModelsAnswer,
    LogLoggedModelParams,
    OfLoggedModel,
    SearchLoggedModels,
    SetLoggedModelTags,
    logged_model_out,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proj.tracking.logged_models import LoggedModel

_BAD_CHARACTERS = ("/", ":", ".", "%", '"', "'")


def _out(context: Context, model: LoggedModel) -> LoggedModelOut:
    return logged_model_out(model, context.site.public_uri(model.artifact_location))


def _its_source(request: CreateLoggedModel) -> Sequence[str]:
    """The run that a model is made of."""
    return (request.source_run_id,) if request.source_run_id else ()


def _check_owner(context: Context, model_id: str, *, allow_deleted: bool = False) -> LoggedModel:
    """See that the client may change the run that a model came out of, if it came out of one."""
    model = context.tracking.logged_models.logged_model(model_id, allow_deleted=allow_deleted)
    runs = () if model.source_run_id is None else (model.source_run_id,)
    context.principal.check(Access.MODELS, runs)
    return model


def create(context: Context, request: CreateLoggedModel) -> LoggedModelAnswer:
    """`POST logged-models`."""
    if any(character in request.name for character in _BAD_CHARACTERS):
        raise invalid(
            f"Invalid model name ({request.name!r}) provided. Model name must be a non-empty string and "
            f"cannot contain the following characters: {_BAD_CHARACTERS}"
        )
    new = NewLoggedModel(
        experiment_id=request.experiment_id,
        name=request.name or None,
        model_type=request.model_type or None,
        source_run_id=request.source_run_id or None,
        params=limits.params(request.params),
        tags=limits.tags(request.tags),
    )
    model = context.tracking.logged_models.create_logged_model(new)
    return LoggedModelAnswer(model=_out(context, model))


def get(context: Context, request: GetLoggedModel) -> LoggedModelAnswer:
    """`GET logged-models/{model_id}`."""
    model = context.tracking.logged_models.logged_model(request.model_id, allow_deleted=request.allow_deleted)
    return LoggedModelAnswer(model=_out(context, model))


def finalize(context: Context, request: FinalizeLoggedModel) -> LoggedModelAnswer:
    """`PATCH logged-models/{model_id}`."""
    _check_owner(context, request.model_id)
    model = context.tracking.logged_models.finalize_logged_model(request.model_id, request.to_status())
    return LoggedModelAnswer(model=_out(context, model))


def delete(context: Context, request: OfLoggedModel) -> Empty:
    """`DELETE logged-models/{model_id}`."""
    if _check_owner(context, request.model_id, allow_deleted=True).lifecycle_stage == "active":
        context.tracking.logged_models.delete_logged_model(request.model_id)
    return Empty()


def set_tags(context: Context, request: SetLoggedModelTags) -> Empty:
    """`PATCH logged-models/{model_id}/tags`."""
    _check_owner(context, request.model_id)
    context.tracking.logged_models.set_logged_model_tags(request.model_id, limits.tags(request.tags))
    return Empty()


def delete_tag(context: Context, request: DeleteLoggedModelTag) -> Empty:
    """`DELETE logged-models/{model_id}/tags/{tag_key}`."""
    _check_owner(context, request.model_id)
    if not context.tracking.logged_models.remove_logged_model_tags(request.model_id, request.tag_key):
        raise absent(f"No tag with key {request.tag_key!r} found for model {request.model_id!r}.")
    return Empty()


def log_params(context: Context, request: LogLoggedModelParams) -> Empty:
    """`POST logged-models/{model_id}/params`."""
    _check_owner(context, request.model_id)
    params = limits.params(request.params)
    context.tracking.logged_models.log_logged_model_params(request.model_id, params)
    return Empty()


def search(context: Context, request: SearchLoggedModels) -> LoggedModelsAnswer:
    """`POST logged-models/search`."""
    if not request.experiment_ids:
        raise missing("experiment_ids")
    limits.check_results(request.max_results)
    page = context.tracking.logged_models.search_logged_models(
        LoggedModelQuery(
            experiment_ids=request.experiment_ids,
            filter=request.filter,
            datasets=tuple(dataset.to_model() for dataset in request.datasets),
            order_by=tuple(order.to_model() for order in request.order_by),
            limit=request.max_results,
            page_token=request.page_token or None,
        )
    )
    return LoggedModelsAnswer(
        models=tuple(_out(context, model) for model in page.models),
        next_page_token=page.next_page_token or UNSET,
    )


def list_files(context: Context, request: ListLoggedModelFiles) -> LoggedModelFilesAnswer:
    """`GET logged-models/{model_id}/artifacts/directories`."""
    model = context.tracking.logged_models.logged_model(request.model_id)
    entries = entries_of(context, model.artifact_location, request.artifact_directory_path)
    return LoggedModelFilesAnswer(
        root_uri=context.site.public_uri(model.artifact_location),
        files=tuple(file_info_out(entry) for entry in entries),
    )


_MODEL = "logged-models/{model_id}"
ROUTES = (
    Route("POST", "logged-models", create, CreateLoggedModel, Access.MODELS, _its_source),
    Route("POST", "logged-models/search", search, SearchLoggedModels),
    Route("GET", _MODEL, get, GetLoggedModel),
    Route("PATCH", _MODEL, finalize, FinalizeLoggedModel, Access.MODELS),
    Route("DELETE", _MODEL, delete, OfLoggedModel, Access.MODELS),
    Route("PATCH", f"{_MODEL}/tags", set_tags, SetLoggedModelTags, Access.MODELS),
    Route("DELETE", f"{_MODEL}/tags/{{tag_key}}", delete_tag, DeleteLoggedModelTag, Access.MODELS),
    Route("POST", f"{_MODEL}/params", log_params, LogLoggedModelParams, Access.MODELS),
    Route("GET", f"{_MODEL}/artifacts/directories", list_files, ListLoggedModelFiles),
)
