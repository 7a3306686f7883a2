"""The interface of logged models: models as MLflow 3 keeps them, apart from runs."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from proj.model import Metric
from proj.tracking.experiments import Lifecycle

if TYPE_CHECKING:
    from collections.abc import Sequence


class LoggedModelStatus(str, enum.Enum):
    """How far a model's upload has come."""

    UNSPECIFIED = "UNSPECIFIED"
    PENDING = "PENDING"
    READY = "READY"
    FAILED = "FAILED"


class ModelMetric(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of a model, and the run that measured it."""

    metric: Metric
    run_id: str


class NewLoggedModel(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a model when it is created."""

    experiment_id: str
    name: str | None = None
    """None: a name is made up."""
    model_type: str | None = None
    source_run_id: str | None = None
    params: Mapping[str, str] = {}
    tags: Mapping[str, str] = {}


class LoggedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model as the store knows it."""

    model_id: str
    """`m-` and 32 hexadecimal digits."""
    experiment_id: str
    name: str
    artifact_location: str
    model_type: str | None = None
    source_run_id: str | None = None
    status: LoggedModelStatus = LoggedModelStatus.PENDING
    status_message: str | None = None
    created_ms: int = 0
    updated_ms: int = 0
    lifecycle_stage: Literal["active", "deleted"] = "active"
    params: Mapping[str, str] = {}
    tags: Mapping[str, str] = {}
    metrics: tuple[ModelMetric, ...] = ()
    """All points, in the order of key, timestamp, step."""


class DatasetChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Metrics that were measured on a dataset, of one digest or of any."""

    name: str
    digest: str | None = None


class LoggedModelOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One key to sort by."""

    field: str
    """An attribute, or `metrics.<name>`: the point with the greatest timestamp."""
    ascending: bool = True
    dataset: DatasetChoice | None = None
    """Look only at metrics that were measured on it."""


class LoggedModelQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which models to return, in which order."""

    experiment_ids: tuple[str, ...] | None = None
    """None: all experiments."""
    filter: str = ""
    """MLflow's grammar: `metrics.rmse < 0.8 and params.alpha = '1' and name LIKE 'a%'`."""
    datasets: tuple[DatasetChoice, ...] = ()
    """Metric conditions look only at points that were measured on one of these; without a metric condition,
    models that have such points."""
    lifecycle: Lifecycle = "active"
    deleted_before_ms: int | None = None
    """Only models that were deleted before this time, milliseconds since the epoch."""
    order_by: tuple[LoggedModelOrder, ...] = ()
    """Ties and the default: newest first, then model id. What a model does not have comes last."""
    limit: int = 100
    page_token: str | None = None


class LoggedModelPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a search."""

    models: tuple[LoggedModel, ...]
    next_page_token: str | None = None


class LoggedModelStore(Protocol):
    """Logged models. Each call is atomic; metrics of models come through `RunStore.log`.

    A deleted model is found only by calls that say so: `logged_model(..., allow_deleted=True)`, and searches
    for another lifecycle.
    """

    def create_logged_model(self, new: NewLoggedModel) -> LoggedModel:
        """Record a new model, `PENDING`, and return it with its id and artifact location.

        Raises:
            NotFoundError: There is no such experiment.
            ConflictError: The experiment is deleted.
        """

    def logged_model(self, model_id: str, *, allow_deleted: bool = False) -> LoggedModel:
        """Return one model.

        Raises:
            NotFoundError: There is none with that id.
        """

    def finalize_logged_model(
        self, model_id: str, status: LoggedModelStatus, message: str | None = None
    ) -> LoggedModel:
        """Set a model's status and return the model.

        Raises:
            NotFoundError: There is none with that id.
        """

    def delete_logged_model(self, model_id: str) -> None:
        """Mark a model as deleted.

        Raises:
            NotFoundError: There is none with that id.
        """

    def purge_logged_models(self, model_ids: Sequence[str]) -> None:
        """Remove deleted models for good, their rows only; models that are not deleted are left alone."""

    def set_logged_model_tags(self, model_id: str, tags: Mapping[str, str]) -> None:
        """Set tags; a tag that is there gets the new value.

        Raises:
            NotFoundError: There is no such model.
        """

    def remove_logged_model_tags(self, model_id: str, *keys: str) -> int:
        """Remove tags; return how many of them were there.

        Raises:
            NotFoundError: There is no such model.
        """

    def log_logged_model_params(self, model_id: str, params: Mapping[str, str]) -> None:
        """Add parameters.

        Raises:
            NotFoundError: There is no such model.
            ParameterConflictError: One is there with another value; nothing is written.
        """

    def search_logged_models(self, query: LoggedModelQuery) -> LoggedModelPage:
        """Return the models that match.

        Raises:
            UsageError: The filter or order cannot be understood; names the position.
        """
