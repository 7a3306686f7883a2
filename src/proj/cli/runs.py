"""`proj runs`."""

from __future__ import annotations

import contextlib
import re
import sys
from typing import TYPE_CHECKING

import click
import msgspec

from proj import record, table
from proj.cli import exports, output, reading, wording
from proj.cli.options import pairs, tracking_option
from proj.cli.runtable import runs_table
from proj.errors import NotFoundError, UsageError
from proj.model import RunStatus
from proj.tracking.filters import quoted_key, quoted_text
from proj.tracking.store import RunQuery

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from proj.model import Experiment, RunRecord
    from proj.tracking import Tracking

_METRIC = re.compile(r"(?P<key>.+?)\s*(?P<operator><=|>=|!=|==|=|<|>)\s*(?P<value>[^\s<>=!]+)\s*")
_FALLBACK_WIDTH = 160
_MOST = 1_000_000
_LISTED = 20
_NAMED = 20
_SPOOL_BYTES = 8 << 20


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a list."""

    run_id: str
    run_name: str
    experiment_id: str
    experiment: str
    status: str
    failure: str | None
    exit_code: int | None
    started_ms: int
    ended_ms: int | None
    duration_s: float | None
    user: str
    entry_point: str | None
    source: str | None
    commit: str | None
    dirty: bool | None
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    artifact_uri: str


class RunsResult(msgspec.Struct, frozen=True, kw_only=True):
    """The runs that were asked for, in the order asked for."""

    runs: tuple[RunSummary, ...]
    more: bool
    """Whether there are more than the limit allowed."""
    asked_for: tuple[str, ...] = ()
    """What the runs were filtered and sorted by: `metrics.rmse`."""

    def text(self) -> Iterator[output.Block]:
        """Yield a table that fits the terminal."""
        if not self.runs:
            output.say("No runs.")
            return
        table, left_out = runs_table(self.runs, _terminal_width(), self.asked_for)
        yield table
        if left_out:
            names = wording.shortened(", ".join(left_out), _terminal_width() - 14)
            output.say(f"Not shown: {names}")
        if self.more:
            shown = len(self.runs)
            output.say(f"There are more runs: -n {shown * 5} lists up to {shown * 5}.")


@click.command()
@click.option("--experiment", "experiments", multiple=True, metavar="NAME", help="Only this experiment's.")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice([status.value for status in RunStatus], case_sensitive=False),
    help="Only runs in this state.",
)
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="Only runs with this tag.")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="Only with this parameter.")
@click.option("--metric", "metrics", multiple=True, metavar="COMPARISON", help="Such as 'rmse<0.8'.")
@click.option("--filter", "filter_text", metavar="EXPR", help="Such as \"params.a = '1' and metrics.b < 2\".")
@click.option(
    "--sort",
    "orders",
    multiple=True,
    metavar="FIELD",
    help="metrics.NAME, params.NAME, tags.NAME, start_time …; -FIELD: largest first.  [default: -start_time]",
)
@click.option(
    "-n",
    "--limit",
    metavar="N",
    type=click.IntRange(1, _MOST),
    help=f"How many at most.  [default: {_LISTED}; all with --csv and -o]",
)
@click.option("--deleted", is_flag=True, help="The deleted ones.")
@tracking_option
@exports.options
def command(
    experiments: tuple[str, ...],
    statuses: tuple[str, ...],
    tags: tuple[str, ...],
    params: tuple[str, ...],
    metrics: tuple[str, ...],
    filter_text: str | None,
    orders: tuple[str, ...],
    limit: int | None,
    deleted: bool,
    as_csv: bool,
    file: Path | None,
) -> RunsResult | output.Stream | None:
    """List runs, newest first. What is given must all be true of a run.

    \b
    proj runs --experiment wine --sort metrics.rmse -n 5
    proj runs --status FAILED --metric 'loss<0.5'
    """  # noqa: D301  \b is click's mark for text that must not be wrapped
    form = exports.form(file, as_csv=as_csv)
    by_param, by_metric = pairs(params, "--param"), tuple(_metric(text) for text in metrics)
    conditions = _conditions(filter_text, by_param, pairs(tags, "--tag"), by_metric, statuses)
    asked_for = (
        *(order.lstrip("-").partition(" ")[0] for order in orders),
        *(f"metrics.{key}" for key, _ in by_metric),
        *(f"params.{key}" for key, _ in by_param),
    )
    if limit is None and form != "csv" and file is None:
        limit = _LISTED
    with contextlib.ExitStack() as stack:
        tracking = stack.enter_context(reading.opened())
        query = RunQuery(
            experiment_ids=_experiment_ids(tracking, experiments) if experiments else None,
            filter=" and ".join(conditions),
            order_by=tuple(f"{order[1:]} DESC" if order.startswith("-") else order for order in orders),
            lifecycle="deleted" if deleted else "active",
        )
        found = _Found(tracking, query, limit)
        if form is None:
            return RunsResult(runs=tuple(found.summaries()), more=found.more, asked_for=asked_for)
        counter = exports.Counter()
        if form == "csv":
            chunks = _csv(counter.each(found.runs()), found.experiments)
        else:
            chunks = output.json_chunks(
                "runs",
                counter.each(found.summaries()),
                lambda: {"more": found.more, "asked_for": asked_for},
            )
        return exports.deliver(exports.holding(stack.pop_all(), chunks), file, counter, "run")


def _conditions(
    filter_text: str | None,
    params: Iterable[tuple[str, str]],
    tags: Iterable[tuple[str, str]],
    metrics: Iterable[tuple[str, str]],
    statuses: tuple[str, ...],
) -> list[str]:
    conditions = [filter_text] if filter_text else []
    conditions += [f"params.{quoted_key(key)} = {quoted_text(value)}" for key, value in params]
    conditions += [f"tags.{quoted_key(key)} = {quoted_text(value)}" for key, value in tags]
    conditions += [f"metrics.{quoted_key(key)} {comparison}" for key, comparison in metrics]
    if statuses:
        conditions.append(f"status IN ({', '.join(quoted_text(status) for status in statuses)})")
    return conditions


class _Found:
    """The runs of a search, read when they are wanted."""

    def __init__(self, tracking: Tracking, query: RunQuery, limit: int | None) -> None:
        self._store = tracking.runs
        self._query = query
        self._limit = limit
        self.experiments = {each.experiment_id: each for each in tracking.runs.experiments("all")}
        self.more = False
        """Whether there are more than the limit allowed; known after the last run."""

    def runs(self) -> Iterator[RunRecord]:
        limit = self._limit
        one_more = None if limit is None else limit + 1
        for number, run in enumerate(table.runs(self._store, self._query, limit=one_more)):
            if number == limit:
                self.more = True
                return
            yield run

    def summaries(self) -> Iterator[RunSummary]:
        return (summary(run, self.experiments) for run in self.runs())


def _csv(runs: Iterable[RunRecord], experiments: dict[str, Experiment]) -> Iterator[str]:
    import tempfile

    with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as spool:
        yield from table.runs_csv(runs, table.experiment_names(experiments.values()), spool)


def summary(run: RunRecord, experiments: dict[str, Experiment]) -> RunSummary:
    """Tell of a run what a list shows of it."""
    experiment = experiments.get(run.experiment_id)
    exit_code = run.tags.get(record.TAG_EXIT_CODE)
    dirty = run.tags.get("mlflow.source.git.dirty")
    return RunSummary(
        run_id=run.run_id,
        run_name=run.run_name,
        experiment_id=run.experiment_id,
        experiment=experiment.name if experiment else "",
        status=run.status.value,
        failure=run.tags.get(record.TAG_FAILURE),
        exit_code=int(exit_code) if exit_code and exit_code.lstrip("-").isdecimal() else None,
        started_ms=run.started_ms,
        ended_ms=run.ended_ms,
        duration_s=wording.took_s(run),
        user=run.user,
        entry_point=run.tags.get("mlflow.project.entryPoint"),
        source=run.tags.get("mlflow.source.name"),
        commit=run.tags.get("mlflow.source.git.commit"),
        dirty=None if dirty is None else dirty == "true",
        params=dict(run.params),
        metrics={key: metric.value for key, metric in run.metrics.items()},
        tags=dict(run.tags),
        artifact_uri=run.artifact_uri,
    )


def _experiment_ids(tracking: Tracking, names: tuple[str, ...]) -> tuple[str, ...]:
    """Ids of experiments by name, or by id where nothing has that name."""
    known = tracking.runs.experiments("all")
    by_name = {each.name: each.experiment_id for each in known}
    ids = {each.experiment_id for each in known}
    for name in names:
        if name not in by_name and name not in ids:
            import difflib

            close = difflib.get_close_matches(name, by_name, n=1)
            hint = f"Did you mean {close[0]!r}? " if close else ""
            more = f" and {len(by_name) - _NAMED} more" if len(by_name) > _NAMED else ""
            raise NotFoundError(
                f"There is no experiment {name!r}.",
                hint=f"{hint}There are: {', '.join(sorted(by_name)[:_NAMED])}{more}.",
            )
    return tuple(by_name.get(name, name) for name in names)


def _metric(text: str) -> tuple[str, str]:
    """Split `rmse<0.8` into key and comparison."""
    match = _METRIC.fullmatch(text)
    if match is None:
        raise UsageError(f"Not a comparison: --metric {text!r}.", hint="Write it like --metric 'rmse<0.8'.")
    return match["key"].strip(), f"{match['operator']} {match['value']}"


def _terminal_width() -> int:
    import shutil

    return shutil.get_terminal_size((_FALLBACK_WIDTH, 24)).columns if sys.stdout.isatty() else _FALLBACK_WIDTH
