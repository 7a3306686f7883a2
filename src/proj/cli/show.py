"""`proj show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from proj import host, record
from proj.cli import complete, output, reading
from proj.cli.options import tracking_option
from proj.cli.runs import RunSummary, summary
from proj.cli.showtext import show_blocks
from proj.errors import NotFoundError, StoreError
from proj.model import ArtifactInfo
from proj.runfiles import logged_models
from proj.tracking.store import RunQuery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.model import RunRecord
    from proj.tracking import Tracking

T = TypeVar("T")
_MOST_CHILDREN = 200


class LatestMetric(msgspec.Struct, frozen=True, kw_only=True):
    """The latest point of a metric."""

    key: str
    value: float
    timestamp_ms: int
    step: int


class ShownModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that the run logged, as clients from MLflow 3 on keep it: beside the run's artifacts."""

    model_id: str
    name: str
    status: str
    files: tuple[ArtifactInfo, ...]


class ShowResult(msgspec.Struct, frozen=True, kw_only=True):
    """All that is recorded of a run. What was never written, or is no longer there, is None."""

    run: RunSummary
    deleted: bool
    message: str | None
    """Why it failed, in a sentence."""
    metrics: tuple[LatestMetric, ...]
    source: record.SourceRecord | None
    command: record.CommandRecord | None
    environment: record.EnvironmentRecord | None
    host: host.Host | None
    job: Any
    """What the cluster said of the run's Job: `proj.kube.facts.JobFacts`."""
    outcome: record.OutcomeRecord | None
    artifacts: tuple[ArtifactInfo, ...]
    models: tuple[ShownModel, ...]
    unread: str | None = None
    """Why files could not be asked for; what is None or empty may be there then."""
    children: tuple[RunSummary, ...] = ()
    """Runs that were started inside of it, the oldest first."""

    def text(self) -> Iterator[output.Block]:
        """Yield the record, section after section."""
        yield from show_blocks(self)
        if self.unread is not None:
            output.say(f"Files of this run cannot be read now: {self.unread}", label="warning:", fg="yellow")


@click.command()
@click.argument("run", shell_complete=complete.run_ids)
@tracking_option
@output.json_option
def command(run: str) -> ShowResult:
    """Show all that is recorded of RUN.

    RUN is an id, the beginning of one (four digits or more), a name that only one run has, or `latest`.
    """
    with reading.opened() as tracking:
        found = tracking.runs.find_run(run, "all")
        if record.TAG_REFERENCE in found.tags and not found.status.finished:
            from proj.afar import close_if_ended

            if close_if_ended(tracking, found):
                found = tracking.runs.run(found.run_id)
        return _collect(tracking, found)


def _collect(tracking: Tracking, run: RunRecord) -> ShowResult:
    experiments = {each.experiment_id: each for each in tracking.runs.experiments("all")}
    children = tracking.runs.search_runs(
        RunQuery(
            filter=f"tags.mlflow.parentRunId = '{run.run_id}'",
            order_by=("start_time ASC",),
            limit=_MOST_CHILDREN,
        )
    ).runs

    files = _Files(tracking, run)
    return ShowResult(
        run=summary(run, experiments),
        deleted=run.lifecycle_stage == "deleted",
        message=run.tags.get(record.TAG_MESSAGE),
        metrics=tuple(
            LatestMetric(key=each.key, value=each.value, timestamp_ms=each.timestamp_ms, step=each.step)
            for each in run.metrics.values()
        ),
        source=files.document(record.SOURCE, record.SourceRecord),
        command=files.document(record.COMMAND, record.CommandRecord),
        environment=files.document(record.ENVIRONMENT, record.EnvironmentRecord),
        host=files.document(record.HOST, host.Host),
        job=_job(run, files),
        outcome=files.document(record.OUTCOME, record.OutcomeRecord),
        artifacts=files.below(run.artifact_uri),
        models=tuple(_models(tracking, run, files)),
        unread=files.problem,
        children=tuple(summary(child, experiments) for child in children),
    )


class _Files:
    """The files of a run. A store that is away is asked once: what else is known is shown all the same."""

    def __init__(self, tracking: Tracking, run: RunRecord) -> None:
        self._artifacts = tracking.artifacts
        self._uri = run.artifact_uri
        self.problem: str | None = None

    def document(self, path: str, kind: type[T]) -> T | None:
        """Read a file that proj has written."""
        if self.problem is not None:
            return None
        try:
            with self._artifacts.open(self._uri, path) as file:
                return msgspec.json.decode(file.read(), type=kind)
        except (NotFoundError, msgspec.MsgspecError):  # not written yet, or by other hands
            return None
        except StoreError as error:
            self.problem = error.message
            return None

    def below(self, uri: str) -> tuple[ArtifactInfo, ...]:
        """List all files."""
        if self.problem is not None:
            return ()
        try:
            return tuple(self._artifacts.walk(uri))
        except StoreError as error:
            self.problem = error.message
            return ()


def _job(run: RunRecord, files: _Files) -> object:
    if run.tags.get(record.TAG_BACKEND) != "kubernetes":
        return None
    from proj.kube.facts import FACTS, JobFacts

    return files.document(f"proj/{FACTS}", JobFacts)


def _models(tracking: Tracking, run: RunRecord, files: _Files) -> Iterator[ShownModel]:
    for model in logged_models(tracking, run):
        yield ShownModel(
            model_id=model.model_id,
            name=model.name,
            status=model.status.value,
            files=files.below(model.artifact_location),
        )
