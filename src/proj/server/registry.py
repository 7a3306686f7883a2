"""Handlers of the model registry: `registered-models/…` and `model-versions/…`."""

from __future__ import annotations

import json
import re
import threading
from typing import TYPE_CHECKING

from msgspec import UNSET
from starlette.concurrency import run_in_threadpool

from proj.errors import NotFoundError
from proj.server import limits, sources
from proj.server.artifacts import send_artifact
from proj.server.policy import Access
from proj.server.routes import Context, RawRoute, Route
from proj.tracking.registry import NewModelVersion, RegistryQuery
from proj.wire.codec import Empty
from proj.wire.errors import invalid, missing
from proj.wire.registry import (
    CreateModel,
    CreateVersion,
    DeleteModelTag,
    DeleteVersionTag,
    DescribeModel,
    DescribeVersion,
    LatestVersions,
    ModelAlias,
    ModelAnswer,
    ModelName,
    ModelsAnswer,
    OfVersion,
    RenameModel,
    SearchModels,
    SearchVersions,
    SetAlias,
    SetModelTag,
    SetVersionTag,
    TransitionStage,
    UriAnswer,
    VersionAnswer,
    VersionsAnswer,
    model_out,
    version_out,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from proj.tracking.registry import ModelVersion, RegisteredModel
    from proj.wire.entities import KeyValue

MAX_MODELS = 1000
MAX_VERSIONS = 200_000
MAX_TAG_VALUE = 100_000
MAX_ALIAS = 255
_ALIAS = re.compile(r"[\w-]+")
_VERSION_ALIAS = re.compile(r"v\d+", re.IGNORECASE)
_PROMPT_TAG = "mlflow.prompt.is_prompt"
_VERSIONS_TAG = "mlflow.modelVersions"
"""Of a logged model: the versions that it became, JSON."""
_noting = threading.Lock()


def _model(context: Context, model: RegisteredModel) -> ModelAnswer:
    return ModelAnswer(registered_model=model_out(model, context.site.public_uri))


def _version(context: Context, version: ModelVersion) -> VersionAnswer:
    return VersionAnswer(model_version=version_out(version, context.site.public_uri))


def _check_name(name: str, parameter: str = "name") -> None:
    if not name.strip():
        raise missing(parameter)
    if "/" in name or ":" in name:
        raise invalid(f"Invalid model name '{name}'. Names cannot contain '/' or ':'.")
    limits.check_path(name, parameter)


def _check_alias(alias: str) -> None:
    if not _ALIAS.fullmatch(alias):
        raise invalid(
            f"Invalid alias name: '{alias}'. Names may only contain alphanumerics, underscores (_), and "
            "dashes (-)."
        )
    limits.check_length(alias, MAX_ALIAS, "Registered model alias name")


def _tags(given: Sequence[KeyValue]) -> dict[str, str]:
    for number, item in enumerate(given):
        limits.check_key(item.key, f"tags[{number}].key")
        limits.check_length(item.value, MAX_TAG_VALUE, f"tags[{number}].value")
    return {item.key: item.value for item in given}


def _tag(key: str, value: str) -> dict[str, str]:
    limits.check_key(key)
    limits.check_length(value, MAX_TAG_VALUE, "value")
    return {key: value}


# --- registered models --------------------------------------------------------------------------------


def create_model(context: Context, request: CreateModel) -> ModelAnswer:
    """`POST registered-models/create`."""
    _check_name(request.name)
    tags = _tags(request.tags)
    model = context.tracking.registry.create_model(
        request.name, description=request.description or None, tags=tags
    )
    return _model(context, model)


def get_model(context: Context, request: ModelName) -> ModelAnswer:
    """`GET registered-models/get`."""
    _check_name(request.name)
    return _model(context, context.tracking.registry.model(request.name))


def rename_model(context: Context, request: RenameModel) -> ModelAnswer:
    """`POST registered-models/rename`."""
    _check_name(request.new_name, "new_name")
    return _model(context, context.tracking.registry.rename_model(request.name, request.new_name))


def describe_model(context: Context, request: DescribeModel) -> ModelAnswer:
    """`PATCH registered-models/update`."""
    return _model(context, context.tracking.registry.describe_model(request.name, request.description))


def delete_model(context: Context, request: ModelName) -> Empty:
    """`DELETE registered-models/delete`."""
    context.tracking.registry.delete_model(request.name)
    return Empty()


def _query(request: SearchModels, limit: int) -> RegistryQuery:
    limits.check_results(request.max_results, limit)
    return RegistryQuery(
        filter=request.filter,
        order_by=request.order_by,
        limit=request.max_results,
        page_token=request.page_token or None,
    )


def search_models(context: Context, request: SearchModels) -> ModelsAnswer:
    """`GET registered-models/search`."""
    page = context.tracking.registry.search_models(_query(request, MAX_MODELS))
    return ModelsAnswer(
        registered_models=tuple(model_out(model, context.site.public_uri) for model in page.models),
        next_page_token=page.next_page_token or UNSET,
    )


def latest_versions(context: Context, request: LatestVersions) -> VersionsAnswer:
    """`registered-models/get-latest-versions`."""
    registry = context.tracking.registry
    if request.stages:
        registry.model(request.name)  # without it no stage is worth a word
    stages = tuple(sources.stage(name) for name in request.stages)
    versions = registry.latest_versions(request.name, stages)
    return VersionsAnswer(
        model_versions=tuple(version_out(version, context.site.public_uri) for version in versions)
    )


def set_model_tag(context: Context, request: SetModelTag) -> Empty:
    """`POST registered-models/set-tag`."""
    _check_name(request.name)
    context.tracking.registry.set_model_tags(request.name, _tag(request.key, request.value))
    return Empty()


def delete_model_tag(context: Context, request: DeleteModelTag) -> Empty:
    """`DELETE registered-models/delete-tag`."""
    limits.check_key(request.key)
    context.tracking.registry.remove_model_tags(request.name, request.key)
    return Empty()


def set_alias(context: Context, request: SetAlias) -> Empty:
    """`POST registered-models/alias`."""
    _check_name(request.name)
    _check_alias(request.alias)
    if request.alias.lower() == "latest":
        raise invalid("'latest' alias name (case insensitive) is reserved.")
    if _VERSION_ALIAS.fullmatch(request.alias):
        raise invalid(f"Version alias name '{request.alias}' is reserved.")
    context.tracking.registry.set_alias(request.name, request.alias, request.number)
    return Empty()


def delete_alias(context: Context, request: ModelAlias) -> Empty:
    """`DELETE registered-models/alias`."""
    _check_alias(request.alias)
    context.tracking.registry.remove_alias(request.name, request.alias)
    return Empty()


def get_by_alias(context: Context, request: ModelAlias) -> VersionAnswer:
    """`GET registered-models/alias`."""
    _check_alias(request.alias)
    registry = context.tracking.registry
    try:
        return _version(context, registry.version_by_alias(request.name, request.alias))
    except NotFoundError as error:
        if request.alias.lower() == "latest":
            raise
        registry.model(request.name)  # raises if it is the model that is missing
        raise invalid(f"Registered model alias {request.alias} not found.") from error


# --- versions -----------------------------------------------------------------------------------------


def create_version(context: Context, request: CreateVersion) -> VersionAnswer:
    """`POST model-versions/create`."""
    _check_name(request.name)
    tags = _tags(request.tags)
    lineage = sources.resolve(
        context,
        request.source,
        request.run_id,
        request.model_id,
        prompt=tags.get(_PROMPT_TAG, "").lower() == "true",
    )
    run_id, model_id = lineage.run_id, lineage.model_id
    if model_id and not run_id:
        run_id = context.tracking.logged_models.logged_model(model_id).source_run_id
    new = NewModelVersion(
        source=lineage.source,
        run_id=run_id,
        run_link=request.run_link or None,
        model_id=model_id,
        description=request.description or None,
        tags=tags,
    )
    version = context.tracking.registry.create_version(request.name, new)
    if model_id:
        _note_version(context, model_id, version)
    return _version(context, version)


def _note_version(context: Context, model_id: str, version: ModelVersion) -> None:
    """Say in a logged model that it became a version."""
    models = context.tracking.logged_models
    with _noting:
        try:
            noted = json.loads(models.logged_model(model_id).tags.get(_VERSIONS_TAG, "[]"))
        except (ValueError, RecursionError):  # somebody else's writing
            noted = []
        entry = {"name": version.name, "version": version.version}
        known = noted if isinstance(noted, list) else []
        models.set_logged_model_tags(model_id, {_VERSIONS_TAG: json.dumps([*known, entry])})


def get_version(context: Context, request: OfVersion) -> VersionAnswer:
    """`GET model-versions/get`."""
    return _version(context, context.tracking.registry.version(request.name, request.number))


def describe_version(context: Context, request: DescribeVersion) -> VersionAnswer:
    """`PATCH model-versions/update`."""
    version = context.tracking.registry.describe_version(request.name, request.number, request.description)
    return _version(context, version)


def delete_version(context: Context, request: OfVersion) -> Empty:
    """`DELETE model-versions/delete`."""
    context.tracking.registry.delete_version(request.name, request.number)
    return Empty()


def transition_stage(context: Context, request: TransitionStage) -> VersionAnswer:
    """`POST model-versions/transition-stage`."""
    version = context.tracking.registry.transition_stage(
        request.name,
        request.number,
        sources.stage(request.stage),
        archive_existing=request.archive_existing_versions,
    )
    return _version(context, version)


def search_versions(context: Context, request: SearchVersions) -> VersionsAnswer:
    """`GET model-versions/search`."""
    page = context.tracking.registry.search_versions(_query(request, MAX_VERSIONS))
    return VersionsAnswer(
        model_versions=tuple(version_out(version, context.site.public_uri) for version in page.versions),
        next_page_token=page.next_page_token or UNSET,
    )


def download_uri(context: Context, request: OfVersion) -> UriAnswer:
    """`GET model-versions/get-download-uri`."""
    version = context.tracking.registry.version(request.name, request.number)
    return UriAnswer(artifact_uri=context.site.public_uri(version.storage_location or version.source or ""))


async def get_artifact(context: Context, request: Request, _parts: dict[str, str]) -> Response:
    """`GET /model-versions/get-artifact`: one file of a version."""
    given = {name: request.query_params.get(name, "") for name in ("name", "version", "path")}
    for name, value in given.items():
        if not value:
            raise missing(name)
    context.principal.check(Access.READ)
    of_version = OfVersion(name=given["name"], version=given["version"])
    version = await run_in_threadpool(context.tracking.registry.version, of_version.name, of_version.number)
    place = version.storage_location or version.source or ""
    return await send_artifact(context, request, place, given["path"])


def set_version_tag(context: Context, request: SetVersionTag) -> Empty:
    """`POST model-versions/set-tag`."""
    _check_name(request.name)
    context.tracking.registry.set_version_tags(request.name, request.number, _tag(request.key, request.value))
    return Empty()


def delete_version_tag(context: Context, request: DeleteVersionTag) -> Empty:
    """`DELETE model-versions/delete-tag`."""
    limits.check_key(request.key)
    context.tracking.registry.remove_version_tags(request.name, request.number, request.key)
    return Empty()


ROUTES: tuple[Route | RawRoute, ...] = (
    Route("POST", "registered-models/create", create_model, CreateModel, Access.MODELS),
    Route("GET", "registered-models/get", get_model, ModelName),
    Route("POST", "registered-models/rename", rename_model, RenameModel, Access.MODELS),
    Route("PATCH", "registered-models/update", describe_model, DescribeModel, Access.MODELS),
    Route("DELETE", "registered-models/delete", delete_model, ModelName, Access.MODELS),
    Route("GET", "registered-models/search", search_models, SearchModels),
    Route("GET", "registered-models/list", search_models, SearchModels),
    Route("GET", "registered-models/get-latest-versions", latest_versions, LatestVersions),
    Route("POST", "registered-models/get-latest-versions", latest_versions, LatestVersions),
    Route("POST", "registered-models/set-tag", set_model_tag, SetModelTag, Access.MODELS),
    Route("DELETE", "registered-models/delete-tag", delete_model_tag, DeleteModelTag, Access.MODELS),
    Route("POST", "registered-models/alias", set_alias, SetAlias, Access.MODELS),
    Route("DELETE", "registered-models/alias", delete_alias, ModelAlias, Access.MODELS),
    Route("GET", "registered-models/alias", get_by_alias, ModelAlias),
    Route("POST", "model-versions/create", create_version, CreateVersion, Access.MODELS),
    Route("GET", "model-versions/get", get_version, OfVersion),
    Route("PATCH", "model-versions/update", describe_version, DescribeVersion, Access.MODELS),
    Route("DELETE", "model-versions/delete", delete_version, OfVersion, Access.MODELS),
    Route("POST", "model-versions/transition-stage", transition_stage, TransitionStage, Access.MODELS),
    Route("GET", "model-versions/search", search_versions, SearchVersions),
    Route("GET", "model-versions/get-download-uri", download_uri, OfVersion),
    RawRoute("GET", "/model-versions/get-artifact", get_artifact),
    Route("POST", "model-versions/set-tag", set_version_tag, SetVersionTag, Access.MODELS),
    Route("DELETE", "model-versions/delete-tag", delete_version_tag, DeleteVersionTag, Access.MODELS),
)
