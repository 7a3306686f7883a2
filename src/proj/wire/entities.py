"""What messages are made of: runs, experiments, and what belongs to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

from proj.model import Metric
from proj.tracking.inputs import Dataset, DatasetInput, ModelOutput
from proj.wire.codec import Int64, Message, Real, RealOut, Text, real_out
from proj.wire.errors import missing

if TYPE_CHECKING:
    from proj.model import ArtifactInfo, Experiment, RunRecord
    from proj.tracking.inputs import RunInputs


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
    timestamp: int
    step: int
    run_id: str | UnsetType = UNSET


class RunInfoOut(Message, frozen=True):
    """What a run is, without what was logged."""

    run_uuid: str
    run_id: str
    run_name: str
    experiment_id: str
    user_id: str
    status: str
    start_time: int
    artifact_uri: str
    lifecycle_stage: str
    end_time: int | UnsetType = UNSET


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
    data: RunDataOut
    inputs: RunInputsOut = RunInputsOut()
    outputs: RunOutputsOut = RunOutputsOut()


class ExperimentOut(Message, frozen=True):
    """An experiment."""

    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: str
    last_update_time: int
    creation_time: int
    tags: tuple[KeyValue, ...] = ()


class FileInfoOut(Message, frozen=True):
    """An entry below some artifacts."""

    path: str
    is_dir: bool
    file_size: int | UnsetType = UNSET


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
        status=run.status.value,
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
        dataset_inputs=tuple(_dataset_out(dataset) for dataset in inputs.datasets),
        model_inputs=tuple(ModelInputIo(model_id=model_id) for model_id in inputs.models),
    )


def _outputs_out(inputs: RunInputs) -> RunOutputsOut:
    outputs = (ModelOutputIo(model_id=output.model_id, step=output.step) for output in inputs.outputs)
    return RunOutputsOut(model_outputs=tuple(outputs))


def _dataset_out(given: DatasetInput) -> DatasetInputIo:
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
