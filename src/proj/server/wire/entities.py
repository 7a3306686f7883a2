"""What messages are made of: runs, experiments, and what belongs to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

from proj.model import Metric
from proj.server.errors import missing
from proj.server.wire.codec import Int64, Message, Real, RealOut, Text, real_out

if TYPE_CHECKING:
    from proj.model import ArtifactInfo, Experiment, RunRecord


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
        return Metric(key=self.key, value=self.value, timestamp_ms=self.timestamp, step=self.step)


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


class RunOut(Message, frozen=True):
    """A run."""

    info: RunInfoOut
    data: RunDataOut


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


def run_out(run: RunRecord, artifact_uri: str) -> RunOut:
    """Write a run."""
    data = RunDataOut(
        metrics=tuple(metric_out(point) for point in run.metrics.values()),
        params=tuple(KeyValue(key=key, value=value) for key, value in run.params.items()),
        tags=tuple(KeyValue(key=key, value=value) for key, value in run.tags.items()),
    )
    return RunOut(info=run_info_out(run, artifact_uri), data=data)


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
