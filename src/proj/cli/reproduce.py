"""`proj reproduce`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from proj import events
from proj.cli import complete, output, wording
from proj.cli.diff import MarkdownResult
from proj.cli.difftext import shown_values
from proj.cli.options import pairs, remote_url, tracking_option
from proj.cli.reproducetext import item_of, verification_blocks
from proj.compare import GROUPS, Row, Status
from proj.compare.leftout import named
from proj.errors import NotFoundError, UsageError
from proj.exitcodes import exit_code as exit_code_of
from proj.model import Outcome, RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj import reproduction

_SHORT_ID = 8


class ReproduceResult(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was made again, and how it compares."""

    run_id: str
    run_name: str
    reproduces: str
    """The run that it was made from."""
    status: str
    exit_code: int
    outcome: Outcome
    same: bool | None
    """Whether all that is required is the same; None if it was not checked."""
    rows: tuple[Row, ...]
    ignored: tuple[str, ...]
    """Artifacts that were left out of the comparison."""

    def text(self) -> Iterator[output.Block]:
        """Yield one row per item, what explains a difference first; then the verdict.

        A group of many items that are all the same is one row.
        """
        if self.same is None:
            return
        yield from verification_blocks(self.rows)
        yield ""
        if self.ignored:
            yield f"Ignored: {', '.join(map(wording.one_line, self.ignored))}."
        yield self.verdict()
        yield from self._advice()

    def _advice(self) -> Iterator[str]:
        """What to do next."""
        wrong = {(row.group, row.item): row.status for row in self.rows if _is_wrong(row)}
        if ("code", "left out") in wrong:
            yield "Files that the run does not read are not missed once .gitignore or .projignore names them."
        if Status.DIFFERENT in wrong.values():
            runs = f"{self.reproduces[:_SHORT_ID]} {self.run_id[:_SHORT_ID]}"
            yield f"`proj diff {runs} --artifacts` shows more."

    def verdict(self) -> str:
        """Say in a sentence how it came out."""
        names = f"Run {self.run_id[:_SHORT_ID]}", f"{self.reproduces[:_SHORT_ID]}"
        wrong = [row for row in self.rows if _is_wrong(row)]
        if not wrong:
            return f"{names[0]} came out the same as {names[1]}."
        listed = ", ".join(wording.one_line(item_of(row)) for row in wrong[:5])
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""  # noqa: PLR2004  as many as are listed
        return f"{names[0]} is not the same as {names[1]}: {listed}{more}."

    def markdown(self) -> Iterator[str]:
        """Yield the lines of a page."""
        from proj.cli.difftext import cell

        yield f"# `{self.run_id[:_SHORT_ID]}`, made again from `{self.reproduces[:_SHORT_ID]}`"
        yield ""
        yield cell(self.verdict())
        yield ""
        yield "| | item | was | is | |"
        yield "|---|---|---|---|---|"
        for row in self.rows:
            values = " | ".join(cell(value) for value in shown_values(row))
            yield f"| {row.status.value} | {cell(item_of(row))} | {values} | {cell(_remark(row))} |"


class ReproducePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What would be made again; all of it can be had but for what was left out."""

    reproduces: str
    tree: str
    commit: str | None
    entry_point: str
    environment: str
    lock: str | None
    command: str
    parameters: dict[str, str]
    variables: dict[str, str | None]
    """What the command would get; null: what would be removed."""
    left_out: tuple[str, ...] = ()
    """Files that ran and were not kept with the run."""

    def text(self) -> Iterator[output.Block]:
        """Yield one line for each."""
        commit = f", commit {self.commit[:12]}" if self.commit else ""
        yield f"run          {self.reproduces}"
        yield f"code         tree {self.tree[:12]}{commit}"
        yield f"entry point  {self.entry_point}"
        yield f"environment  {self.environment}{', as locked' if self.lock else ''}"
        yield f"command      {wording.one_line(self.command)}"
        for name, value in self.variables.items():
            yield f"variable     {name}{' is removed' if value is None else f'={wording.one_line(value)}'}"
        if self.left_out:
            files = wording.one_line(named(list(self.left_out)))
            yield f"Not all of it can be had: {files}, not kept with the run."
        else:
            yield "All of it can be had."


def _timeout_s(text: str | None) -> float | None:
    from proj.times import parse_duration

    if text is None:
        return None
    return math.inf if text == "none" else parse_duration(text)


def _is_wrong(row: Row) -> bool:
    return row.required and row.status is not Status.SAME


def _remark(row: Row) -> str:
    optional = "need not be the same" if not row.required and row.status is not Status.SAME else None
    return "; ".join(filter(None, (row.reason, optional)))


@click.command()
@click.argument("run", shell_complete=complete.run_ids)
@click.argument("directory", required=False, metavar="[DIR]", type=click.Path(path_type=Path))
@click.option("--verify", is_flag=True, help="Compare with RUN; end with 1 unless it came out the same.")
@click.option("--rtol", type=click.FloatRange(min=0), help="Relative tolerance for metrics.")
@click.option("--atol", type=click.FloatRange(min=0), help="Absolute tolerance for metrics.")
@click.option("--ignore", multiple=True, metavar="GLOB", help="Artifacts that need not be the same.")
@click.option("--stdout", is_flag=True, help="Compare what the program printed, too.")
@click.option(
    "--require",
    multiple=True,
    type=click.Choice(GROUPS),
    metavar="GROUP",
    help="Ask for all items of a group to be the same, such as host or stdout.",
)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=PATH",
    help="Where the input of a parameter is now; may be repeated.",
)
@click.option("--python", metavar="VERSION", help="Python to use instead of the very version that it ran in.")
@click.option(
    "--remote",
    metavar="URL",
    callback=remote_url,
    help="Repository to get the commit from, if the recorded one has moved.",
)
@click.option(
    "-c",
    "--backend-config",
    metavar="FILE|JSON",
    help="Settings of the backend to use instead of the recorded ones of the same names.",
)
@click.option(
    "--timeout",
    metavar="TIME|none",
    help="Stop the command after this time, or never.  [default: as it was]",
)
@click.option("--offline", is_flag=True, help="Do without the network: what is in the caches only.")
@click.option("--keep", is_flag=True, help="Keep the private checkout.")
@click.option("-q", "--quiet", is_flag=True, help="Hide the program's output and proj's own lines.")
@click.option("--dry-run", is_flag=True, help="Restore and check all that is needed; record nothing.")
@click.option("--md", "as_markdown", is_flag=True, help="Print Markdown.")
@tracking_option
@output.json_option
def command(run: str, directory: Path | None, **options: Any) -> object:
    """Make RUN again from its record: the same code, packages, parameters, inputs and variables.

    RUN may be a file that `proj export` wrote, too: its run is imported once all of it can be had, and its
    packages are used.

    What cannot be had is told before anything starts, all of it. The new run is recorded beside the old one,
    with its id in the tag `proj.reproduces`. DIR is where the code is put, by default a private folder.
    """
    from proj import api, reproduction

    _refuse_idle(options)
    chosen = reproduction.Options(
        directory=directory,
        inputs=dict(pairs(options["inputs"], "--input")),
        python=options["python"],
        remote=options["remote"],
        backend_config=api.config_json(options["backend_config"]),
        timeout_s=_timeout_s(options["timeout"]),
        offline=options["offline"],
        keep=options["keep"],
        quiet=options["quiet"] or output.as_json() or options["as_markdown"],
    )
    watcher = output.Watcher(quiet=options["quiet"] or output.as_json())
    with watcher, events.listening(watcher):
        try:
            if options["dry_run"]:
                return _plan(reproduction.check(run, chosen))
            made = reproduction.reproduce(run, chosen, _check(options))
        except NotFoundError as error:
            if not run.endswith(".zip") or Path(run).exists():
                raise
            raise NotFoundError(f"There is no file {run!r}.", hint="`proj export RUN` writes one.") from error
    result = _result(made)
    if options["as_markdown"] and not output.as_json():
        return MarkdownResult(markdown="\n".join(result.markdown()), exit_code=result.exit_code)
    return result


def _refuse_idle(options: dict[str, Any]) -> None:
    """Nobody who says what may differ should take a run that was not compared for one that was."""
    if options["verify"] or options["dry_run"]:
        return
    if options["as_markdown"]:
        raise UsageError("--md writes down how the runs compare.", hint="Add --verify, which compares them.")
    numbers = [name for name in ("rtol", "atol") if options[name] is not None]
    given = [*numbers, *(name for name in ("ignore", "require", "stdout") if options[name])]
    if given:
        raise UsageError(
            f"--{given[0]} is about how the runs compare.", hint="Add --verify, which compares them."
        )


def _check(options: dict[str, Any]) -> reproduction.Check | None:
    from proj import reproduction

    if not options["verify"]:
        return None
    return reproduction.Check(
        ignore=options["ignore"],
        rtol=options["rtol"],
        atol=options["atol"],
        stdout=options["stdout"],
        require=options["require"],
    )


def _plan(ready: reproduction.Ready) -> ReproducePlan:
    plan, original = ready.plan, ready.original
    root = plan.snapshot.root if plan.snapshot is not None else None
    return ReproducePlan(
        reproduces=original.run_id,
        tree=root.tree if root is not None else "",
        commit=root.commit if root is not None else None,
        entry_point=plan.entry_point.name,
        environment=original.tags.get("proj.environment", plan.environment),
        lock=original.tags.get("proj.lock"),
        command=plan.command.line,
        parameters={parameter.name: parameter.given for parameter in plan.parameters},
        variables=dict(plan.variables),
        left_out=tuple(left.path for left in plan.snapshot.left_out if left.missed) if plan.snapshot else (),
    )


def _result(made: reproduction.Reproduction) -> ReproduceResult:
    outcome, found = made.finished.outcome, made.comparison
    if outcome.status is not RunStatus.FINISHED and not output.as_json():
        output.say(outcome.message or outcome.status.value, label="proj:", fg="red", bold=True)
    same = found.reproduced if found is not None else None
    return ReproduceResult(
        run_id=made.finished.run_id,
        run_name=made.finished.run_name,
        reproduces=made.original.run_id,
        status=outcome.status.value,
        exit_code=exit_code_of(outcome) if same is None else int(not same),
        outcome=outcome,
        same=same,
        rows=found.rows if found is not None else (),
        ignored=found.ignored if found is not None else (),
    )
