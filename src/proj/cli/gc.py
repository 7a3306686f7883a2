"""`proj gc`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
import msgspec

from proj import source
from proj.cli import output, reading, wording
from proj.cli.options import tracking_option
from proj.errors import ProjError, UsageError
from proj.times import now_ms, parse_duration
from proj.tracking.logged_models import LoggedModelQuery
from proj.tracking.store import RunQuery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.model import RunRecord
    from proj.tracking import Tracking
    from proj.tracking.logged_models import LoggedModel

_PAGE = 1000

KEPT_CHECKOUTS_S = 7 * 86400
"""Age from which the private checkout of a failed run is removed."""


class Garbage(msgspec.Struct, frozen=True, kw_only=True):
    """A deleted run and the size of its files."""

    run_id: str
    run_name: str
    size_bytes: int


class GcResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed for good, or would be."""

    removed: bool
    runs: tuple[Garbage, ...]
    size_bytes: int
    checkouts: int = 0
    """How many kept checkouts of failed runs were removed."""
    problems: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    """Why runs were not removed, where there are such."""

    @property
    def exit_code(self) -> int:
        """1 where a run stays."""
        return 1 if self.problems else 0

    def text(self) -> Iterator[output.Block]:
        """Yield a table of the runs, and the sum."""
        yield garbage_table(self.runs)
        done = "Removed" if self.removed else "Would remove"
        yield f"{done} {wording.counted(len(self.runs), 'run')}, {wording.size(self.size_bytes)}."
        yield from self.problems or ()
        if self.checkouts:
            yield f"Removed {wording.counted(self.checkouts, 'kept checkout')}."


def garbage_table(runs: tuple[Garbage, ...]) -> output.Table:
    """Lay out runs and their sizes."""
    return output.Table(
        columns=("RUN", "NAME", "SIZE"),
        rows=tuple(
            (run.run_id, wording.one_line(run.run_name), wording.size(run.size_bytes)) for run in runs
        ),
        right_aligned=frozenset({"SIZE"}),
    )


@click.command()
@click.option("--older-than", metavar="TIME", help="Only runs deleted longer ago, such as 12h or 30d.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed; remove nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@tracking_option
@output.json_option
def command(older_than: str | None, dry_run: bool, yes: bool) -> GcResult:
    """Remove deleted runs and their files for good, and kept checkouts that are older than a week."""
    before_ms = None if older_than is None else now_ms() - int(parse_duration(older_than) * 1000)
    with reading.opened() as tracking:
        if not tracking.uri.startswith("file:"):
            raise UsageError(
                f"The records are on {tracking.uri}, where nothing can be removed for good from afar.",
                hint="Call `proj gc` (or `mlflow gc`, if the server is MLflow's) on the server's machine.",
            )
        problems: list[str] = []
        garbage = list(_garbage(tracking, tuple(_deleted(tracking, before_ms)), problems))
        if garbage and not dry_run:
            if not yes:
                _ask(len(garbage), sum(each.size_bytes for each in garbage))
            garbage = [each for each in garbage if _remove(tracking, each.run_id, problems)]
    checkouts = 0 if dry_run else source.prune_checkouts(kept_older_than_s=KEPT_CHECKOUTS_S)
    return GcResult(
        removed=not dry_run,
        runs=tuple(garbage),
        size_bytes=sum(each.size_bytes for each in garbage),
        checkouts=checkouts,
        problems=tuple(problems) or msgspec.UNSET,
    )


def _garbage(tracking: Tracking, runs: tuple[RunRecord, ...], problems: list[str]) -> Iterator[Garbage]:
    for run in runs:
        try:
            size_bytes = _size(tracking, run)
        except ProjError as error:  # noqa: PERF203  the store of its files is away: that keeps no other run
            problems.append(f"{run.run_id} stays: {error.message}")
        else:
            yield Garbage(run_id=run.run_id, run_name=run.run_name, size_bytes=size_bytes)


def _deleted(tracking: Tracking, before_ms: int | None) -> Iterator[RunRecord]:
    token = None
    while True:
        page = tracking.runs.search_runs(
            RunQuery(lifecycle="deleted", deleted_before_ms=before_ms, limit=_PAGE, page_token=token)
        )
        yield from page.runs
        token = page.next_page_token
        if token is None:
            return


def _models(tracking: Tracking, run: RunRecord) -> tuple[LoggedModel, ...]:
    """The models that a run logged; MLflow keeps their files beside the run's."""
    query = LoggedModelQuery(filter=f"source_run_id = '{run.run_id}'", lifecycle="all")
    return tracking.logged_models.search_logged_models(query).models


def _size(tracking: Tracking, run: RunRecord) -> int:
    places = [run.artifact_uri, *(model.artifact_location for model in _models(tracking, run))]
    return sum(file.size_bytes or 0 for place in places for file in tracking.artifacts.walk(place))


def _remove(tracking: Tracking, run_id: str, problems: list[str]) -> bool:
    try:
        run = tracking.runs.run(run_id)
        if run.lifecycle_stage != "deleted":
            problems.append(f"{run_id} stays: it has been restored meanwhile.")
            return False
        _remove_files_and_record(tracking, run)
    except ProjError as error:
        problems.append(f"{run_id} stays: {error.message}")
        return False
    return True


def _remove_files_and_record(tracking: Tracking, run: RunRecord) -> None:
    # Files first: a run whose removal is cut short is still there to be removed.
    tracking.artifacts.delete(run.artifact_uri)
    for model in _models(tracking, run):
        tracking.artifacts.delete(model.artifact_location)
        if model.lifecycle_stage == "active":
            tracking.logged_models.delete_logged_model(model.model_id)
        tracking.logged_models.purge_logged_models([model.model_id])
    tracking.runs.purge_runs([run.run_id])


def _ask(count: int, size_bytes: int) -> None:
    what = f"{wording.counted(count, 'run')} and all their files ({wording.size(size_bytes)})"
    question = f"Remove {what} for good?"
    if output.as_json() or not sys.stdin.isatty():
        raise UsageError(
            f"{question} There is no terminal to ask on.", hint="Say --yes, or look with --dry-run."
        )
    if not click.confirm(question, err=True):
        raise UsageError("Nothing was removed.")
