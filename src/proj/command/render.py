"""Put values into a command, each escaped for the place it stands in."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Literal

import msgspec

from proj.command import lexer
from proj.command.escapes import escape, shlex_quote
from proj.command.problem import Problem, line_and_column, locate
from proj.command.template import Hole, Place, Text, parse
from proj.model import BoundParameter, ParameterKind
from proj.values import FALSE, TRUE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from proj.command.layout import HereDocument, Layout

Quoting = Literal["safe", "mlflow"]

_TEXT_IN_ANY_SHELL = r"[\w@%+=:,./-]*"
_NO_VALUE = frozenset({"none", "null", ""})
LITERAL_QUOTES = frozenset({Place.DOUBLE, Place.HERE, Place.HERE_LITERAL, Place.EXPANSION_WORD_DOUBLE})
"""Places in which the single quotes that MLflow puts around a value reach the program."""


class Placeholder(msgspec.Struct, frozen=True, kw_only=True):
    """A placeholder of a command, for those who check project files."""

    name: str
    text: str
    """As it stands in the template: `{name:flag}`."""
    format: str | None
    """`flag`, another format specification, or None."""
    line: int
    column: int
    place: Place
    nested_shell: bool
    """Whether the command hands its argument to another shell (`bash -c`, `eval`, `ssh`), which parses it
    again: the value is safe in the first shell only."""


def shell_argv(line: str) -> tuple[str, ...]:
    """How a rendered line is started: by bash, or by sh where there is no bash on PATH."""
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        if os.access(os.path.join(folder, "bash"), os.X_OK):  # noqa: PTH118  hot path: no Path per folder
            return ("bash", "-c", line)
    return ("sh", "-c", line)


_EITHER_SHELL = 'command -v bash >/dev/null 2>&1 && exec bash -c "$0"; exec sh -c "$0"'


def container_argv(line: str) -> tuple[str, ...]:
    """How a rendered line is started in a container: by bash, or by sh where the image has no bash."""
    return ("sh", "-c", _EITHER_SHELL, line)


def placeholders(template: str, names: Collection[str] | None = None) -> tuple[Placeholder, ...]:
    """List the placeholders of a command in the order in which they stand.

    Args:
        template: The command as the project file has it.
        names: The declared parameters. With None, whatever looks like a placeholder counts as one; names
            that are no identifiers (`{max depth}`) are recognised only when they are given.

    Raises:
        CommandError: The command cannot be read.
    """
    return tuple(
        _describe(hole, template) for hole in _holes(template, names) if not hole.kept and _stands(hole)
    )


def shell_variables(template: str) -> tuple[Placeholder, ...]:
    """List the `${name}` that are left to the shell, in the order in which they stand.

    Raises:
        CommandError: The command cannot be read.
    """
    return tuple(_describe(hole, template) for hole in _holes(template, None) if hole.kept)


def render(
    template: str, bound: Sequence[BoundParameter], *, quoting: Quoting = "safe", where: str = "command"
) -> str:
    """Put the values into the command.

    Args:
        template: The command as the project file has it.
        bound: The parameters; undeclared ones are appended as `--name value`.
        quoting: "mlflow" puts the single quotes that MLflow leaves inside double quotes there too.
        where: What the message of an error begins with, such as `MLproject:12`.

    Returns:
        A line for `shell_argv`.

    Raises:
        CommandError: A placeholder is unknown, or its value cannot stand in its place.
    """
    values = {parameter.name: parameter for parameter in bound if parameter.declared}
    extra = [parameter for parameter in bound if not parameter.declared]
    try:
        text = parse(template, values.keys())
        layout = lexer.scan(text)
        check_closed(layout, text)
        rendered = {
            id(hole): _render_hole(hole, values, quoting) for hole in text.units if isinstance(hole, Hole)
        }
        _check_here_documents(layout, rendered)
        pieces = [unit if isinstance(unit, str) else rendered[id(unit)] for unit in text.units]
        return _append(pieces, text, layout, extra) if extra else "".join(pieces)
    except Problem as problem:
        raise locate(problem, template, where) from problem


def nested_warnings(template: str, bound: Sequence[BoundParameter]) -> tuple[str, ...]:
    """Say which values another shell than ours will read as code (`bash -c`, `eval`, `… | sh`).

    Args:
        template: The command as the project file has it.
        bound: The parameters.

    Returns:
        A sentence for each placeholder whose value that shell would take for more than text; none for plain
        values.

    Raises:
        CommandError: The command cannot be read.
    """
    special = {
        each.name for each in bound if each.declared and not re.fullmatch(_TEXT_IN_ANY_SHELL, each.value)
    }
    if not special:
        return ()
    warnings = []
    for hole in _holes(template, {each.name for each in bound if each.declared}):
        if hole.nested_shell and hole.name in special and not hole.kept and hole.spec != "flag":
            line, column = line_and_column(template, hole.offset)
            warnings.append(
                f"The value of {hole.text} (line {line}, column {column} of the command) becomes code of "
                "another shell, which will run or expand what it finds in it. "
                f"Pass it as an argument, such as: bash -c 'echo \"$1\"' _ {hole.text}"
            )
    return tuple(warnings)


def _holes(template: str, names: Collection[str] | None) -> list[Hole]:
    try:
        text = parse(template, names)
        lexer.scan(text)
    except Problem as problem:
        raise locate(problem, template, "command") from problem
    return [unit for unit in text.units if isinstance(unit, Hole)]


def _stands(hole: Hole) -> bool:
    """Whether a hole is a placeholder: `'${name}'` and comments may hold any unknown name."""
    return hole.known and not (hole.after_dollar and not hole.kept and hole.place is Place.COMMENT)


def _describe(hole: Hole, template: str) -> Placeholder:
    line, column = line_and_column(template, hole.offset)
    return Placeholder(
        name=hole.name,
        text=hole.text,
        format=hole.spec or None,
        line=line,
        column=column,
        place=hole.place,
        nested_shell=hole.nested_shell,
    )


def _render_hole(hole: Hole, values: Mapping[str, BoundParameter], quoting: Quoting) -> str:
    if hole.kept or (not hole.known and (hole.after_dollar or hole.place is Place.COMMENT)):
        return hole.text
    parameter = values.get(hole.name)
    if parameter is None:
        raise _unknown(hole, values)
    if "\0" in parameter.value:
        raise Problem(
            f"the value of {hole.name!r} holds a NUL character, which no program can receive",
            hole.offset,
            "Give a value without it.",
        )
    if hole.no_control and ("\x01" in parameter.value or "\x7f" in parameter.value):
        raise Problem(
            f"bash loses the control characters in the value of {hole.name!r} in this place",
            hole.offset,
            "Give a value without them, or write the placeholder as a plain argument.",
        )
    if hole.spec == "flag":
        value = _flag(hole, parameter)
        if not value:
            return ""
    else:
        value = _formatted(hole, parameter.value)
    if quoting == "mlflow" and hole.place in LITERAL_QUOTES and not hole.conversion:
        value = shlex_quote(value)
    return escape(hole, value)


def _unknown(hole: Hole, values: Mapping[str, BoundParameter]) -> Problem:
    import difflib  # only an error needs it

    close = difflib.get_close_matches(hole.name, values, n=1) or [
        name for name in values if name.casefold() == hole.name.casefold()
    ]
    guess = f"Did you mean {{{close[0]}}}? Else declare" if close else "Declare"
    return Problem(
        f"no parameter {hole.name!r} is declared for the placeholder {hole.text}",
        hole.offset,
        f"{guess} it under `parameters:`, or write {{{hole.text}}} for literal braces.",
    )


def _flag(hole: Hole, parameter: BoundParameter) -> str:
    if parameter.kind is not ParameterKind.BOOLEAN:
        raise Problem(
            f"{hole.text} makes a switch of {hole.name!r}, which is declared as {parameter.kind.value}",
            hole.offset,
            f"Declare it as {{type: bool, default: false}}, or write {{{hole.name}}} for its value.",
        )
    text = parameter.value.strip().lower()
    if text in TRUE:
        return f"--{parameter.name}"
    if text in FALSE | _NO_VALUE:
        return ""
    raise Problem(
        f"the switch {hole.text} is neither true nor false: {parameter.value!r}",
        hole.offset,
        f"Give true or false: -P {hole.name}=true.",
    )


def _formatted(hole: Hole, value: str) -> str:
    """Apply a conversion and a format as MLflow's `str.format` does; both are rare."""
    if hole.conversion in ("r", "a"):
        if hole.place in LITERAL_QUOTES:
            value = repr(value) if hole.conversion == "r" else ascii(value)
    elif hole.conversion not in ("", "s"):
        raise Problem(f"unknown conversion in {hole.text}", hole.offset, f"Write {{{hole.name}}}.")
    if not hole.spec:
        return value
    try:
        return format(value, hole.spec)
    except ValueError as error:
        raise Problem(
            f"the format in {hole.text} does not fit: values are text ({error})",
            hole.offset,
            f"Write {{{hole.name}}}, or {{{hole.text}}} for literal braces.",
        ) from error


# --- what depends on more than one place --------------------------------------------------------------


def check_closed(layout: Layout, text: Text) -> None:
    """Refuse a template in which a placeholder stands behind quotes or brackets that nothing closes."""
    opened = layout.unterminated
    if opened is None:
        return
    for hole in text.units:
        if isinstance(hole, Hole) and hole.offset > opened and not hole.kept:
            raise Problem(
                f"the quotes or brackets before the placeholder {hole.text} are never closed",
                opened,
                "Close them; a literal quote needs a backslash before it.",
            )


def _check_here_documents(layout: Layout, rendered: Mapping[int, str]) -> None:
    for document in layout.here_documents:
        holes = [unit for unit in document.body if isinstance(unit, Hole)]
        if not holes:
            continue
        for hole in holes:
            _check_here_value(hole, rendered[id(hole)], document)
        body = "".join(unit if isinstance(unit, str) else rendered[id(unit)] for unit in document.body)
        for line in body.split("\n"):
            if document.may_end_with(line):
                raise Problem(
                    f"a value makes a line {document.delimiter!r}, which would end the here-document",
                    holes[0].offset,
                    f"Give another value, or use another word than {document.delimiter}.",
                )


def _check_here_value(hole: Hole, text: str, document: HereDocument) -> None:
    if hole.single_line and "\n" in text:
        raise Problem(
            f"the value of {hole.name!r} has several lines, inside a command in a here-document",
            hole.offset,
            f"Put it into a variable first, `value={{{hole.name}}}`, and write $value here.",
        )
    if document.strip_tabs and (text.startswith("\t") or "\n\t" in text):
        raise Problem(
            f"the value of {hole.name!r} has a tab at the beginning of a line, which <<- removes",
            hole.offset,
            "Write << instead of <<-.",
        )


def _append(pieces: list[str], text: Text, layout: Layout, extra: list[BoundParameter]) -> str:
    """Put undeclared parameters behind the last command's last word."""
    names = ", ".join(parameter.name for parameter in extra)
    problem = no_place_to_append(layout, text)
    if problem is not None:
        raise Problem(
            f"cannot append undeclared parameters ({names}): {problem[0]}",
            problem[1],
            f"Declare {names} under `parameters:` and write {{{extra[0].name}}} where it belongs.",
        )
    words = []
    for parameter in extra:
        if "\0" in parameter.name + parameter.value:
            raise Problem(f"{parameter.name!r} holds a NUL character", 0, "Give a value without it.")
        words += [shlex_quote(f"--{parameter.name}"), shlex_quote(parameter.value)]
    rest = "".join(pieces[layout.code_end :])
    if rest.strip(" \t\r\n") == "\\":
        rest = ""  # a dangling line continuation
    return "".join(pieces[: layout.code_end]) + " " + " ".join(words) + rest


def no_place_to_append(layout: Layout, text: Text) -> tuple[str, int] | None:
    """Why, and where in the template, undeclared parameters have no place; None: they have one."""
    if layout.unterminated is not None:
        return "the quotes or brackets that open here are never closed", layout.unterminated
    if layout.tail != "word":
        end = text.offsets[layout.code_end - 1] if layout.code_end else 0
        return "the command does not end with a program's arguments", end
    return None
