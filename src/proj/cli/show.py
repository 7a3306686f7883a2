"""`proj show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import click
import msgspec

from proj import host, paths, record, recovery
from proj.cli import complete, output
from proj.cli.runs import RunSummary, summary
from proj.cli.showtext import show_blocks
from proj.errors import NotFoundError
from proj.model import ArtifactInfo, Metric
from proj.tracking import open_tracking
from proj.tracking.store import RunQuery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.model import RunRecord
    from proj.tracking import Tracking

T = TypeVar("T")
_MOST_CHILDREN = 200


class ShowResult(msgspec.Struct, frozen=True, kw_only=True):
    """All that is recorded of a run. What was never written, or is no longer there, is None."""

    run: RunSummary
    deleted: bool
    message: str | None
    """Why it failed, in a sentence."""
    metrics: tuple[Metric, ...]
    """The latest point of each metric."""
    source: record.SourceRecord | None
    command: record.CommandRecord | None
    environment: record.EnvironmentRecord | None
    host: host.Host | None
    outcome: record.OutcomeRecord | None
    artifacts: tuple[ArtifactInfo, ...]
    children: tuple[RunSummary, ...] = ()
    """Runs that were started inside of it, the oldest first."""

    def text(self) -> Iterator[output.Block]:
        """Yield the record, section after section."""
        return show_blocks(self)


@click.command()
@click.argument("run", shell_complete=complete.run_ids)
@output.json_option
def command(run: str) -> ShowResult:
    """Show all that is recorded of RUN.

    RUN is an id, the beginning of one (four digits or more), a name that only one run has, or `latest`.
    """
    home = paths.home()
    with open_tracking(home) as tracking:
        recovery.recover(tracking, home)
        return _collect(tracking, tracking.runs.find_run(run, "all"))


def _collect(tracking: Tracking, run: RunRecord) -> ShowResult:
    experiments = {each.experiment_id: each for each in tracking.runs.experiments("all")}
    children = tracking.runs.search_runs(
        RunQuery(
            filter=f"tags.mlflow.parentRunId = '{run.run_id}'",
            order_by=("start_time ASC",),
            limit=_MOST_CHILDREN,
        )
    ).runs

    def document(path: str, kind: type[T]) -> T | None:
        try:
            with tracking.artifacts.open(run.artifact_uri, path) as file:
                return msgspec.json.decode(file.read(), type=kind)
        except (NotFoundError, msgspec.MsgspecError):  # not written yet, or by other hands
            return None

    return ShowResult(
        run=summary(run, experiments),
        deleted=run.lifecycle_stage == "deleted",
        message=run.tags.get(record.TAG_MESSAGE),
        metrics=tuple(run.metrics.values()),
        source=document(record.SOURCE, record.SourceRecord),
        command=document(record.COMMAND, record.CommandRecord),
        environment=document(record.ENVIRONMENT, record.EnvironmentRecord),
        host=document(record.HOST, host.Host),
        outcome=document(record.OUTCOME, record.OutcomeRecord),
        artifacts=tuple(tracking.artifacts.walk(run.artifact_uri)),
        children=tuple(summary(child, experiments) for child in children),
    )
