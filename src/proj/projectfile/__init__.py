"""The project file: found, parsed, checked, described by a JSON Schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.projectfile.entrypoints import entry_point, scripts
from proj.projectfile.files import find
from proj.projectfile.findings import ProjectInvalidError, render
from proj.projectfile.remembered import load

if TYPE_CHECKING:
    from pathlib import Path

    from proj.model import Project

__all__ = ["ProjectInvalidError", "entry_point", "find", "load", "parse", "render", "schema", "scripts"]


def parse(data: bytes, *, file: Path, strict: bool = False) -> Project:
    """Parse the bytes of a project file.

    Args:
        data: The file's content.
        file: Where it lies; its folder is the project's.
        strict: Treat unknown keys as errors.

    Raises:
        ProjectInvalidError: The project file cannot be used; the message names each error and its place.
    """
    from proj.projectfile.parser import parse as read  # a file that was read before does without

    return read(data, file=file, strict=strict)


def schema() -> dict[str, object]:
    """The JSON Schema (draft 2020-12) of the project file, made from the tables that drive the parser."""
    from proj.projectfile.schemas import build  # a run has no use for it

    return build()
