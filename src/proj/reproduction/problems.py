"""What stands in the way of making a run again; all of it is said at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from proj.errors import ImageError, ProjError

if TYPE_CHECKING:
    from collections.abc import Sequence


_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
_KNOWN = frozenset({"--backend-config", "--env-file", "--offline", "--remote"})
"""Options that help here; those of `proj run` that decide about packages have no place in a reproduction."""
_FILES = "The very files that its lock names are needed: from where they came, or from uv's cache."


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the run was made of, and that cannot be had."""

    item: str
    """`record`, `code`, `entry point`, `interpreter`, `packages`, `inputs`, `variables` …"""
    message: str
    hint: str | None = None
    """What to do next."""
    details: tuple[str, ...] = ()
    """A tool's own words."""


class CannotReproduceError(ProjError):
    """A run cannot be made again as it was; nothing was started.

    Args:
        run_id: The run.
        problems: Why.
    """

    code = "cannot_reproduce"

    def __init__(self, run_id: str, problems: Sequence[Problem]) -> None:
        lines = [f"Run {run_id} cannot be made again. Nothing was started."]
        for problem in problems:
            lines.append(f"  {problem.item}: {problem.message}")
            lines += [f"      {line}" for line in problem.details]
            if problem.hint is not None:
                lines.append(f"      -> {problem.hint}")
        super().__init__("\n".join(lines), details=())
        self.problems = tuple(problems)


def problem_of(item: str, error: ProjError, *, hint: str | None = None) -> Problem:
    """The problem that an error tells; `hint` is said after its own."""
    both = " ".join(filter(None, (error.hint, hint))) or None
    return Problem(item=item, message=error.message, hint=both, details=error.details)


def _helps(clause: str) -> bool:
    return set(_OPTION.findall(clause)) <= _KNOWN and not clause.startswith("Packages are those of ")


def problem_of_environment(error: ProjError, *, locked: bool) -> Problem:
    """Why an environment cannot be made, with what to do: as the error says, without options of `proj run`.

    Args:
        error: Why.
        locked: Whether its packages are those of a recorded lock.
    """
    clauses = re.split(r"(?<=[.;]) ", error.hint or "")
    hint = " ".join(each for each in clauses if _helps(each)).removesuffix(";")
    item = "image" if isinstance(error, ImageError) else "packages" if locked else "environment"
    if not hint and item == "packages":
        hint = _FILES
    return Problem(item=item, message=error.message, hint=hint or None, details=error.details)
