"""Requests and responses of `logged-models/…`."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from proj.model import Metric
from proj.tracking.logged_models import (
    DatasetChoice,
    LoggedModel,
    LoggedModelOrder,
    LoggedModelStatus,
    ModelMetric,
)
from proj.wire.codec import Int64, Message, RealOut, Text, real_out
from proj.wire.entities import FileInfoOut, KeyValue
from proj.wire.errors import invalid

_STATUS_NAMES = {
    LoggedModelStatus.UNSPECIFIED: "LOGGED_MODEL_STATUS_UNSPECIFIED",
    LoggedModelStatus.PENDING: "LOGGED_MODEL_PENDING",
    LoggedModelStatus.READY: "LOGGED_MODEL_READY",
    LoggedModelStatus.FAILED: "LOGGED_MODEL_UPLOAD_FAILED",
}
_STATUSES = {
    given: status
    for number, (status, name) in enumerate(_STATUS_NAMES.items())
    for given in (name, str(number), status.value)
}


class CreateLoggedModel(Message, frozen=True):
    """`POST logged-models`."""

    experiment_id: Text
    name: str = ""
    model_type: str = ""
    source_run_id: str = ""
    params: tuple[KeyValue, ...] = ()
    tags: tuple[KeyValue, ...] = ()


class OfLoggedModel(Message, frozen=True):
    """`DELETE logged-models/{model_id}`; base of the requests that name one model."""

    model_id: Text


class GetLoggedModel(OfLoggedModel, frozen=True):
    """`GET logged-models/{model_id}`."""

    allow_deleted: bool = False


class FinalizeLoggedModel(OfLoggedModel, frozen=True):
    """`PATCH logged-models/{model_id}`."""

    status: str | int

    def to_status(self) -> LoggedModelStatus:
        """Return the status as a value of ours.

        Raises:
            ApiError: There is no such status.
        """
        found = _STATUSES.get(str(self.status))
        if found is None:
            raise invalid(f"Invalid value '{self.status}' for parameter 'status' supplied.")
        return found


class SetLoggedModelTags(OfLoggedModel, frozen=True):
    """`PATCH logged-models/{model_id}/tags`."""

    tags: tuple[KeyValue, ...] = ()


class DeleteLoggedModelTag(OfLoggedModel, frozen=True):
    """`DELETE logged-models/{model_id}/tags/{tag_key}`."""

    tag_key: Text


class LogLoggedModelParams(OfLoggedModel, frozen=True):
    """`POST logged-models/{model_id}/params`."""

    params: tuple[KeyValue, ...] = ()


class ListLoggedModelFiles(OfLoggedModel, frozen=True):
    """`GET logged-models/{model_id}/artifacts/directories`."""

    artifact_directory_path: str = ""


class DatasetIn(Message, frozen=True):
    """Which datasets' metrics to look at."""

    dataset_name: Text
    dataset_digest: str = ""

    def to_model(self) -> DatasetChoice:
        """Return it as a value of ours."""
        return DatasetChoice(name=self.dataset_name, digest=self.dataset_digest or None)


class OrderIn(Message, frozen=True):
    """One key to sort by."""

    field_name: Text
    ascending: bool = True
    dataset_name: str = ""
    dataset_digest: str = ""

    def to_model(self) -> LoggedModelOrder:
        """Return it as a value of ours."""
        dataset = DatasetChoice(name=self.dataset_name, digest=self.dataset_digest or None)
        return LoggedModelOrder(
            field=self.field_name,
            ascending=self.ascending,
            dataset=dataset if self.dataset_name else None,
        )


class SearchLoggedModels(Message, frozen=True):
    """`POST logged-models/search`."""

    experiment_ids: tuple[str, ...] = ()
    filter: str = ""
    datasets: tuple[DatasetIn, ...] = ()
    max_results: Int64 = 50
    order_by: tuple[OrderIn, ...] = ()
    page_token: str = ""


# --- answers ------------------------------------------------------------------------------------------


class ModelMetricOut(Message, frozen=True):
    """A point of a metric of a model."""

    key: str
    value: RealOut = 0.0
    timestamp: Int64 = 0
    step: Int64 = 0
    model_id: str = ""
    run_id: str = ""
    dataset_name: str | UnsetType = UNSET
    dataset_digest: str | UnsetType = UNSET

    def to_model(self) -> ModelMetric:
        """Return it as a value of ours."""
        point = Metric(
            key=self.key,
            value=float(self.value),
            timestamp_ms=self.timestamp,
            step=self.step,
            model_id=self.model_id or None,
            dataset_name=self.dataset_name or None,
            dataset_digest=self.dataset_digest or None,
        )
        return ModelMetric(metric=point, run_id=self.run_id)


class LoggedModelInfoOut(Message, frozen=True):
    """What a model is."""

    model_id: str
    experiment_id: str
    name: str
    creation_timestamp_ms: Int64 = 0
    last_updated_timestamp_ms: Int64 = 0
    artifact_uri: str = ""
    status: str | int = "LOGGED_MODEL_STATUS_UNSPECIFIED"
    model_type: str = ""
    source_run_id: str = ""
    status_message: str | UnsetType = UNSET
    tags: tuple[KeyValue, ...] = ()


class LoggedModelDataOut(Message, frozen=True):
    """What was logged to a model."""

    params: tuple[KeyValue, ...] = ()
    metrics: tuple[ModelMetricOut, ...] = ()


class LoggedModelOut(Message, frozen=True):
    """A model."""

    info: LoggedModelInfoOut
    data: LoggedModelDataOut = LoggedModelDataOut()

    def to_model(self) -> LoggedModel:
        """Return it as a value of ours, an active one: the message does not tell."""
        info, metrics = self.info, [metric.to_model() for metric in self.data.metrics]
        return LoggedModel(
            model_id=info.model_id,
            experiment_id=info.experiment_id,
            name=info.name,
            artifact_location=info.artifact_uri,
            model_type=info.model_type or None,
            source_run_id=info.source_run_id or None,
            status=_STATUSES.get(str(info.status), LoggedModelStatus.UNSPECIFIED),
            status_message=info.status_message or None,
            created_ms=info.creation_timestamp_ms,
            updated_ms=info.last_updated_timestamp_ms,
            params={param.key: param.value for param in self.data.params},
            tags={tag.key: tag.value for tag in info.tags},
            metrics=tuple(sorted(metrics, key=_history_order)),
        )


class LoggedModelAnswer(Message, frozen=True):
    """One model."""

    model: LoggedModelOut


class LoggedModelsAnswer(Message, frozen=True):
    """A page of models."""

    models: tuple[LoggedModelOut, ...] = ()
    next_page_token: str | UnsetType = UNSET


class LoggedModelFilesAnswer(Message, frozen=True):
    """What `logged-models/{model_id}/artifacts/directories` answers."""

    root_uri: str
    files: tuple[FileInfoOut, ...]


def _history_order(measured: ModelMetric) -> tuple[str, int, int]:
    return measured.metric.key, measured.metric.timestamp_ms, measured.metric.step


def status_name(status: LoggedModelStatus) -> str:
    """Return MLflow's word for a status."""
    return _STATUS_NAMES[status]


def _metric_out(measured: ModelMetric, model_id: str) -> ModelMetricOut:
    point = measured.metric
    return ModelMetricOut(
        key=point.key,
        value=real_out(point.value),
        timestamp=point.timestamp_ms,
        step=point.step,
        model_id=model_id,
        run_id=measured.run_id,
        dataset_name=point.dataset_name or UNSET,
        dataset_digest=point.dataset_digest or UNSET,
    )


def logged_model_out(model: LoggedModel, artifact_uri: str) -> LoggedModelOut:
    """Write a model."""
    info = LoggedModelInfoOut(
        model_id=model.model_id,
        experiment_id=model.experiment_id,
        name=model.name,
        creation_timestamp_ms=model.created_ms,
        last_updated_timestamp_ms=model.updated_ms,
        artifact_uri=artifact_uri,
        status=status_name(model.status),
        model_type=model.model_type or "",
        source_run_id=model.source_run_id or "",
        status_message=model.status_message or UNSET,
        tags=tuple(KeyValue(key=key, value=value) for key, value in model.tags.items()),
    )
    data = LoggedModelDataOut(
        params=tuple(KeyValue(key=key, value=value) for key, value in model.params.items()),
        metrics=tuple(_metric_out(measured, model.model_id) for measured in model.metrics),
    )
    return LoggedModelOut(info=info, data=data)
