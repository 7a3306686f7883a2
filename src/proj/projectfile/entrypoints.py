"""Chooses what to run: a declared entry point, or a script of the project."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from proj.errors import UsageError
from proj.model import Diagnostic, EntryPoint, Project, Severity
from proj.projectfile.findings import MISSING_COMMAND, ProjectInvalidError, did_you_mean, missing_command

if TYPE_CHECKING:
    from pathlib import Path

_LISTED: Final = 20


def entry_point(project: Project, name: str | None) -> tuple[EntryPoint, str | None]:
    """The entry point to run.

    Args:
        project: The project.
        name: A declared entry point, or a script's path relative to the project; None: `main`, or the
            only one that is declared.

    Returns:
        The entry point, and a note for the user when the choice may surprise.

    Raises:
        UsageError: There is no such entry point, or none was named and there are several.
        ProjectInvalidError: The entry point has no command.
    """
    declared = {point.name: point for point in project.entry_points}
    wanted = name
    note: str | None = None
    if wanted is None and "main" not in declared and len(declared) == 1:
        (wanted,) = declared
        note = f"The project has no entry point `main`; running its only one, `{wanted}`."
    point = declared.get(wanted or "main")
    if point is not None:
        _refuse_without_command(project, point)
        return point, note
    if wanted is None:
        raise UsageError(
            f"The project {project.display_name} has no entry point `main`.", hint=_offer(project, None)
        )
    return _script(project, wanted), None


def interpreter(script: str) -> tuple[str, ...] | None:
    """The program that runs a script, by its extension; None for a file that is no script.

    `.py` runs by `python`, `.sh` by `$SHELL` (else `bash`), `.R` by `Rscript`, as in MLflow.
    """
    extension = os.path.splitext(script)[1]  # noqa: PTH122  no Path is needed for a suffix
    if extension == ".py":
        return ("python",)
    if extension == ".sh":
        return (os.environ.get("SHELL") or "bash",)
    return ("Rscript",) if extension == ".R" else None


def scripts(directory: Path) -> tuple[str, ...]:
    """The scripts that lie in a project's folder itself, in alphabetical order."""
    try:
        names = sorted(os.listdir(directory))  # noqa: PTH208  names are wanted, not paths
    except OSError:
        return ()
    return tuple(name for name in names if interpreter(name) is not None and not name.startswith("."))


def _refuse_without_command(project: Project, point: EntryPoint) -> None:
    message = missing_command(point.name)
    for found in project.diagnostics:
        if found.code == MISSING_COMMAND and found.message == message:
            fatal = Diagnostic(
                severity=Severity.ERROR,
                code=found.code,
                message=found.message,
                file=found.file,
                position=found.position,
                source_line=found.source_line,
                fix=found.fix,
            )
            raise ProjectInvalidError(str(project.file), (fatal,))


def _script(project: Project, name: str) -> EntryPoint:
    program = interpreter(name)
    if program is None:
        message = f"The project {project.display_name} has no entry point `{name}`, and it is no script."
        raise UsageError(message, hint=_offer(project, name))
    relative = _inside(project.directory, name)
    if relative is None:
        raise UsageError(
            f"The script {name} lies outside of the project's folder {project.directory}.",
            hint="Name a script by its path relative to the project.",
        )
    if "\0" in name or not os.path.isfile(os.path.join(project.directory, relative)):  # noqa: PTH113, PTH118  NUL is no ValueError here
        message = f"The project {project.display_name} has no entry point and no script `{name}`."
        raise UsageError(message, hint=_offer(project, name))
    shown = (
        f"./{relative}" if relative.startswith("-") else relative
    )  # else the program takes it for an option
    import shlex

    # The command is a template, in which braces are doubled
    line = shlex.join([*program, shown]).replace("{", "{{").replace("}", "}}")
    return EntryPoint(name=name, command=line, script=relative)


def _inside(directory: Path, name: str) -> str | None:
    """The path relative to `directory`, with `/`; None when it leads out of it."""
    base = os.path.abspath(directory)  # noqa: PTH100  links are kept as they are
    path = os.path.abspath(os.path.join(base, name))  # noqa: PTH100, PTH118  same
    if not path.startswith(os.path.join(base, "")):  # noqa: PTH118  same
        return None
    return os.path.relpath(path, base).replace(os.sep, "/")


def _offer(project: Project, wanted: str | None) -> str:
    """What could be run instead."""
    declared = [point.name for point in project.entry_points]
    files = list(scripts(project.directory))
    similar = did_you_mean(wanted, [*declared, *files]) if wanted else None
    parts = [f"Did you mean `{similar}`?"] if similar else []
    if declared:
        parts.append(f"Entry points: {_listed(declared)}.")
    if files:
        parts.append(f"Scripts: {_listed(files)}.")
    if not declared and not files:
        parts.append("The folder has no MLproject file and no .py, .sh or .R script; is it the right one?")
    else:
        parts.append("Choose one with -e NAME.")
    return " ".join(parts)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
