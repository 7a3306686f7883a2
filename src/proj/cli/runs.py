"""`proj runs`."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, ClassVar

import click
import msgspec

from proj import paths, record, recovery
from proj.cli import output, wording
from proj.cli.options import pairs, tracking_option
from proj.cli.runtable import runs_table
from proj.errors import NotFoundError, UsageError
from proj.model import RunStatus
from proj.place import open_tracking
from proj.tracking.filters import quoted_key, quoted_text
from proj.tracking.store import RunQuery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.model import Experiment, RunRecord
    from proj.tracking import Tracking

_METRIC = re.compile(r"(?P<key>.+?)\s*(?P<operator><=|>=|!=|==|=|<|>)\s*(?P<value>[^\s<>=!]+)\s*")
_FALLBACK_WIDTH = 160
_MOST = 1_000_000


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
            told = wording.counted(shown, "run")
            output.say(f"There are more than the {told} shown: -n {shown * 5} lists up to {shown * 5}.")


class CsvResult(msgspec.Struct, frozen=True, kw_only=True):
    """The same as comma-separated values."""

    for_programs: ClassVar[bool] = True
    csv: str

    def text(self) -> Iterator[output.Block]:
        """Yield the lines."""
        yield self.csv


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
    default=20,
    show_default=True,
    help="How many at most.",
)
@click.option("--deleted", is_flag=True, help="The deleted ones.")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
@tracking_option
@output.json_option
def command(
    experiments: tuple[str, ...],
    statuses: tuple[str, ...],
    tags: tuple[str, ...],
    params: tuple[str, ...],
    metrics: tuple[str, ...],
    filter_text: str | None,
    orders: tuple[str, ...],
    limit: int,
    deleted: bool,
    as_csv: bool,
) -> RunsResult | CsvResult:
    """List runs, newest first. What is given must all be true of a run.

    \b
    proj runs --experiment wine --sort metrics.rmse -n 5
    proj runs --status FAILED --metric 'loss<0.5'
    """  # noqa: D301  \b is click's mark for text that must not be wrapped
    by_param, by_tag = pairs(params, "--param"), pairs(tags, "--tag")
    by_metric = tuple(_metric(text) for text in metrics)
    conditions = [filter_text] if filter_text else []
    conditions += [f"params.{quoted_key(key)} = {quoted_text(value)}" for key, value in by_param]
    conditions += [f"tags.{quoted_key(key)} = {quoted_text(value)}" for key, value in by_tag]
    conditions += [f"metrics.{quoted_key(key)} {comparison}" for key, comparison in by_metric]
    if statuses:
        conditions.append(f"status IN ({', '.join(quoted_text(status) for status in statuses)})")
    home = paths.home()
    with open_tracking() as tracking:
        recovery.recover(tracking, home)
        found = tracking.runs.search_runs(
            RunQuery(
                experiment_ids=_experiment_ids(tracking, experiments) if experiments else None,
                filter=" and ".join(conditions),
                order_by=tuple(f"{order[1:]} DESC" if order.startswith("-") else order for order in orders),
                lifecycle="deleted" if deleted else "active",
                limit=limit,
            )
        )
        names = {each.experiment_id: each for each in tracking.runs.experiments("all")}
    runs = tuple(summary(run, names) for run in found.runs)
    if as_csv and not output.as_json():
        return CsvResult(csv=_csv(runs))
    asked_for = (
        *(order.lstrip("-").partition(" ")[0] for order in orders),
        *(f"metrics.{key}" for key, _ in by_metric),
        *(f"params.{key}" for key, _ in by_param),
    )
    return RunsResult(runs=runs, more=found.next_page_token is not None, asked_for=asked_for)


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
            raise NotFoundError(
                f"There is no experiment {name!r}.", hint=f"{hint}There are: {', '.join(sorted(by_name))}."
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


def _csv(runs: tuple[RunSummary, ...]) -> str:
    import csv
    import io

    plain = tuple(name for name in RunSummary.__struct_fields__ if name not in ("params", "metrics", "tags"))
    params = sorted({key for run in runs for key in run.params})
    metrics = sorted({key for run in runs for key in run.metrics})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*plain, *(f"params.{key}" for key in params), *(f"metrics.{key}" for key in metrics)))
    for run in runs:
        writer.writerow(
            (
                *(getattr(run, name) for name in plain),
                *(run.params.get(key) for key in params),
                *(run.metrics.get(key) for key in metrics),
            )
        )
    return text.getvalue().rstrip("\n")
