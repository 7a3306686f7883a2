"""Requests and responses of `runs/…`."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from proj.tracking.inputs import DatasetSummary
from proj.wire.codec import Int64, Message, Real, Text
from proj.wire.entities import (
    DatasetInputIo,
    KeyValue,
    MetricIn,
    ModelInputIo,
    ModelOutputIo,
    OfRun,
    RunInfoOut,
    RunOut,
)


class CreateRun(Message, frozen=True):
    """`POST runs/create`."""

    experiment_id: str = ""
    user_id: str = ""
    run_name: str = ""
    start_time: Int64 | None = None
    tags: tuple[KeyValue, ...] = ()


class RunAnswer(Message, frozen=True):
    """What `runs/create` and `runs/get` answer."""

    run: RunOut


class UpdateRun(OfRun, frozen=True):
    """`POST runs/update`."""

    status: str | int | None = None
    end_time: Int64 | None = None
    run_name: str | None = None


class RunInfoAnswer(Message, frozen=True):
    """What `runs/update` answers."""

    run_info: RunInfoOut


class SearchRuns(Message, frozen=True):
    """`POST runs/search`."""

    experiment_ids: tuple[str, ...] = ()
    filter: str = ""
    run_view_type: str | int | None = None
    max_results: Int64 = 1000
    order_by: tuple[str, ...] = ()
    page_token: str = ""


class RunsAnswer(Message, frozen=True):
    """What `runs/search` answers."""

    runs: tuple[RunOut, ...] = ()
    next_page_token: str | UnsetType = UNSET


class LogMetric(OfRun, frozen=True, kw_only=True):
    """`POST runs/log-metric`."""

    key: Text
    value: Real
    timestamp: Int64
    step: Int64 = 0
    model_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""

    def to_metric(self) -> MetricIn:
        """Return the point alone."""
        return MetricIn(
            key=self.key,
            value=self.value,
            timestamp=self.timestamp,
            step=self.step,
            model_id=self.model_id,
            dataset_name=self.dataset_name,
            dataset_digest=self.dataset_digest,
        )


class SetOfRun(OfRun, frozen=True, kw_only=True):
    """`POST runs/log-parameter`, `POST runs/set-tag`."""

    key: Text
    value: str = ""


class DeleteTag(OfRun, frozen=True, kw_only=True):
    """`POST runs/delete-tag`."""

    key: Text


class LogBatch(OfRun, frozen=True):
    """`POST runs/log-batch`."""

    metrics: tuple[MetricIn, ...] = ()
    params: tuple[KeyValue, ...] = ()
    tags: tuple[KeyValue, ...] = ()


class LogModel(OfRun, frozen=True, kw_only=True):
    """`POST runs/log-model`."""

    model_json: Text


class LogInputs(OfRun, frozen=True):
    """`POST runs/log-inputs`."""

    datasets: tuple[DatasetInputIo, ...] = ()
    models: tuple[ModelInputIo, ...] = ()


class LogOutputs(OfRun, frozen=True):
    """`POST runs/outputs`."""

    models: tuple[ModelOutputIo, ...] = ()


class SearchDatasets(Message, frozen=True):
    """`POST experiments/search-datasets`."""

    experiment_ids: tuple[str, ...] = ()


class DatasetSummaryOut(Message, frozen=True):
    """A dataset of an experiment."""

    experiment_id: str
    name: str
    digest: str
    context: str | UnsetType = UNSET

    def to_model(self) -> DatasetSummary:
        """Return it as a value of ours."""
        return DatasetSummary(
            experiment_id=self.experiment_id,
            name=self.name,
            digest=self.digest,
            context=self.context or None,
        )


class DatasetsAnswer(Message, frozen=True):
    """What `experiments/search-datasets` answers."""

    dataset_summaries: tuple[DatasetSummaryOut, ...] = ()
