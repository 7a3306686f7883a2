"""The program that runs a project's entry points inside an image: a shell script, made of the project file.

It takes parameters as arguments and variables and renders the command as `proj` does: byte for byte the
same line. It needs a POSIX shell and nothing else.
"""

from __future__ import annotations

import re
from importlib import resources
from typing import TYPE_CHECKING, Final

from proj import events
from proj.command import CommandError, Place
from proj.command.compiled import End, Here, Slot, compile_template
from proj.images.tarfiles import Entry
from proj.images.values import LAUNCHER
from proj.model import ParameterKind

if TYPE_CHECKING:
    from proj.command.compiled import Compiled, Piece
    from proj.images.values import LauncherSpec
    from proj.model import EntryPoint, Parameter

_PLACES: Final = {
    Place.UNQUOTED: "unquoted",
    Place.SINGLE: "single",
    Place.DOUBLE: "double",
    Place.ANSI: "ansi",
    Place.COMMENT: "comment",
    Place.HERE: "here",
    Place.HERE_LITERAL: "here_literal",
    Place.ARITHMETIC: "arithmetic",
    Place.EXPANSION: "expansion",
    Place.NESTED: "nested",
    Place.EXPANSION_WORD: "unquoted",
    Place.EXPANSION_WORD_DOUBLE: "word_double",
}
_FLAGS: Final = (
    *("quoted", "after_backslash", "quote_always", "in_command_position"),
    *("no_subscript", "no_control", "single_line", "no_leading_tab"),
)
VARIABLE: Final = "PROJ_PARAM_"
"""What the variables of parameters begin with."""


def launcher_entry(spec: LauncherSpec) -> Entry:
    """The program as a file of a layer.

    Raises:
        CommandError: The command of the default entry point can be rendered by `proj` only.
    """
    return Entry(path=LAUNCHER[1:], mode=0o755, content=launcher(spec).encode("utf-8", "surrogateescape"))


def launcher(spec: LauncherSpec) -> str:
    """The program's text.

    Raises:
        CommandError: See `launcher_entry`.
    """
    compiled: list[tuple[EntryPoint, Compiled]] = []
    for entry_point in spec.entry_points:
        kinds = {parameter.name: parameter.kind for parameter in entry_point.parameters}
        try:
            found = compile_template(
                entry_point.command, kinds, quoting=spec.quoting, where=f"entry point {entry_point.name}"
            )
        except CommandError as error:
            if entry_point.name == spec.default:
                raise
            events.warning(f"The image cannot run the entry point {entry_point.name}: {error.message}")
            continue
        compiled.append((entry_point, found))
    runtime = resources.files("proj.images").joinpath("launcher.sh").read_text("utf-8")
    lines = ["#!/bin/sh", "# Runs the entry points of the project in this image; see --help.", runtime]
    for number, (entry_point, found) in enumerate(compiled, 1):
        lines += _functions(number, entry_point, found)
    lines += _find_entry([entry_point.name for entry_point, _ in compiled])
    lines += _help(spec.default, [entry_point for entry_point, _ in compiled])
    lines += [f"__default_entry={_quoted(spec.default)}", 'start "$@"', ""]
    return "\n".join(lines)


def _functions(number: int, entry_point: EntryPoint, compiled: Compiled) -> list[str]:
    numbers = {parameter.name: index for index, parameter in enumerate(entry_point.parameters, 1)}
    return [
        *_give(number, numbers, compiled),
        *_fill(number, entry_point, numbers),
        *_render(number, compiled, numbers),
    ]


def _give(number: int, numbers: dict[str, int], compiled: Compiled) -> list[str]:
    lines = [f"give_{number}() {{", "  case $__given_name in"]
    for name, index in numbers.items():
        taken = f"__v{index}=$__given_value __g{index}=1"
        lines.append(f'    {_quoted(name)}) [ -z "${{__g{index}-}}" ] || repeated; {taken} ;;')
    if compiled.takes_undeclared:
        lines.append("    *) undeclared ;;")
    else:
        lines.append(
            "    *) die \"the parameter '$__given_name' is not declared, and the command does not end with a "
            "program's arguments.\" ;;"
        )
    return [*lines, "  esac", "}"]


def _fill(number: int, entry_point: EntryPoint, numbers: dict[str, int]) -> list[str]:
    """From the variables and defaults, and whether all is as declared."""
    lines = [f"fill_{number}() {{", "  :"]
    for parameter in entry_point.parameters:
        index = numbers[parameter.name]
        variable = VARIABLE + re.sub(r"[^A-Za-z0-9_]", "_", parameter.name)
        lines.append(f'  if [ -z "${{__g{index}-}}" ] && [ -n "${{{variable}+x}}" ]; then')
        lines += [f"    __v{index}=${variable} __g{index}=1", "  fi"]
        name = _quoted(parameter.name)
        missing = f'__missing="$__missing "{_quoted(repr(parameter.name))}'
        default = f"__v{index}={_quoted(parameter.default)}" if parameter.default is not None else missing
        lines.append(f'  if [ -z "${{__g{index}-}}" ]; then')
        lines.append(f"    {default}")
        checks = _checks(parameter, name, f'"$__v{index}"')
        if checks:
            unchanged = _quoted(parameter.default) if parameter.default is not None else None
            condition = f'elif [ "$__v{index}" != {unchanged} ]; then' if unchanged is not None else "else"
            lines += [f"  {condition}", *(f"    {check}" for check in checks)]
        lines.append("  fi")
        resolve = {ParameterKind.PATH: "local_path", ParameterKind.URI: "uri"}.get(parameter.kind)
        if resolve is not None:
            lines.append(
                f'  if [ -n "${{__v{index}-}}" ]; then {resolve} {name} "$__v{index}"; __v{index}=$__r; fi'
            )
    return [*lines, "}"]


def _checks(parameter: Parameter, name: str, value: str) -> list[str]:
    if parameter.choices:
        listed = " | ".join(_quoted(choice) for choice in parameter.choices)
        said = _quoted(f"must be one of {', '.join(parameter.choices)}")
        return [f"case {value} in {listed}) ;; *) wrong {name} {said} ;; esac"]
    check = {
        ParameterKind.INTEGER: "check_whole",
        ParameterKind.FLOAT: "check_number",
        ParameterKind.BOOLEAN: "check_truth",
    }.get(parameter.kind)
    checks = [f"{check} {name} {value}"] if check is not None else []
    numeric = parameter.kind in (ParameterKind.INTEGER, ParameterKind.FLOAT)
    if numeric and (parameter.minimum is not None or parameter.maximum is not None):
        least = "''" if parameter.minimum is None else f"{parameter.minimum:g}"
        most = "''" if parameter.maximum is None else f"{parameter.maximum:g}"
        checks.append(f"check_range {name} {value} {least} {most}")
    return checks


def _render(number: int, compiled: Compiled, numbers: dict[str, int]) -> list[str]:
    lines = [f"render_{number}() {{", "  __line="]
    opened: list[int] = []
    for index, piece in enumerate(compiled.pieces):
        after_end = index > 0 and isinstance(compiled.pieces[index - 1], End)
        if isinstance(piece, Here) and piece.edge == "begin":
            opened.append(index)
            lines.append(f"  __h{index}=$__line __line=")
        elif isinstance(piece, Here):
            begun = opened.pop()
            strip, nested = ("yes" if each else "no" for each in (piece.strip_tabs, piece.nested))
            lines.append(f'  here "$__line" {_quoted(piece.delimiter)} {strip} {nested}')
            lines.append(f"  __line=$__h{begun}$__line")
        else:
            lines += _piece(piece, numbers, compiled.pieces[index - 1] if after_end else None)
    return [*lines, "}"]


def _piece(piece: Piece, numbers: dict[str, int], end: Piece | None) -> list[str]:
    if isinstance(piece, End):
        return ["  __line=$__line$__extra"]
    if isinstance(piece, str):
        add = f"__line=$__line{_quoted(piece)}"
        dangling = isinstance(end, End) and end.dangling
        return [f'  [ -n "$__extra" ] || {add}' if dangling else f"  {add}"]
    assert isinstance(piece, Slot)  # noqa: S101  the two edges of here-documents are the caller's
    flags = [flag for flag in _FLAGS if getattr(piece, flag)]
    if piece.inner is Place.ARITHMETIC:
        flags.append("inner_arithmetic")
    if piece.inner is Place.UNQUOTED:
        flags.append("inner_unquoted")
    verb = "switch" if piece.flag else "put"
    value = f'"$__v{numbers[piece.name]}"'
    where = f"{_PLACES[piece.place]} {piece.backticks} {_quoted(' '.join(flags))}"
    return [f"  {verb} {_quoted(piece.name)} {value} {where}"]


def _find_entry(names: list[str]) -> list[str]:
    listed = ", ".join(names)
    return [
        "find_entry() {",
        "  case $__wanted in",
        *(f"    {_quoted(name)}) __entry={number} ;;" for number, name in enumerate(names, 1)),
        f"    *) die \"there is no entry point '$__wanted'. Known: \"{_quoted(listed)} ;;",
        "  esac",
        "}",
    ]


def _help(default: str, entry_points: list[EntryPoint]) -> list[str]:
    text = [
        "Usage: docker run IMAGE [-e ENTRY_POINT] [--dry-run] [[-P] NAME=VALUE]...",
        "",
        f"Runs an entry point of the project in this image; {default} if none is named.",
        "--dry-run prints the command instead.",
        f"A parameter may also be given by a variable: docker run -e {VARIABLE}NAME=VALUE IMAGE",
    ]
    for entry_point in entry_points:
        text += ["", f"{entry_point.name}:"]
        text += [f"  {_described(parameter)}" for parameter in entry_point.parameters] or ["  no parameters"]
    return ["help() {", f"  printf '%s\\n' {_quoted(chr(10).join(text))}", "}"]


def _described(parameter: Parameter) -> str:
    default = "required" if parameter.default is None else f"default {parameter.default!r}"
    described = f": {' '.join(parameter.description.split())}" if parameter.description else ""
    return f"{parameter.name} ({parameter.kind.value}, {default}){described}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
