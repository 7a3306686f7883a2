"""The interface of the model registry: names for models, with numbered versions."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


class Stage(str, enum.Enum):
    """MLflow's stages of a version."""

    NONE = "None"
    STAGING = "Staging"
    PRODUCTION = "Production"
    ARCHIVED = "Archived"


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a registered model."""

    name: str
    version: int
    """Counts from 1; the number of a deleted version is not given again."""
    created_ms: int
    updated_ms: int
    description: str | None = None
    user: str | None = None
    stage: Stage = Stage.NONE
    source: str | None = None
    """Where the model came from, a URI as the client gave it."""
    storage_location: str | None = None
    """Where the model's files are: `source`, or what a `models:` URI in it stands for."""
    run_id: str | None = None
    run_link: str | None = None
    model_id: str | None = None
    """The logged model that became this version."""
    status: str = "READY"
    status_message: str | None = None
    tags: Mapping[str, str] = {}
    aliases: tuple[str, ...] = ()


class NewModelVersion(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a version when it is created."""

    source: str
    storage_location: str | None = None
    """None: what `source` stands for is looked up."""
    run_id: str | None = None
    run_link: str | None = None
    model_id: str | None = None
    user: str | None = None
    description: str | None = None
    tags: Mapping[str, str] = {}


class RegisteredModel(msgspec.Struct, frozen=True, kw_only=True):
    """A name with versions."""

    name: str
    created_ms: int
    updated_ms: int
    description: str | None = None
    tags: Mapping[str, str] = {}
    aliases: Mapping[str, int] = {}
    """Alias -> version."""
    latest_versions: tuple[ModelVersion, ...] = ()
    """The newest version of each stage, by version."""


class RegistryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which registered models, or which versions, to return, in which order."""

    filter: str = ""
    """MLflow's grammar. Models: `name` and `tags.x`. Versions: `name`, `run_id`, `source_path`,
    `version_number`, `tags.x` and more. What carries the tag `mlflow.prompt.is_prompt` is found only by a
    filter that asks for it."""
    order_by: tuple[str, ...] = ()
    """Ties and the default: by name; versions, the newest version first."""
    limit: int = 100
    page_token: str | None = None


class RegisteredModelPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a search for models."""

    models: tuple[RegisteredModel, ...]
    next_page_token: str | None = None


class ModelVersionPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a search for versions."""

    versions: tuple[ModelVersion, ...]
    next_page_token: str | None = None


class ModelRegistry(Protocol):
    """Registered models, their versions, tags, stages and aliases, as in MLflow. Each call is atomic.

    All calls but `create_model` and the searches raise `NotFoundError` if there is no such model or version.
    """

    # --- registered models ----------------------------------------------------------------------------

    def create_model(
        self, name: str, *, description: str | None = None, tags: Mapping[str, str] | None = None
    ) -> RegisteredModel:
        """Register a name.

        Raises:
            AlreadyExistsError: It is registered.
        """

    def model(self, name: str) -> RegisteredModel:
        """Return one registered model."""

    def rename_model(self, name: str, new_name: str) -> RegisteredModel:
        """Give a registered model, with all its versions, another name.

        Raises:
            AlreadyExistsError: The new name is registered.
        """

    def describe_model(self, name: str, description: str | None) -> RegisteredModel:
        """Set a registered model's description."""

    def delete_model(self, name: str) -> None:
        """Remove a registered model with all its versions."""

    def search_models(self, query: RegistryQuery) -> RegisteredModelPage:
        """Return the registered models that match.

        Raises:
            UsageError: The filter or order cannot be understood; names the position.
        """

    def latest_versions(self, name: str, stages: Sequence[Stage] = ()) -> tuple[ModelVersion, ...]:
        """Return the newest version of each of the stages; of every stage, if none is given."""

    def set_model_tags(self, name: str, tags: Mapping[str, str]) -> None:
        """Set tags of a registered model."""

    def remove_model_tags(self, name: str, *keys: str) -> int:
        """Remove tags of a registered model; return how many of them were there."""

    # --- versions -------------------------------------------------------------------------------------

    def create_version(self, name: str, new: NewModelVersion) -> ModelVersion:
        """Add a version to a registered model.

        A `source` such as `models:/name/3` or `models:/m-…` is looked up for the storage location and the
        run.
        """

    def version(self, name: str, version: int) -> ModelVersion:
        """Return one version."""

    def describe_version(self, name: str, version: int, description: str | None) -> ModelVersion:
        """Set a version's description."""

    def delete_version(self, name: str, version: int) -> None:
        """Remove a version and the aliases that point at it."""

    def search_versions(self, query: RegistryQuery) -> ModelVersionPage:
        """Return the versions that match.

        Raises:
            UsageError: The filter or order cannot be understood; names the position.
        """

    def transition_stage(
        self, name: str, version: int, stage: Stage, *, archive_existing: bool = False
    ) -> ModelVersion:
        """Move a version to a stage.

        Args:
            name: The registered model.
            version: The version.
            stage: Where it goes.
            archive_existing: Archive the other versions of that stage, which is `STAGING` or `PRODUCTION`.

        Raises:
            UsageError: `archive_existing` goes with no other stage.
        """

    def set_version_tags(self, name: str, version: int, tags: Mapping[str, str]) -> None:
        """Set tags of a version."""

    def remove_version_tags(self, name: str, version: int, *keys: str) -> int:
        """Remove tags of a version; return how many of them were there."""

    # --- aliases --------------------------------------------------------------------------------------

    def set_alias(self, name: str, alias: str, version: int) -> None:
        """Let an alias point at a version; it points at one version of a model at a time."""

    def remove_alias(self, name: str, alias: str) -> None:
        """Remove an alias; one that is not there is no error."""

    def version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """Return the version that an alias points at; `latest` is the newest version.

        Raises:
            NotFoundError: There is no such model, or no such alias.
        """
