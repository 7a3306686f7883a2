"""The project file: found, parsed, checked, described by a JSON Schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.projectfile.entrypoints import entry_point, scripts
from proj.projectfile.findings import ProjectInvalidError, render
from proj.projectfile.parse import find, load, parse

if TYPE_CHECKING:
    from proj.model import Diagnostic, Project

__all__ = [
    "ProjectInvalidError",
    "entry_point",
    "find",
    "lint",
    "load",
    "parse",
    "render",
    "schema",
    "scripts",
]


def lint(project: Project) -> tuple[Diagnostic, ...]:
    """All that can be known of a project file without running it, slips included.

    Args:
        project: A project as `load` returns it.

    Returns:
        What `load` found and what only a closer look finds, in the order of the file. Unknown keys and entry
        points without a command are errors here.
    """
    from proj.projectfile.checks import check  # a run has no use for it

    return check(project)


def schema() -> dict[str, object]:
    """The JSON Schema (draft 2020-12) of the project file, made from the tables that drive the parser."""
    from proj.projectfile.schemas import build  # a run has no use for it

    return build()
