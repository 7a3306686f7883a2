"""What can be known of a project file without running it: slips that parse, each with its line and fix.

It stands above the stages because it asks several of them: what the file says, and how the command reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from proj.lint.commands import check_command
from proj.lint.environments import check_environment
from proj.lint.parameters import check_parameters
from proj.model import Position, Project, Severity
from proj.projectfile import load
from proj.projectfile.findings import MISSING_COMMAND, Findings, ProjectInvalidError
from proj.yamltree import Mapping, Scalar, YamlError, decode, entries, is_null, parse, split_lines

if TYPE_CHECKING:
    from pathlib import Path

    from proj.model import Diagnostic
    from proj.yamltree import Entry, Node

__all__ = ["inspect", "lint", "problems_only"]

_FATAL: Final = frozenset({"unknown-key", MISSING_COMMAND})
"""Findings that a run forgives, as MLflow does, and a check does not."""


def inspect(directory: Path) -> tuple[Path | None, tuple[Diagnostic, ...]]:
    """Load the project in a folder and look closely at it, however much of it is wrong.

    Returns:
        The project file (or what claims to be it), None for a folder without one; and all that is found.

    Raises:
        SourceError: The folder cannot be read.
    """
    from pathlib import Path

    try:
        project = load(directory)
    except ProjectInvalidError as error:
        if error.project is None:
            return Path(error.file), tuple(map(_sterner, (*error.diagnostics, *error.others)))
        project = error.project
    return project.file, lint(project)


def lint(project: Project) -> tuple[Diagnostic, ...]:
    """Look closely at a project file.

    Args:
        project: A project as `projectfile.load` returns it.

    Returns:
        What `load` found and what only a closer look finds, in the order of the file, then what is found in
        the environment's files; unknown keys and entry points without a command are errors here. Nothing for
        a folder without a project file.
    """
    if project.file is None:
        return project.diagnostics
    known = tuple(_sterner(diagnostic) for diagnostic in project.diagnostics)
    try:
        text = decode(project.file.read_bytes())
        root = parse(text)
        findings = Findings(str(project.file), split_lines(text))
        if isinstance(root, Mapping):
            _check(project, entries(root), findings, split_lines(text))
    except (OSError, YamlError):  # the file has changed since it was loaded
        return known
    own = [each for each in findings.found if each.file == str(project.file)]
    others = [each for each in findings.found if each.file != str(project.file)]
    return (*sorted((*known, *own), key=_place), *others)


def _sterner(diagnostic: Diagnostic) -> Diagnostic:
    if diagnostic.code in _FATAL:
        return msgspec.structs.replace(diagnostic, severity=Severity.ERROR)
    return diagnostic


def _place(diagnostic: Diagnostic) -> tuple[int, int]:
    position = diagnostic.position or Position(line=1, column=1)
    return position.line, position.column


def _check(project: Project, top: dict[str, Entry], findings: Findings, lines: list[str]) -> None:
    check_environment(project, top, findings)
    declared = top.get("entry_points")
    if declared is None or is_null(declared.value):
        start = declared.key if declared is not None else Position(line=1, column=1)
        findings.note(
            "no-entry-points", "the project declares no entry points; only its scripts can be run", start
        )
        return
    nodes = _children(declared.value)
    for point in project.entry_points:
        fields = _fields(nodes.get(point.name))
        check_parameters(point, fields, findings)
        command = fields.get("command")
        if command is not None and isinstance(command.value, Scalar) and point.position is not None:
            check_command(project, point, command.value, findings, lines)


def _children(node: Node) -> dict[str, Entry]:
    """Entry points by the name as it is written."""
    if not isinstance(node, Mapping):
        return {}
    return {entry.key.text: entry for entry in entries(node).values() if isinstance(entry.key, Scalar)}


def _fields(entry: Entry | None) -> dict[str, Entry]:
    return entries(entry.value) if entry is not None and isinstance(entry.value, Mapping) else {}


def problems_only(diagnostics: tuple[Diagnostic, ...], *, strict: bool) -> tuple[Diagnostic, ...]:
    """The findings for which a check fails: errors, and with `strict` warnings too."""
    fatal = {Severity.ERROR, Severity.WARNING} if strict else {Severity.ERROR}
    return tuple(diagnostic for diagnostic in diagnostics if diagnostic.severity in fatal)
