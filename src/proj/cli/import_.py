"""`proj import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from proj import events, paths, place
from proj.cli import output, wording
from proj.cli.options import tracking_option
from proj.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.cli.import_archive import ArchiveResult
    from proj.importing import ImportReport, Tally

EXIT_INCOMPLETE = 1
"""Something could not be taken over; the rest was."""
_MAX_LISTED = 20


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that could not be taken over."""

    place: str
    message: str


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How many of a kind were met."""

    new: int
    changed: int
    there: int


class ImportResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was imported, or would be."""

    source: str
    dry_run: bool
    experiments: Counts
    runs: Counts
    points: int
    logged_models: Counts
    registered_models: Counts
    versions: int
    files: Counts
    size_bytes: int
    missing_roots: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    problem_count: int = 0

    @property
    def exit_code(self) -> int:
        """1 where something was left out."""
        return EXIT_INCOMPLETE if self.problem_count else 0

    def text(self) -> Iterator[output.Block]:
        """Yield a table of what was met, and what was left out."""
        kinds = {
            "experiments": self.experiments,
            "runs": self.runs,
            "logged models": self.logged_models,
            "registered models": self.registered_models,
            "files": self.files,
        }
        yield output.Table(
            columns=("", "NEW", "CHANGED", "THERE ALREADY"),
            rows=tuple(
                (kind, str(counts.new), str(counts.changed), str(counts.there))
                for kind, counts in kinds.items()
            ),
            right_aligned=frozenset({"NEW", "CHANGED", "THERE ALREADY"}),
        )
        done = "Would import" if self.dry_run else "Imported"
        yield (
            f"{done} {wording.counted(self.points, 'metric point')}, "
            f"{wording.counted(self.versions, 'model version')}, "
            f"{wording.size(self.size_bytes)} of files from {self.source}."
        )
        if self.problem_count:
            yield f"Left out, {wording.counted(self.problem_count, 'problem')}:"
            for problem in self.problems[:_MAX_LISTED]:
                yield f"  {problem.place}: {problem.message}"
            if self.problem_count > _MAX_LISTED:
                yield f"  and {self.problem_count - _MAX_LISTED} more; --json lists up to 1000."


@click.command("import")
@click.argument("source", metavar="FILE|mlflow:SOURCE")
@click.option(
    "--experiment",
    "experiments",
    metavar="NAME",
    multiple=True,
    help="Only this experiment of MLflow's; repeatable.",
)
@click.option("--no-artifacts", is_flag=True, help="Leave MLflow's files out.")
@click.option(
    "--artifacts",
    "beside",
    metavar="FOLDER",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where files are that are not where MLflow's records say; repeatable.",
)
@click.option(
    "--verify-signature",
    "allowed",
    metavar="[ALLOWED]",
    is_flag=False,
    flag_value="",
    help="Refuse FILE unless an SSH key signed it that a file of allowed signers names: "
    "--verify-signature=ALLOWED; without ALLOWED, the file that git uses.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be imported; write nothing.")
@tracking_option
@output.json_option
def command(
    source: str,
    experiments: tuple[str, ...],
    no_artifacts: bool,
    beside: tuple[Path, ...],
    allowed: str | None,
    dry_run: bool,
) -> ImportResult | ArchiveResult:
    """Take in the runs of FILE, which `proj export` wrote, or the records that MLflow keeps in SOURCE.

    All of FILE is checked before anything is taken in. What is here already is not taken in again.

    \b
    proj import run.zip                            runs that somebody shares
    proj import mlflow:./mlruns                    a folder of MLflow's file store
    proj import mlflow:sqlite:///mlflow.db         a database; mlflow:mlflow.db is the same
    proj import mlflow:https://tracking.example    a server
    """  # noqa: D301  \b is click's mark for text that must not be wrapped
    here = _here()
    if here.folder is None:
        raise UsageError(
            f"Records are imported into a folder of this machine, and {here.uri} is a server.",
            hint="Name a folder with --tracking-uri, or run this on the server's machine with its PROJ_HOME.",
        )
    with output.Watcher(quiet=output.as_json()) as watcher, events.listening(watcher):
        if _is_archive(source):
            if experiments or no_artifacts or beside:
                raise UsageError("--experiment, --no-artifacts and --artifacts are for mlflow:SOURCE alone.")
            from proj.cli.import_archive import import_archive

            return import_archive(source, here, allowed=allowed, dry_run=dry_run)
        if allowed is not None:
            raise UsageError("--verify-signature is for a file that `proj export` wrote.")
        from proj.importing import import_from

        report = import_from(
            source,
            here.folder,
            experiments=experiments,
            artifacts=not no_artifacts,
            beside=beside,
            dry_run=dry_run,
        )
    return _result(report)


def _is_archive(source: str) -> bool:
    """Whether a file is named, and not a kind of records."""
    return not source.startswith("mlflow:") and Path(source).expanduser().is_file()


def _here() -> place.Place:
    """Where to: `MLFLOW_TRACKING_URI`, if it is a server, says where from rather."""
    here = place.current()
    if here.folder is None and not place.is_named():
        return place.of_folder(paths.home())
    return here


def _result(report: ImportReport) -> ImportResult:
    return ImportResult(
        source=report.source,
        dry_run=report.dry_run,
        experiments=_counts(report.experiments),
        runs=_counts(report.runs),
        points=report.points,
        logged_models=_counts(report.logged_models),
        registered_models=_counts(report.registered_models),
        versions=report.versions,
        files=_counts(report.files),
        size_bytes=report.size_bytes,
        missing_roots=tuple(report.missing_roots),
        problems=tuple(Problem(place=each.place, message=each.message) for each in report.problems),
        problem_count=report.problem_count,
    )


def _counts(tally: Tally) -> Counts:
    return Counts(new=tally.new, changed=tally.changed, there=tally.there)
