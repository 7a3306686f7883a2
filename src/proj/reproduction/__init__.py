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
from proj.planning import Plan, RunRequest
from proj.reproduction.origin import find_origin
from proj.reproduction.preflight import Options, active_experiment, prepared
from proj.reproduction.problems import CannotReproduceError, Problem
from proj.reproduction.recipe import read_recipe

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from proj.compare import Row
    from proj.model import Verification
    from proj.reproduction.origin import Origin
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
        find_origin(tracking, run) as origin,
        _prepared(origin, options) as (_, plan),
    ):
        planning.discard(plan)
        return Ready(original=origin.run, plan=plan)


def reproduce(run: str, options: Options, verify: Check | None = None) -> Reproduction:
    """Make a run again: the same code, packages, parameters, inputs and variables, recorded as a new run.

    Args:
        run: Its id, a prefix of it, its name, or the path of an archive, whose run is imported once all that
            it needs is restored.
        options: How.
        verify: How to compare the new run with it; None: not at all.

    Raises:
        NotFoundError: There is no such run.
        UsageError: It has not ended.
        CannotReproduceError: Something that it was made of cannot be had; nothing was started.
    """
    with contextlib.closing(_opened()) as tracking:
        with find_origin(tracking, run) as origin:
            if not origin.run.status.finished:
                raise UsageError(
                    f"Run {origin.run.run_id} has not ended yet.",
                    hint=f"Wait for it: `proj wait {origin.run.run_id[:8]}`.",
                )
            with _prepared(origin, options) as (request, plan):
                with planning.given(plan):
                    original = origin.keep()
                    experiment = active_experiment(tracking, original)
                finished = runner.run(msgspec.structs.replace(request, experiment_id=experiment), plan)
        compared = None
        if verify is not None:
            compared = _compare(tracking, original, finished.run_id, plan.project.extensions.verify, verify)
    return Reproduction(original=original, finished=finished, comparison=compared)


def _prepared(origin: Origin, options: Options) -> AbstractContextManager[tuple[RunRequest, Plan]]:
    if origin.packages is not None:
        options = msgspec.structs.replace(options, packages=origin.packages)
    return prepared(origin.tracking, read_recipe(origin.tracking, origin.run), options)


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
