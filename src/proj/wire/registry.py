"""Requests and responses of `registered-models/…` and `model-versions/…`.

MLflow's servers leave out what is empty, so fields of answers that may be have defaults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

from proj.tracking.registry import ModelVersion, RegisteredModel, Stage
from proj.wire.codec import Int64, Message, Text
from proj.wire.entities import KeyValue
from proj.wire.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_VERSION = 2**63 - 1


# --- registered models --------------------------------------------------------------------------------


class ModelName(Message, frozen=True):
    """`registered-models/get`, `/delete`."""

    name: Text


class CreateModel(Message, frozen=True):
    """`POST registered-models/create`."""

    name: Text
    tags: tuple[KeyValue, ...] = ()
    description: str = ""


class RenameModel(Message, frozen=True):
    """`POST registered-models/rename`."""

    name: Text
    new_name: Text


class DescribeModel(Message, frozen=True):
    """`PATCH registered-models/update`."""

    name: Text
    description: str = ""


class SearchModels(Message, frozen=True):
    """`GET registered-models/search`; the clients of 1.x call `registered-models/list` as well."""

    filter: str = ""
    max_results: Int64 = 100
    order_by: tuple[str, ...] = ()
    page_token: str = ""


class LatestVersions(Message, frozen=True):
    """`registered-models/get-latest-versions`."""

    name: Text
    stages: tuple[str, ...] = ()


class SetModelTag(Message, frozen=True):
    """`POST registered-models/set-tag`."""

    name: Text
    key: Text
    value: str = ""


class DeleteModelTag(Message, frozen=True):
    """`DELETE registered-models/delete-tag`."""

    name: Text
    key: Text


class ModelAlias(Message, frozen=True):
    """`GET` and `DELETE registered-models/alias`."""

    name: Text
    alias: Text


# --- versions -----------------------------------------------------------------------------------------


class OfVersion(Message, frozen=True):
    """`model-versions/get`, `/delete`, `/get-download-uri`; base of the requests that name one version."""

    name: Text
    version: Text

    @property
    def number(self) -> int:
        """The version as a number.

        Raises:
            ApiError: It is none.
        """
        try:
            number = int(self.version)
        except ValueError as error:
            raise invalid(f"Parameter 'version' must be an integer, got '{self.version[:100]}'.") from error
        return max(0, min(number, _MAX_VERSION))  # there is neither a version 0 nor so many


class SetAlias(OfVersion, frozen=True):
    """`POST registered-models/alias`."""

    alias: Text


class CreateVersion(Message, frozen=True):
    """`POST model-versions/create`."""

    name: Text
    source: Text
    run_id: str | None = None
    tags: tuple[KeyValue, ...] = ()
    run_link: str = ""
    description: str = ""
    model_id: str | None = None


class DescribeVersion(OfVersion, frozen=True):
    """`PATCH model-versions/update`."""

    description: str | None = None


class TransitionStage(OfVersion, frozen=True):
    """`POST model-versions/transition-stage`."""

    stage: Text
    archive_existing_versions: bool = False


class SearchVersions(SearchModels, frozen=True):
    """`GET model-versions/search`."""

    max_results: Int64 = 200_000


class SetVersionTag(OfVersion, frozen=True):
    """`POST model-versions/set-tag`."""

    key: Text
    value: str = ""


class DeleteVersionTag(OfVersion, frozen=True):
    """`DELETE model-versions/delete-tag`."""

    key: Text


# --- answers ------------------------------------------------------------------------------------------


class AliasOut(Message, frozen=True):
    """An alias, and the version that it points at."""

    alias: str
    version: str


class VersionOut(Message, frozen=True):
    """A version."""

    name: str
    version: str
    creation_timestamp: Int64 = 0
    last_updated_timestamp: Int64 = 0
    current_stage: str = Stage.NONE.value
    description: str = ""
    source: str = ""
    run_id: str = ""
    status: str = "READY"
    run_link: str = ""
    user_id: str | UnsetType = UNSET
    status_message: str | UnsetType = UNSET
    tags: tuple[KeyValue, ...] = ()
    aliases: tuple[str, ...] = ()
    model_id: str | UnsetType = UNSET

    def to_model(self) -> ModelVersion:
        """Return it as a value of ours, as if its files were where its source says."""
        return ModelVersion(
            name=self.name,
            version=int(self.version),
            created_ms=self.creation_timestamp,
            updated_ms=self.last_updated_timestamp,
            description=self.description or None,
            user=self.user_id or None,
            stage=Stage(self.current_stage),
            source=self.source or None,
            storage_location=self.source or None,
            run_id=self.run_id or None,
            run_link=self.run_link or None,
            model_id=self.model_id or None,
            status=self.status,
            status_message=self.status_message or None,
            tags={tag.key: tag.value for tag in self.tags},
            aliases=tuple(sorted(self.aliases)),
        )


class ModelOut(Message, frozen=True):
    """A registered model."""

    name: str
    creation_timestamp: Int64 = 0
    last_updated_timestamp: Int64 = 0
    description: str = ""
    latest_versions: tuple[VersionOut, ...] = ()
    tags: tuple[KeyValue, ...] = ()
    aliases: tuple[AliasOut, ...] = ()

    def to_model(self) -> RegisteredModel:
        """Return it as a value of ours; of its versions see `VersionOut.to_model`."""
        versions = (version.to_model() for version in self.latest_versions)
        return RegisteredModel(
            name=self.name,
            created_ms=self.creation_timestamp,
            updated_ms=self.last_updated_timestamp,
            description=self.description or None,
            tags={tag.key: tag.value for tag in self.tags},
            aliases={alias.alias: int(alias.version) for alias in self.aliases},
            latest_versions=tuple(sorted(versions, key=lambda version: version.version)),
        )


class ModelAnswer(Message, frozen=True):
    """One registered model."""

    registered_model: ModelOut


class ModelsAnswer(Message, frozen=True):
    """A page of registered models."""

    registered_models: tuple[ModelOut, ...] = ()
    next_page_token: str | UnsetType = UNSET


class VersionAnswer(Message, frozen=True):
    """One version."""

    model_version: VersionOut


class VersionsAnswer(Message, frozen=True):
    """A page of versions."""

    model_versions: tuple[VersionOut, ...] = ()
    next_page_token: str | UnsetType = UNSET


class UriAnswer(Message, frozen=True):
    """What `model-versions/get-download-uri` answers."""

    artifact_uri: str = ""


def version_out(version: ModelVersion, public_uri: Callable[[str], str]) -> VersionOut:
    """Write a version; `public_uri` makes the URI that clients get of one of the store's."""
    return VersionOut(
        name=version.name,
        version=str(version.version),
        creation_timestamp=version.created_ms,
        last_updated_timestamp=version.updated_ms,
        current_stage=version.stage.value,
        description=version.description or "",
        source=public_uri(version.source or ""),
        run_id=version.run_id or "",
        status=version.status,
        run_link=version.run_link or "",
        user_id=version.user or UNSET,
        status_message=version.status_message or UNSET,
        tags=tuple(KeyValue(key=key, value=value) for key, value in version.tags.items()),
        aliases=version.aliases,
        model_id=version.model_id or UNSET,
    )


def model_out(model: RegisteredModel, public_uri: Callable[[str], str]) -> ModelOut:
    """Write a registered model; `public_uri` as in `version_out`."""
    return ModelOut(
        name=model.name,
        creation_timestamp=model.created_ms,
        last_updated_timestamp=model.updated_ms,
        description=model.description or "",
        latest_versions=tuple(version_out(version, public_uri) for version in model.latest_versions),
        tags=tuple(KeyValue(key=key, value=value) for key, value in model.tags.items()),
        aliases=tuple(
            AliasOut(alias=alias, version=str(version)) for alias, version in model.aliases.items()
        ),
    )
