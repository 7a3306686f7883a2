"""The project file: found, parsed, checked, described by a JSON Schema."""

from __future__ import annotations

from proj.projectfile.entrypoints import entry_point, scripts
from proj.projectfile.findings import ProjectInvalidError, render
from proj.projectfile.parse import find, load, parse

__all__ = ["ProjectInvalidError", "entry_point", "find", "load", "parse", "render", "schema", "scripts"]


def schema() -> dict[str, object]:
    """The JSON Schema (draft 2020-12) of the project file, made from the tables that drive the parser."""
    from proj.projectfile.schemas import build  # a run has no use for it

    return build()
