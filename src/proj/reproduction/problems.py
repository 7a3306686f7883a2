"""What stands in the way of making a run again; all of it is said at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from proj.errors import ProjError

if TYPE_CHECKING:
    from collections.abc import Sequence


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
