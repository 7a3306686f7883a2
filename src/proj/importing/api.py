"""Imports the records of another store into those of this machine."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from proj.errors import NotFoundError, StoreError
from proj.importing.copying import Copier
from proj.importing.model import ImportReport, Problems
from proj.importing.rehearsal import rehearsal
from proj.importing.sources import open_source
from proj.importing.writer import Writer
from proj.tracking import open_tracking

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from proj.importing.model import ForeignExperiment, Source
    from proj.tracking import Tracking


def import_from(
    uri: str,
    home: Path,
    *,
    experiments: Sequence[str] = (),
    artifacts: bool = True,
    beside: Sequence[Path] = (),
    dry_run: bool = False,
) -> ImportReport:
    """Copy the records of another store into a folder of records.

    What is here already is not copied again, so an import can be run again for what is new, or after it was
    interrupted.

    Args:
        uri: `mlflow:` and an `mlruns` folder, a database file, or a server's URL.
        home: The folder.
        experiments: Names of those to copy; none: all, and all registered models.
        artifacts: Whether files are copied, too.
        beside: Folders in which artifacts are looked for that are not where they are said to be.
        dry_run: Only say what would be done.

    Raises:
        UsageError: `uri` is none that is known.
        NotFoundError: The store, or an experiment in it, is not there.
        StoreError: The store cannot be read, or ours not written. What was written before stays.
    """
    problems = Problems()
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(contextlib.closing(open_source(uri, problems, tuple(beside))))
        chosen = _choose(source, experiments)
        tracking: Tracking = stack.enter_context(rehearsal(home) if dry_run else open_tracking(home))
        report = ImportReport(source=source.uri, dry_run=dry_run)
        past = tracking.past
        if past is None:
            raise StoreError(f"Nothing can be imported into {tracking.uri}: it is a server.")
        copier = Copier(tracking.artifacts, report, problems, dry_run=dry_run) if artifacts else None
        writer = Writer(
            source=source, tracking=tracking, past=past, report=report, problems=problems, copier=copier
        )
        writer.write(chosen, whole=not experiments)
        report.missing_roots = list(source.missing_roots)
        report.problems = problems.kept
        report.problem_count = problems.count
    return report


def _choose(source: Source, names: Sequence[str]) -> list[ForeignExperiment]:
    found = list(source.experiments())
    if not names:
        return found
    missing = sorted(set(names) - {experiment.name for experiment in found})
    if missing:
        there = ", ".join(repr(experiment.name) for experiment in found[:20])
        raise NotFoundError(
            f"{source.uri} has no experiment {', '.join(map(repr, missing))}.",
            hint=f"There are: {there}." if there else None,
        )
    return [experiment for experiment in found if experiment.name in names]
