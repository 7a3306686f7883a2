"""`proj diff`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import click
import msgspec

from proj import paths, projectfile, recovery
from proj.cli import complete, output
from proj.cli.difftext import diff_blocks, markdown_lines, stat_blocks
from proj.cli.options import tracking_option
from proj.compare import Row, RunName, Status, compare, read_facts
from proj.compare.code import FileChange, code_changes, code_of, content_change
from proj.compare.rows import settings
from proj.errors import ProjError
from proj.model import Verification
from proj.place import open_tracking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.compare import Comparison, RunFacts

_MOST_BYTES = 1 << 20
"""Larger artifacts are not shown line by line."""


class DiffResult(msgspec.Struct, frozen=True, kw_only=True):
    """Two runs, item by item."""

    left: RunName
    right: RunName
    different: bool
    rows: tuple[Row, ...]
    code: tuple[FileChange, ...] | None
    """None where the code of one of the runs is not at hand."""
    artifacts: tuple[FileChange, ...]
    """Artifacts that differ, line by line; only with `--artifacts`."""
    notes: tuple[str, ...]
    ignored: tuple[str, ...]
    exit_code: int = 0


class DiffText(DiffResult, frozen=True, kw_only=True):
    """For people."""

    show_all: bool = False
    stat: bool = False

    def text(self) -> Iterator[output.Block]:
        """Yield what could explain a difference, then what came out."""
        return stat_blocks(self) if self.stat else diff_blocks(self, show_all=self.show_all)


class MarkdownResult(msgspec.Struct, frozen=True, kw_only=True):
    """The same for a merge request or a notebook."""

    for_programs: ClassVar[bool] = True
    markdown: str
    exit_code: int = 0

    def text(self) -> Iterator[output.Block]:
        """Yield the page."""
        yield self.markdown


@click.command()
@click.argument("left", metavar="A", shell_complete=complete.run_ids)
@click.argument("right", metavar="B", shell_complete=complete.run_ids)
@click.option("--stat", is_flag=True, help="Count what differs instead of listing it.")
@click.option("--all", "show_all", is_flag=True, help="List what is the same, too.")
@click.option("--stdout", is_flag=True, help="Compare what the programs printed, too.")
@click.option("--artifacts", is_flag=True, help="Show what differs in artifacts that are text.")
@click.option("--rtol", type=click.FloatRange(min=0), help="Relative tolerance for metrics.")
@click.option("--atol", type=click.FloatRange(min=0), help="Absolute tolerance for metrics.")
@click.option("--ignore", multiple=True, metavar="GLOB", help="Artifacts to leave out.")
@click.option("--md", "as_markdown", is_flag=True, help="Print Markdown.")
@click.option(
    "--exit-code", is_flag=True, help="End with 1 if anything differs, or what counts cannot be compared."
)
@tracking_option
@output.json_option
def command(
    left: str,
    right: str,
    stat: bool,
    show_all: bool,
    stdout: bool,
    artifacts: bool,
    rtol: float | None,
    atol: float | None,
    ignore: tuple[str, ...],
    as_markdown: bool,
    exit_code: bool,
) -> DiffResult | MarkdownResult:
    """Show what differs between the runs A and B.

    What could explain a difference comes first: code, packages, parameters, inputs, variables, interpreter,
    host, image. Then what came out: metrics and artifacts. `proj: {verify: …}` of B's project file, where
    that is still there, says what may differ.
    """
    home = paths.home()
    with open_tracking() as tracking:
        recovery.recover(tracking, home)
        one, other = (read_facts(tracking, tracking.runs.find_run(run, "all")) for run in (left, right))
        chosen = settings(_verification(other), ignore=ignore, rtol=rtol, atol=atol, stdout=stdout)
        found = compare(one, other, chosen)
        code, notes = _code(one, other)
        texts = tuple(_artifacts(one, other, found)) if artifacts else ()
    different = found.differs or bool(code)
    result = DiffText(
        left=found.left,
        right=found.right,
        different=different,
        rows=found.rows,
        code=code,
        artifacts=texts,
        notes=notes,
        ignored=found.ignored,
        exit_code=int(exit_code and (different or not found.reproduced)),
        show_all=show_all,
        stat=stat,
    )
    if as_markdown and not output.as_json():
        return MarkdownResult(markdown="\n".join(markdown_lines(result)), exit_code=result.exit_code)
    return result if not output.as_json() else _plain(result)


def _plain(result: DiffText) -> DiffResult:
    """The result without what says how to show it."""
    names = DiffResult.__struct_fields__
    return DiffResult(**{name: getattr(result, name) for name in names})


def _verification(run: RunFacts) -> Verification:
    """What the project file says, if the project is a folder that is still there."""
    folder = Path(run.source.uri) if run.source is not None else Path()
    if not folder.is_absolute() or not folder.is_dir():
        return Verification()
    try:
        return projectfile.load(folder).extensions.verify
    except ProjError:  # it was in order when it ran
        return Verification()


def _code(left: RunFacts, right: RunFacts) -> tuple[tuple[FileChange, ...] | None, tuple[str, ...]]:
    trees = [run.source.tree if run.source else None for run in (left, right)]
    if trees[0] is not None and trees[0] == trees[1]:
        return (), ()
    with code_of(left) as (one, first), code_of(right) as (other, second):
        notes = tuple(dict.fromkeys(filter(None, (first, second))))
        if one is None or other is None:
            return None, notes
        try:
            return code_changes(one, other), notes
        except ProjError as error:
            return None, (*notes, f"the code cannot be compared: {error.message}")


def _artifacts(left: RunFacts, right: RunFacts, found: Comparison) -> Iterator[FileChange]:
    """What differs in the artifacts that both runs have, as far as they are short texts."""
    for row in found.rows:
        sizes = [run.artifacts.get(row.item) for run in (left, right)]
        if row.group != "artifacts" or row.status is not Status.DIFFERENT or None in sizes:
            continue
        if max(size or 0 for size in sizes) > _MOST_BYTES:
            continue
        contents = []
        for run in (left, right):
            with run.evidence.open(row.item) as file:
                contents.append(file.read())
        change = content_change(row.item, contents[0], contents[1])
        if change.diff:
            yield change
