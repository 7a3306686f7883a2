"""The model registry of a tracking server."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from proj.errors import NotFoundError, StoreError, UsageError
from proj.remote.batches import key_values
from proj.remote.logged_models import RemoteLoggedModelStore
from proj.tracking.registry import (
    ModelVersion,
    ModelVersionPage,
    RegisteredModel,
    RegisteredModelPage,
    Stage,
)
from proj.tracking.values import optional, storable
from proj.wire.codec import Empty
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
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from proj.remote.client import Client
    from proj.tracking.registry import ModelRegistry, NewModelVersion, RegistryQuery

_MAX_MODELS = 1000
_MAX_VERSIONS = 10_000
"""In one answer; MLflow allows more, which would be long to make and to send."""
_MAX_VERSION = 2**31 - 1
"""MLflow's databases have no larger number."""
_NEWEST_FIRST = ("name ASC", "version_number DESC")
"""What is meant without an order; older servers have another one in mind."""
_LATEST = "latest"

_Answer = TypeVar("_Answer", ModelsAnswer, VersionsAnswer)


class RemoteModelRegistry:
    """Registered models and their versions on a server.

    The protocol takes one tag at a time, so several are no one transaction here. It has no word for a
    version's user and storage location: what `NewModelVersion` says of them is not recorded; the server finds
    out the place by itself.

    Args:
        client: The server.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    # --- registered models ----------------------------------------------------------------------------

    def create_model(
        self, name: str, *, description: str | None = None, tags: Mapping[str, str] | None = None
    ) -> RegisteredModel:
        """See `ModelRegistry.create_model`."""
        message = CreateModel(
            name=storable(name), description=optional(description) or "", tags=key_values(tags or {})
        )
        return self._model("POST", "create", message)

    def model(self, name: str) -> RegisteredModel:
        """See `ModelRegistry.model`."""
        return self._model("GET", "get", ModelName(name=storable(name)))

    def rename_model(self, name: str, new_name: str) -> RegisteredModel:
        """See `ModelRegistry.rename_model`."""
        return self._model("POST", "rename", RenameModel(name=storable(name), new_name=storable(new_name)))

    def describe_model(self, name: str, description: str | None) -> RegisteredModel:
        """See `ModelRegistry.describe_model`."""
        return self._model(
            "PATCH", "update", DescribeModel(name=storable(name), description=optional(description) or "")
        )

    def delete_model(self, name: str) -> None:
        """See `ModelRegistry.delete_model`."""
        self._client.call("DELETE", "registered-models/delete", ModelName(name=storable(name)), Empty)

    def search_models(self, query: RegistryQuery) -> RegisteredModelPage:
        """See `ModelRegistry.search_models`."""

        def ask(limit: int, token: str) -> ModelsAnswer:
            message = SearchModels(
                filter=storable(query.filter),
                order_by=tuple(map(storable, query.order_by)),
                max_results=limit,
                page_token=token,
            )
            return self._client.get("registered-models/search", message, ModelsAnswer)

        answers = _answers(ask, lambda answer: len(answer.registered_models), query, _MAX_MODELS)
        return RegisteredModelPage(
            models=tuple(self._read_model(each.to_model()) for a in answers for each in a.registered_models),
            next_page_token=answers[-1].next_page_token or None,
        )

    def latest_versions(self, name: str, stages: Sequence[Stage] = ()) -> tuple[ModelVersion, ...]:
        """See `ModelRegistry.latest_versions`."""
        message = LatestVersions(name=storable(name), stages=tuple(stage.value for stage in stages))
        found = self._client.get("registered-models/get-latest-versions", message, VersionsAnswer)
        versions = (self._read_version(each.to_model()) for each in found.model_versions)
        return tuple(sorted(versions, key=lambda version: version.version))

    def set_model_tags(self, name: str, tags: Mapping[str, str]) -> None:
        """See `ModelRegistry.set_model_tags`."""
        for key, value in tags.items():
            message = SetModelTag(name=storable(name), key=storable(key), value=storable(value))
            self._client.post("registered-models/set-tag", message, Empty)

    def remove_model_tags(self, name: str, *keys: str) -> int:
        """See `ModelRegistry.remove_model_tags`."""
        tags = self.model(name).tags
        there = [key for key in dict.fromkeys(map(storable, keys)) if key in tags]
        for key in there:
            message = DeleteModelTag(name=storable(name), key=key)
            self._client.call("DELETE", "registered-models/delete-tag", message, Empty)
        return len(there)

    # --- versions -------------------------------------------------------------------------------------

    def create_version(self, name: str, new: NewModelVersion) -> ModelVersion:
        """See `ModelRegistry.create_version`."""
        message = CreateVersion(
            name=storable(name),
            source=storable(new.source),
            run_id=optional(new.run_id),
            tags=key_values(new.tags),
            run_link=optional(new.run_link) or "",
            description=optional(new.description) or "",
            model_id=optional(new.model_id) or _logged_model(new.source),
        )
        try:
            return self._version("POST", "create", message)
        except StoreError:
            if message.model_id is not None:  # MLflow's server fails where there is no such model
                RemoteLoggedModelStore(self._client).logged_model(message.model_id)
            raise

    def version(self, name: str, version: int) -> ModelVersion:
        """See `ModelRegistry.version`."""
        return self._version("GET", "get", OfVersion(name=storable(name), version=_number(name, version)))

    def describe_version(self, name: str, version: int, description: str | None) -> ModelVersion:
        """See `ModelRegistry.describe_version`."""
        message = DescribeVersion(
            name=storable(name), version=_number(name, version), description=optional(description)
        )
        return self._version("PATCH", "update", message)

    def delete_version(self, name: str, version: int) -> None:
        """See `ModelRegistry.delete_version`."""
        message = OfVersion(name=storable(name), version=_number(name, version))
        self._client.call("DELETE", "model-versions/delete", message, Empty)

    def search_versions(self, query: RegistryQuery) -> ModelVersionPage:
        """See `ModelRegistry.search_versions`."""

        def ask(limit: int, token: str) -> VersionsAnswer:
            message = SearchVersions(
                filter=storable(query.filter),
                order_by=tuple(map(storable, query.order_by)) or _NEWEST_FIRST,
                max_results=limit,
                page_token=token,
            )
            return self._client.get("model-versions/search", message, VersionsAnswer)

        answers = _answers(ask, lambda answer: len(answer.model_versions), query, _MAX_VERSIONS)
        return ModelVersionPage(
            versions=tuple(self._read_version(each.to_model()) for a in answers for each in a.model_versions),
            next_page_token=answers[-1].next_page_token or None,
        )

    def transition_stage(
        self, name: str, version: int, stage: Stage, *, archive_existing: bool = False
    ) -> ModelVersion:
        """See `ModelRegistry.transition_stage`."""
        if archive_existing and stage not in (Stage.STAGING, Stage.PRODUCTION):
            raise UsageError(f"No versions are archived for the stage {stage.value}.")
        message = TransitionStage(
            name=storable(name),
            version=_number(name, version),
            stage=stage.value,
            archive_existing_versions=archive_existing,
        )
        return self._version("POST", "transition-stage", message)

    def set_version_tags(self, name: str, version: int, tags: Mapping[str, str]) -> None:
        """See `ModelRegistry.set_version_tags`."""
        for key, value in tags.items():
            message = SetVersionTag(
                name=storable(name), version=_number(name, version), key=storable(key), value=storable(value)
            )
            self._client.post("model-versions/set-tag", message, Empty)

    def remove_version_tags(self, name: str, version: int, *keys: str) -> int:
        """See `ModelRegistry.remove_version_tags`."""
        tags = self.version(name, version).tags
        there = [key for key in dict.fromkeys(map(storable, keys)) if key in tags]
        for key in there:
            message = DeleteVersionTag(name=storable(name), version=str(version), key=key)
            self._client.call("DELETE", "model-versions/delete-tag", message, Empty)
        return len(there)

    # --- aliases --------------------------------------------------------------------------------------

    def set_alias(self, name: str, alias: str, version: int) -> None:
        """See `ModelRegistry.set_alias`."""
        message = SetAlias(name=storable(name), alias=storable(alias), version=_number(name, version))
        self._client.post("registered-models/alias", message, Empty)

    def remove_alias(self, name: str, alias: str) -> None:
        """See `ModelRegistry.remove_alias`."""
        message = ModelAlias(name=storable(name), alias=storable(alias))
        self._client.call("DELETE", "registered-models/alias", message, Empty)

    def version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """See `ModelRegistry.version_by_alias`."""
        if alias.lower() == _LATEST:  # older servers know no such alias
            found = self.latest_versions(name)
            if not found:
                raise NotFoundError(f"The registered model {name!r} has no versions.")
            return found[-1]
        try:
            answer = self._client.get(
                "registered-models/alias",
                ModelAlias(name=storable(name), alias=storable(alias)),
                VersionAnswer,
            )
        except UsageError as error:  # MLflow's word for an alias that is not there
            self.model(name)
            raise NotFoundError(error.message) from error
        return self._read_version(answer.model_version.to_model())

    # --- reading answers ------------------------------------------------------------------------------

    def _model(self, method: str, call: str, message: msgspec.Struct) -> RegisteredModel:
        answer = self._client.call(method, f"registered-models/{call}", message, ModelAnswer)
        return self._read_model(answer.registered_model.to_model())

    def _version(self, method: str, call: str, message: msgspec.Struct) -> ModelVersion:
        answer = self._client.call(method, f"model-versions/{call}", message, VersionAnswer)
        return self._read_version(answer.model_version.to_model())

    def _read_model(self, model: RegisteredModel) -> RegisteredModel:
        versions = tuple(self._read_version(version) for version in model.latest_versions)
        return msgspec.structs.replace(model, latest_versions=versions)

    def _read_version(self, version: ModelVersion) -> ModelVersion:
        """Ask where a version's files are if its source, another model, does not say so."""
        if version.source is None or not version.source.startswith("models:"):
            return version
        message = OfVersion(name=version.name, version=str(version.version))
        place = self._client.get("model-versions/get-download-uri", message, UriAnswer).artifact_uri
        return msgspec.structs.replace(version, storage_location=place or version.source)


def _logged_model(source: str) -> str | None:
    """The logged model that a source is; servers want it to be named beside its URI."""
    scheme, _, name = source.partition(":/")
    return name if scheme == "models" and name and not set("/@") & set(name) else None


def _number(name: str, version: int) -> str:
    if not 0 < version <= _MAX_VERSION:
        raise NotFoundError(f"The registered model {name!r} has no version {version}.")
    return str(version)


def _answers(
    ask: Callable[[int, str], _Answer], size: Callable[[_Answer], int], query: RegistryQuery, at_once: int
) -> list[_Answer]:
    """Ask for as many results as a query wants, in as many answers as that takes."""
    if query.limit < 1:
        raise UsageError(f"The limit {query.limit} is not a positive number.")
    answers: list[_Answer] = []
    wanted, token = query.limit, query.page_token or ""
    while True:
        answers.append(ask(min(wanted, at_once), token))
        wanted -= size(answers[-1])
        token = answers[-1].next_page_token or ""
        if not token or wanted <= 0:
            return answers


if TYPE_CHECKING:

    def _registry(client: Client) -> ModelRegistry:
        return RemoteModelRegistry(client)
