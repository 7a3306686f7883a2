"""Make a run again from its record, and check whether it came out the same."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj import compare, paths, planning, recovery, runner
from proj.compare import Comparison
from proj.compare.rows import settings
from proj.errors import UsageError
from proj.model import RunRecord
from proj.place import open_tracking
from proj.planning import Plan
from proj.reproduction.preflight import Options, prepared
from proj.reproduction.problems import CannotReproduceError, Problem
from proj.reproduction.recipe import read_recipe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from proj.archive import Archive
    from proj.compare import Row
    from proj.model import Verification
    from proj.tracking import Tracking

__all__ = [
    "CannotReproduceError",
    "Check",
    "Options",
    "Problem",
    "Ready",
    "Reproduction",
    "check",
    "reproduce",
]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """How the new run is compared with the old one."""

    ignore: tuple[str, ...] = ()
    """Globs of artifacts that need not be the same, beside those of the project file."""
    rtol: float | None = None
    atol: float | None = None
    stdout: bool = False
    """Whether what was printed is compared."""
    require: tuple[str, ...] = ()
    """Groups of which all items have to be the same."""


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """What would be run, all of it restored."""

    original: RunRecord
    plan: Plan


class Reproduction(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was made again."""

    original: RunRecord
    finished: runner.Finished
    comparison: Comparison | None
    """None if it was not asked for."""


def check(run: str, options: Options) -> Ready:
    """Restore all that a run was made of, say what it is, and put nothing anywhere but into the cache.

    Raises:
        NotFoundError: There is no such run.
        CannotReproduceError: Some of it cannot be had.
    """
    options = msgspec.structs.replace(options, directory=None)
    with (
        contextlib.closing(_opened()) as tracking,
        _found(tracking, run, options) as (original, chosen),
        prepared(tracking, read_recipe(tracking, original), chosen) as (_, plan),
    ):
        planning.discard(plan)
        return Ready(original=original, plan=plan)


def reproduce(run: str, options: Options, verify: Check | None = None) -> Reproduction:
    """Make a run again: the same code, packages, parameters, inputs and variables, recorded as a new run.

    Args:
        run: Its id, a prefix of it, its name, or the path of an archive, whose run is imported then.
        options: How.
        verify: How to compare the new run with it; None: not at all.

    Raises:
        NotFoundError: There is no such run.
        UsageError: It has not ended.
        CannotReproduceError: Something that it was made of cannot be had; nothing was started.
    """
    with contextlib.closing(_opened()) as tracking, _found(tracking, run, options) as (original, chosen):
        if not original.status.finished:
            raise UsageError(
                f"Run {original.run_id} has not ended yet.",
                hint=f"Wait for it: `proj wait {original.run_id[:8]}`.",
            )
        with prepared(tracking, read_recipe(tracking, original), chosen) as (request, plan):
            finished = runner.run(request, plan)
        compared = None
        if verify is not None:
            compared = _compare(tracking, original, finished.run_id, plan.project.extensions.verify, verify)
    return Reproduction(original=original, finished=finished, comparison=compared)


@contextlib.contextmanager
def _found(tracking: Tracking, run: str, options: Options) -> Iterator[tuple[RunRecord, Options]]:
    """The run, and how it is to be made again: with the packages of its archive, if it comes with some."""
    path = Path(run)
    if not path.is_file():
        yield tracking.runs.find_run(run, "all"), options
        return
    import tempfile

    from proj import archive

    paths.cache().mkdir(parents=True, exist_ok=True)
    with (
        archive.open_archive(path) as opened,
        tempfile.TemporaryDirectory(prefix="packages-", dir=paths.cache()) as folder,
    ):
        run_id = _the_run(opened)
        archive.add(opened, tracking)
        packages = opened.packages(run_id, Path(folder)) or options.packages
        yield tracking.runs.run(run_id), msgspec.structs.replace(options, packages=packages)


def _the_run(archive: Archive) -> str:
    """The run that an archive is of; those below it do not count."""
    ids = {run.run_id for run in archive.runs}
    tops = [run.run_id for run in archive.runs if run.tags.get("mlflow.parentRunId") not in ids]
    if len(tops) != 1:
        raise UsageError(
            f"{archive.path} holds {len(tops)} runs: {', '.join(tops)}.",
            hint=f"`proj import {archive.path}`, then `proj reproduce RUN` for one of them.",
        )
    return tops[0]


def _opened() -> Tracking:
    tracking = open_tracking()
    recovery.recover(tracking, paths.home())
    return tracking


def _compare(
    tracking: Tracking, original: RunRecord, again: str, verification: Verification, verify: Check
) -> Comparison:
    chosen = settings(
        verification,
        ignore=verify.ignore,
        rtol=verify.rtol,
        atol=verify.atol,
        stdout=verify.stdout or "stdout" in verify.require,
    )
    left, right = (compare.read_facts(tracking, run) for run in (original, tracking.runs.run(again)))
    found = compare.compare(left, right, chosen)
    return msgspec.structs.replace(found, rows=tuple(_required(found.rows, verify.require)))


def _required(rows: Iterable[Row], groups: tuple[str, ...]) -> Iterable[Row]:
    for row in rows:
        yield msgspec.structs.replace(row, required=True) if row.group in groups else row
