"""Slips in the command of an entry point: what YAML or the shell makes of it, and its placeholders."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from proj import process
from proj.command import CommandError, Place, placeholders, render, shell_variables
from proj.errors import ToolFailedError, ToolMissingError
from proj.model import BoundParameter, ParameterKind, Position
from proj.projectfile.findings import did_you_mean

if TYPE_CHECKING:
    from proj.command import Placeholder
    from proj.model import EntryPoint, Parameter, Project
    from proj.projectfile.findings import Findings
    from proj.yamltree import Scalar

_CONTINUES: Final = re.compile(r"(?:[\\|({]|&&|\b(?:then|do|else)|\bin)\s*$")
_OPTION: Final = re.compile(r"\s*--?[A-Za-z]")
_CODE_BEFORE: Final = re.compile(r'\s-[ce]\s+"(?:[^"\\]|\\.)*[(,=\[\s]$', re.DOTALL)
_SCRIPT: Final = re.compile(
    r"(?:^\s*|[;&|(]\s*|\b(?:then|do|else)\s+)(?:python[0-9.]*|bash|sh|Rscript)\s+"
    r"([\w./-]+\.(?:py|sh|R))(?=[\s;&|)]|$)",
    re.MULTILINE,
)
_SHELL_SAYS: Final = re.compile(r"line (\d+): (.*)")
_SHELL_TIMEOUT_S: Final = 20.0
_SAMPLES: Final = {
    ParameterKind.INTEGER: "1",
    ParameterKind.FLOAT: "1",
    ParameterKind.BOOLEAN: "true",
    ParameterKind.JSON: "{}",
}


def check_command(
    project: Project, point: EntryPoint, scalar: Scalar, findings: Findings, lines: list[str]
) -> None:
    """Check the command of an entry point.

    Args:
        project: The project.
        point: The entry point.
        scalar: Its command in the file.
        findings: Where slips go.
        lines: The lines of the file.
    """
    source = _Source(scalar, lines)
    _check_newlines(scalar, findings, source)
    _check_script(project, point, findings, source)
    try:
        found = placeholders(point.command)
        own = placeholders(point.command, {parameter.name for parameter in point.parameters})
        variables = shell_variables(point.command)
    except CommandError as error:
        findings.error("command", _first_line(error), scalar, error.hint)
        return
    for variable in variables:
        findings.note(
            "shell-variable",
            "mlflow takes `$" + f"{variable.text}` for a parameter; here the shell gets it",
            source.place("$" + variable.text),
            f"Write `${{{variable.text}}}` if the project is to run with mlflow too.",
        )
    mistyped = _check_names(point, found, own, findings, source)
    if not mistyped:
        _check_places(project, own, point, findings, source)
        _check_rendering(point, scalar, findings)
    _check_unused(point, {placeholder.name for placeholder in (*found, *own)} | mistyped, findings)


class _Source:
    """Finds where in the file a piece of a command stands, whatever YAML made of its lines."""

    __slots__ = ("_first", "_lines", "_start", "_used")

    def __init__(self, scalar: Scalar, lines: list[str]) -> None:
        self._first = scalar.line
        self._start = scalar.column
        self._lines = lines[scalar.line - 1 : scalar.end_line]
        self._used: dict[str, int] = {}

    def place(self, text: str) -> Position:
        """The place of the next occurrence of a text; the command's beginning when it cannot be found."""
        skip = self._used.get(text, 0)
        self._used[text] = skip + 1
        for index, line in enumerate(self._lines):
            column = line.find(text, self._start - 1 if index == 0 else 0)
            while column >= 0:
                if skip == 0:
                    return Position(line=self._first + index, column=column + 1)
                skip -= 1
                column = line.find(text, column + 1)
        return Position(line=self._first, column=self._start)

    def lines_ending(self, text: str) -> list[Position]:
        """The places of a text at the ends of lines."""
        return [
            Position(line=self._first + index, column=len(line.rstrip()) - len(text) + 1)
            for index, line in enumerate(self._lines)
            if line.rstrip().endswith(text)
        ]


def _first_line(error: CommandError) -> str:
    return error.message.partition("\n")[0]


def _check_newlines(scalar: Scalar, findings: Findings, source: _Source) -> None:
    if scalar.style != "|" and "\\ " in scalar.text:
        for where in source.lines_ending("\\"):
            findings.warning(
                "folded-backslash",
                "YAML joins the lines here: the backslash makes the next argument begin with a blank",
                where,
                "Remove the backslash, or write the command below `command: |`.",
            )
    if "<<" in scalar.text:  # lines of a here-document are data
        return
    parts = scalar.text.split("\n")
    for before, line in pairwise(parts):
        if not line.strip() or not before.strip() or _CONTINUES.search(before):
            continue
        deeper = scalar.style == ">" and line[:1].isspace()
        if _OPTION.match(line) or deeper:
            word = line.split()[0]
            fix = (
                "Indent all lines of the command alike."
                if deeper
                else "End the line before it with a backslash."
            )
            findings.warning(
                "kept-newline",
                f"the line break before it stays: the shell runs `{word}` as a command of its own",
                source.place(line.strip()),
                fix,
            )


def _check_script(project: Project, point: EntryPoint, findings: Findings, source: _Source) -> None:
    docker = project.environment is not None and project.environment.docker is not None
    if docker or re.search(r"\bcd\b|<<", point.command):  # another folder; text that is no command
        return
    for match in _SCRIPT.finditer(point.command.replace("\\\n", " ")):
        script = match[1]
        if not script.startswith("/") and not (project.directory / script).exists():
            findings.warning(
                "missing-script",
                f"the command of `{point.name}` runs {script}, which is not in the project",
                source.place(script),
                "Check the path; it starts at the project's folder.",
            )


def _check_names(
    point: EntryPoint,
    found: tuple[Placeholder, ...],
    own: tuple[Placeholder, ...],
    findings: Findings,
    source: _Source,
) -> set[str]:
    """Point out placeholders that stand for nothing; returns them, and what they were likely to mean."""
    declared = [parameter.name for parameter in point.parameters]
    known = {placeholder.text for placeholder in own}
    mistyped: set[str] = set()
    for placeholder in found:
        if placeholder.name in declared or placeholder.text in known:
            continue
        similar = did_you_mean(placeholder.name, declared)
        mistyped |= {placeholder.name, similar or placeholder.name}
        fix = f"Declare the parameter, or write `{{{placeholder.text}}}` for literal braces."
        if similar is not None:
            fix = f"Write `{{{similar}}}`."
        code = "undeclared-placeholder"
        message = f"`{placeholder.text}` stands for no parameter of entry point `{point.name}`"
        if similar is not None and similar.casefold() == placeholder.name.casefold():
            code = "placeholder-case"
            message += "; upper and lower case count"
        findings.error(code, message, source.place(placeholder.text), fix)
    return mistyped


def _check_places(
    project: Project,
    own: tuple[Placeholder, ...],
    point: EntryPoint,
    findings: Findings,
    source: _Source,
) -> None:
    starts = [0]
    for line in point.command.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    for placeholder in own:
        offset = starts[placeholder.line - 1] + placeholder.column - 1
        where = source.place(placeholder.text)
        if placeholder.nested_shell:
            findings.warning(
                "nested-shell",
                f"the value of `{placeholder.text}` is read by a second shell, in which it is not quoted",
                where,
                f"Pass it as an argument: bash -c 'echo \"$1\"' _ {placeholder.text}",
            )
            continue
        after = point.command[offset + len(placeholder.text) :][:1]
        in_code = placeholder.place is Place.DOUBLE and after in {")", ",", "]", " ", '"'}
        if (
            in_code
            and project.extensions.quoting is None
            and _CODE_BEFORE.search(" " + point.command[:offset]) is not None
        ):
            findings.warning(
                "literal-quotes",
                f"mlflow puts quotes around some values of `{placeholder.text}` here, proj none",
                where,
                f"Write `'{placeholder.text}'` for a text in the program; "
                "for mlflow's quotes add `proj: {quoting: mlflow}` to the file.",
            )


def _check_rendering(point: EntryPoint, scalar: Scalar, findings: Findings) -> None:
    try:
        line = render(point.command, [_sample(parameter) for parameter in point.parameters])
    except CommandError as error:
        findings.error("command", _first_line(error), scalar, error.hint)
    else:
        _check_shell(line, point, scalar, findings)


def _check_shell(line: str, point: EntryPoint, scalar: Scalar, findings: Findings) -> None:
    """Let bash read the line, without running it; where there is no bash, nothing is said."""
    options = ["-O", "extglob"] if "extglob" in line else []  # it is the line itself that would set it
    try:
        done = process.run(
            ["bash", *options, "-n", "-c", line],
            env={"LC_ALL": "C", "BASH_ENV": None},
            check=False,
            timeout_s=_SHELL_TIMEOUT_S,
        )
    except (ToolMissingError, ToolFailedError):
        return
    said = _SHELL_SAYS.search(done.stderr)
    if done.returncode == 0 or said is None:
        return
    where = point.position or scalar.position
    if scalar.style == "|":
        last = len(point.command.rstrip().split("\n"))  # bash counts a line more where the end is missing
        where = Position(line=where.line + min(int(said[1]), last) - 1, column=where.column)
    findings.error(
        "command",
        f"the command of `{point.name}` is no valid shell: {said[2]}",
        where,
        "Close what is open, or put a backslash before what is meant literally.",
    )


def _sample(parameter: Parameter) -> BoundParameter:
    value = parameter.default if parameter.default is not None else _SAMPLES.get(parameter.kind, "x")
    return BoundParameter(name=parameter.name, given=value, value=value, kind=parameter.kind)


def _check_unused(point: EntryPoint, used: set[str], findings: Findings) -> None:
    for parameter in point.parameters:
        if parameter.name not in used and parameter.position is not None:
            findings.warning(
                "unused-parameter",
                f"the command of `{point.name}` never uses the parameter `{parameter.name}`",
                parameter.position,
                f"Write `{{{parameter.name}}}` where its value belongs, or remove it.",
            )
