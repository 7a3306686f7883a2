"""Make a run again from its record, and check whether it came out the same."""

from __future__ import annotations

import contextlib
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
    from collections.abc import Iterable

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
    with contextlib.closing(_opened()) as tracking:
        original = tracking.runs.find_run(run, "all")
        with prepared(tracking, read_recipe(tracking, original), options) as (_, plan):
            planning.discard(plan)
            return Ready(original=original, plan=plan)


def reproduce(run: str, options: Options, verify: Check | None = None) -> Reproduction:
    """Make a run again: the same code, packages, parameters, inputs and variables, recorded as a new run.

    Args:
        run: Its id, a prefix of it, or its name.
        options: How.
        verify: How to compare the new run with it; None: not at all.

    Raises:
        NotFoundError: There is no such run.
        UsageError: It has not ended.
        CannotReproduceError: Something that it was made of cannot be had; nothing was started.
    """
    with contextlib.closing(_opened()) as tracking:
        original = tracking.runs.find_run(run, "all")
        if not original.status.finished:
            raise UsageError(
                f"Run {original.run_id} has not ended yet.",
                hint=f"Wait for it: `proj wait {original.run_id[:8]}`.",
            )
        with prepared(tracking, read_recipe(tracking, original), options) as (request, plan):
            finished = runner.run(request, plan)
        compared = None
        if verify is not None:
            compared = _compare(tracking, original, finished.run_id, plan.project.extensions.verify, verify)
    return Reproduction(original=original, finished=finished, comparison=compared)


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
