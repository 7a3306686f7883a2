"""The interfaces of what is remembered: runs and experiments in a `RunStore`, files in an `ArtifactStore`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from proj.model import Metric, RunRecord
from proj.tracking.experiments import ExperimentStore, Lifecycle

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import BinaryIO

    from proj.model import ArtifactInfo, NewRun, RunStatus

__all__ = ["ArtifactStore", "Lifecycle", "MetricPage", "RunPage", "RunQuery", "RunStore"]


class RunQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs to return, in which order."""

    experiment_ids: tuple[str, ...] | None = None
    """None: all experiments."""
    filter: str = ""
    """MLflow's grammar: `metrics.rmse < 0.8 and params.alpha = '0.5' and attributes.status = 'FAILED'`."""
    order_by: tuple[str, ...] = ()
    """`metrics.rmse ASC`, `attributes.start_time DESC`; ties and the default: newest first, then run id.

    A run without the value comes last in either direction, one whose metric is NaN just before."""
    lifecycle: Lifecycle = "active"
    deleted_before_ms: int | None = None
    """Only runs that were deleted before this time, milliseconds since the epoch."""
    limit: int = 1000
    page_token: str | None = None


class RunPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a search."""

    runs: tuple[RunRecord, ...]
    next_page_token: str | None = None


class MetricPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a metric's history."""

    points: tuple[Metric, ...]
    next_page_token: str | None = None


class RunStore(ExperimentStore, Protocol):
    """Experiments and runs with MLflow's data model.

    Guarantees that the contract suite (`proj.testing.stores`) checks: every call is atomic and durable when
    it returns; any number of processes and threads may call at once; a parameter never changes its value;
    logging the same thing twice is no error.
    """

    def create_run(self, new: NewRun) -> RunRecord:
        """Record a new run and return it with its id and artifact URI.

        Raises:
            NotFoundError: There is no such experiment.
            ConflictError: It is deleted.
        """

    def run(self, run_id: str) -> RunRecord:
        """Return one run, deleted ones too.

        Raises:
            NotFoundError: There is none with that id.
        """

    def find_run(self, prefix: str, lifecycle: Lifecycle = "active") -> RunRecord:
        """Return the run that an id, a unique prefix of an id, or a unique run name stands for.

        A prefix has four digits or more. `latest` stands for the newest run that no other run made, with
        neither the tag `mlflow.parentRunId` nor `proj.owner`; if there is none such, for the newest. A
        deleted run is the latest only where none is left that is not.

        Raises:
            NotFoundError: None or several match; several are listed.
        """

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, str] | None = None,
        metrics: Sequence[Metric] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Add parameters, metric points and tags in one transaction.

        A tag that is there gets the new value; `mlflow.runName` is the run's name. A metric with a
        `model_id` is recorded with that model too.

        Raises:
            NotFoundError: There is no such run.
            ParameterConflictError: Parameters are there with other values; nothing is written.
            ConflictError: The run is deleted.
        """

    def remove_tags(self, run_id: str, keys: Sequence[str]) -> int:
        """Remove tags; return how many of them were there.

        Raises:
            NotFoundError: There is no such run.
        """

    def reopen_run(
        self,
        run_id: str,
        *,
        params: Mapping[str, str],
        tags: Mapping[str, str],
        drop_tags: Sequence[str] = (),
        expect_tag: tuple[str, str | None] | None = None,
    ) -> None:
        """Make a run SCHEDULED again, in one transaction with what is to be recorded of it now.

        Args:
            run_id: The run.
            params: Parameters to add.
            tags: Tags to set.
            drop_tags: Tags to remove.
            expect_tag: A tag and the value that it must still have (None: no such tag), so that of several
                callers only one succeeds.

        Raises:
            NotFoundError: There is no such run.
            ConflictError: The tag has another value, or a parameter has; nothing is changed.
        """

    def move_run(self, run_id: str, experiment_id: str) -> None:
        """Put a run into another experiment; its artifacts stay where they are.

        Raises:
            NotFoundError: There is no such run or experiment.
            ConflictError: The experiment is deleted.
        """

    def children(self, run_id: str, lifecycle: Lifecycle = "active") -> tuple[str, ...]:
        """Return the ids of the runs below a run, children of children too, each after its parent.

        A child carries its parent's id in the tag `mlflow.parentRunId`.
        """

    def update_run(
        self,
        run_id: str,
        *,
        status: RunStatus | None = None,
        ended_ms: int | None = None,
        run_name: str | None = None,
        tags: Mapping[str, str] | None = None,
        if_open: bool = False,
    ) -> bool:
        """Change a run's state, and tags with it; with `if_open` only if it has not ended yet.

        All of it in one transaction. Returns whether it changed.

        A status that ends a run sets its end, to now where `ended_ms` is None; any other takes it away.

        Raises:
            NotFoundError: There is no such run.
        """

    def search_runs(self, query: RunQuery) -> RunPage:
        """Return the runs that match.

        Raises:
            UsageError: The filter or order cannot be understood; names the position.
        """

    def metric_history(self, run_id: str, key: str) -> tuple[Metric, ...]:
        """Return all points of a metric in the order of step, then timestamp.

        Raises:
            NotFoundError: There is no such run.
        """

    def metric_page(
        self, run_id: str, key: str, *, limit: int = 1000, page_token: str | None = None
    ) -> MetricPage:
        """Return a part of a metric's history; a page costs the same wherever it is.

        Raises:
            NotFoundError: There is no such run.
            UsageError: The limit or the page token cannot be understood.
        """

    def metric_histories(
        self, run_ids: Sequence[str], key: str, *, limit: int = 25_000
    ) -> tuple[tuple[str, Metric], ...]:
        """Return run id and point of a metric of several runs, by run id, each in the order of its history.

        Runs that are not there are left out; what is beyond `limit` points too.
        """

    def metric_sample(
        self, run_id: str, key: str, *, limit: int = 2500, steps: tuple[int, int] | None = None
    ) -> tuple[Metric, ...]:
        """Return at most `limit` points of a metric's history, evenly spread over it, for a chart.

        The first and the last point are among them, and all if there are no more than `limit`.

        Args:
            run_id: The run.
            key: The metric.
            limit: How many; with 1 it is the last point.
            steps: Only points of these steps, from the first to the last.

        Raises:
            NotFoundError: There is no such run.
            UsageError: The limit cannot be understood.
        """

    def delete_runs(self, run_ids: Sequence[str]) -> None:
        """Mark runs as deleted, all or none; `restore_runs` brings them back.

        Raises:
            NotFoundError: There is no such run.
        """

    def restore_runs(self, run_ids: Sequence[str]) -> None:
        """Bring deleted runs back, all or none.

        Raises:
            NotFoundError: There is no such run.
        """

    def purge_runs(self, run_ids: Sequence[str]) -> None:
        """Remove deleted runs for good, their rows only; runs that are not deleted are left alone."""

    def close(self) -> None:
        """Release the connection; closing twice is no error."""


class ArtifactStore(Protocol):
    """Files of runs, addressed by the run's artifact URI and a relative path with `/`.

    Guarantees: a file is visible whole or not at all; a path that leaves the root is refused.
    """

    def put(self, artifact_uri: str, path: str, source: Path) -> None:
        """Store a copy of the file or folder `source` as `path`.

        Raises:
            StoreError: It cannot be written, or `path` leaves the root.
        """

    def write(self, artifact_uri: str, path: str, content: bytes) -> None:
        """Store `content` as `path`, replacing what was there."""

    def create(self, artifact_uri: str, path: str) -> AbstractContextManager[BinaryIO]:
        """Open a file for writing, which becomes `path` when the block ends without an exception.

        Raises:
            StoreError: It cannot be written, or `path` leaves the root.
        """

    def list(self, artifact_uri: str, path: str = "") -> tuple[ArtifactInfo, ...]:
        """Return the entries directly below `path`, by name; empty when there is nothing."""

    def open(self, artifact_uri: str, path: str) -> BinaryIO:
        """Open one file for reading.

        Raises:
            NotFoundError: There is no such file.
        """

    def delete(self, artifact_uri: str, path: str = "") -> None:
        """Remove a file or folder; with no path, all of the run's. Nothing there is no error."""

    def walk(self, artifact_uri: str, path: str = "") -> Iterator[ArtifactInfo]:
        """Yield all files below `path`, by name."""
