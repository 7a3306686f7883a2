"""What messages are made of: runs, experiments, and what belongs to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import UNSET, UnsetType

from proj.model import Experiment, Metric, RunRecord, RunStatus
from proj.tracking.inputs import Dataset, DatasetInput, ModelOutput, RunInputs
from proj.tracking.records import check_run_id
from proj.tracking.values import RUN_NAME_TAG
from proj.wire.codec import Int64, Message, Real, RealOut, Text, real_out
from proj.wire.errors import missing

if TYPE_CHECKING:
    from proj.model import ArtifactInfo


class KeyValue(Message, frozen=True):
    """A tag or a parameter."""

    key: Text
    value: str = ""


class MetricIn(Message, frozen=True):
    """A point of a metric, as clients log it."""

    key: Text
    value: Real
    timestamp: Int64
    step: Int64 = 0
    model_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""

    def to_model(self) -> Metric:
        """Return it as a value of ours."""
        return Metric(
            key=self.key,
            value=self.value,
            timestamp_ms=self.timestamp,
            step=self.step,
            model_id=self.model_id or None,
            dataset_name=self.dataset_name or None,
            dataset_digest=self.dataset_digest or None,
        )


class MetricOut(Message, frozen=True):
    """A point of a metric, as clients read it."""

    key: str
    value: RealOut
    timestamp: Int64
    step: Int64 = 0
    run_id: str | UnsetType = UNSET

    def to_model(self) -> Metric:
        """Return it as a value of ours."""
        return Metric(key=self.key, value=float(self.value), timestamp_ms=self.timestamp, step=self.step)


class RunInfoOut(Message, frozen=True, kw_only=True):
    """What a run is, without what was logged. Servers leave out what is empty."""

    run_uuid: str = ""
    run_id: str = ""
    run_name: str = ""
    experiment_id: str
    user_id: str = ""
    status: RunStatus
    start_time: Int64 = 0
    artifact_uri: str = ""
    lifecycle_stage: Literal["active", "deleted"] = "active"
    end_time: Int64 | UnsetType = UNSET


class RunDataOut(Message, frozen=True):
    """What was logged to a run."""

    metrics: tuple[MetricOut, ...] = ()
    params: tuple[KeyValue, ...] = ()
    tags: tuple[KeyValue, ...] = ()


class DatasetIo(Message, frozen=True):
    """A dataset, going in or out."""

    name: Text
    digest: Text
    source_type: str
    source: str
    schema: str | UnsetType = UNSET
    profile: str | UnsetType = UNSET


class DatasetInputIo(Message, frozen=True):
    """A dataset as the input of a run, going in or out."""

    dataset: DatasetIo
    tags: tuple[KeyValue, ...] = ()

    def to_model(self) -> DatasetInput:
        """Return it as a value of ours."""
        given = self.dataset
        dataset = Dataset(
            name=given.name,
            digest=given.digest,
            source_type=given.source_type,
            source=given.source,
            schema=given.schema or None,
            profile=given.profile or None,
        )
        return DatasetInput(dataset=dataset, tags={tag.key: tag.value for tag in self.tags})


class ModelInputIo(Message, frozen=True):
    """A logged model as the input of a run."""

    model_id: Text


class ModelOutputIo(Message, frozen=True):
    """A logged model as the output of a run."""

    model_id: Text
    step: Int64 = 0

    def to_model(self) -> ModelOutput:
        """Return it as a value of ours."""
        return ModelOutput(model_id=self.model_id, step=self.step)


class RunInputsOut(Message, frozen=True):
    """What went into a run."""

    dataset_inputs: tuple[DatasetInputIo, ...] = ()
    model_inputs: tuple[ModelInputIo, ...] = ()


class RunOutputsOut(Message, frozen=True):
    """What came out of a run."""

    model_outputs: tuple[ModelOutputIo, ...] = ()


class RunOut(Message, frozen=True):
    """A run."""

    info: RunInfoOut
    data: RunDataOut = RunDataOut()
    inputs: RunInputsOut = RunInputsOut()
    outputs: RunOutputsOut = RunOutputsOut()

    def to_model(self) -> RunRecord:
        """Return it as a value of ours; a run that goes on has no end, whatever a server remembers of it.

        Raises:
            StoreError: What is said to be its id cannot be one.
        """
        info = self.info
        ended = info.status.finished and info.end_time is not UNSET and info.end_time
        tags = {tag.key: tag.value for tag in self.data.tags}
        return RunRecord(
            run_id=check_run_id(info.run_id or info.run_uuid),
            experiment_id=info.experiment_id,
            run_name=info.run_name or tags.get(RUN_NAME_TAG, ""),
            user=info.user_id,
            status=info.status,
            started_ms=info.start_time,
            ended_ms=ended or None,
            artifact_uri=info.artifact_uri,
            lifecycle_stage=info.lifecycle_stage,
            params={param.key: param.value for param in self.data.params},
            tags=tags,
            metrics={metric.key: metric.to_model() for metric in self.data.metrics},
        )

    def to_inputs(self) -> RunInputs:
        """Return what went into it and came out of it as a value of ours."""
        return RunInputs(
            datasets=tuple(given.to_model() for given in self.inputs.dataset_inputs),
            models=tuple(given.model_id for given in self.inputs.model_inputs),
            outputs=tuple(given.to_model() for given in self.outputs.model_outputs),
        )


class ExperimentOut(Message, frozen=True):
    """An experiment."""

    experiment_id: str
    name: str
    artifact_location: str = ""
    lifecycle_stage: Literal["active", "deleted"] = "active"
    last_update_time: Int64 = 0
    creation_time: Int64 = 0
    tags: tuple[KeyValue, ...] = ()

    def to_model(self) -> Experiment:
        """Return it as a value of ours."""
        return Experiment(
            experiment_id=self.experiment_id,
            name=self.name,
            artifact_location=self.artifact_location,
            lifecycle_stage=self.lifecycle_stage,
            created_ms=self.creation_time,
            updated_ms=self.last_update_time,
            tags={tag.key: tag.value for tag in self.tags},
        )


class FileInfoOut(Message, frozen=True):
    """An entry below some artifacts."""

    path: str
    is_dir: bool = False
    file_size: Int64 | UnsetType = UNSET


class OfRun(Message, frozen=True):
    """Base of the requests that name one run; the oldest clients call it `run_uuid`."""

    run_id: str = ""
    run_uuid: str = ""

    @property
    def run(self) -> str:
        """The run's id.

        Raises:
            ApiError: None was given.
        """
        found = self.run_id or self.run_uuid
        if not found:
            raise missing("run_id")
        return found


def metric_out(point: Metric, run_id: str | UnsetType = UNSET) -> MetricOut:
    """Write a metric point."""
    return MetricOut(
        key=point.key,
        value=real_out(point.value),
        timestamp=point.timestamp_ms,
        step=point.step,
        run_id=run_id,
    )


def run_info_out(run: RunRecord, artifact_uri: str) -> RunInfoOut:
    """Write what a run is."""
    return RunInfoOut(
        run_uuid=run.run_id,
        run_id=run.run_id,
        run_name=run.run_name,
        experiment_id=run.experiment_id,
        user_id=run.user,
        status=run.status,
        start_time=run.started_ms,
        end_time=UNSET if run.ended_ms is None else run.ended_ms,
        artifact_uri=artifact_uri,
        lifecycle_stage=run.lifecycle_stage,
    )


def run_out(run: RunRecord, artifact_uri: str, inputs: RunInputs | None = None) -> RunOut:
    """Write a run."""
    data = RunDataOut(
        metrics=tuple(metric_out(point) for point in run.metrics.values()),
        params=tuple(KeyValue(key=key, value=value) for key, value in run.params.items()),
        tags=tuple(KeyValue(key=key, value=value) for key, value in run.tags.items()),
    )
    info = run_info_out(run, artifact_uri)
    if inputs is None:
        return RunOut(info=info, data=data)
    return RunOut(info=info, data=data, inputs=_inputs_out(inputs), outputs=_outputs_out(inputs))


def _inputs_out(inputs: RunInputs) -> RunInputsOut:
    return RunInputsOut(
        dataset_inputs=tuple(dataset_input_out(dataset) for dataset in inputs.datasets),
        model_inputs=tuple(ModelInputIo(model_id=model_id) for model_id in inputs.models),
    )


def _outputs_out(inputs: RunInputs) -> RunOutputsOut:
    outputs = (ModelOutputIo(model_id=output.model_id, step=output.step) for output in inputs.outputs)
    return RunOutputsOut(model_outputs=tuple(outputs))


def dataset_input_out(given: DatasetInput) -> DatasetInputIo:
    """Write a dataset as the input of a run."""
    dataset = DatasetIo(
        name=given.dataset.name,
        digest=given.dataset.digest,
        source_type=given.dataset.source_type,
        source=given.dataset.source,
        schema=UNSET if given.dataset.schema is None else given.dataset.schema,
        profile=UNSET if given.dataset.profile is None else given.dataset.profile,
    )
    tags = tuple(KeyValue(key=key, value=value) for key, value in given.tags.items())
    return DatasetInputIo(dataset=dataset, tags=tags)


def experiment_out(experiment: Experiment, artifact_location: str) -> ExperimentOut:
    """Write an experiment."""
    return ExperimentOut(
        experiment_id=experiment.experiment_id,
        name=experiment.name,
        artifact_location=artifact_location,
        lifecycle_stage=experiment.lifecycle_stage,
        last_update_time=experiment.updated_ms,
        creation_time=experiment.created_ms,
        tags=tuple(KeyValue(key=key, value=value) for key, value in experiment.tags.items()),
    )


def file_info_out(entry: ArtifactInfo) -> FileInfoOut:
    """Write an artifact's entry."""
    size = UNSET if entry.is_dir or entry.size_bytes is None else entry.size_bytes
    return FileInfoOut(path=entry.path, is_dir=entry.is_dir, file_size=size)
