"""A command template taken apart, for programs that put the values in later and elsewhere.

What `render` decides by a value is left to that program; what it decides by the template is decided here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from proj.command import lexer
from proj.command.problem import Problem, locate
from proj.command.render import LITERAL_QUOTES, check_closed, no_place_to_append
from proj.command.template import Hole, Place, parse
from proj.model import ParameterKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proj.command.layout import HereDocument
    from proj.command.template import Text


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """A place for a value; the fields are those of the renderer's `Hole`."""

    name: str
    place: Place
    flag: bool = False
    """Whether it is a switch, `{name:flag}`."""
    quoted: bool = False
    """Whether the value gets MLflow's single quotes first."""
    inner: Place = Place.UNQUOTED
    backticks: int = 0
    after_backslash: bool = False
    quote_always: bool = False
    in_command_position: bool = False
    no_subscript: bool = False
    no_control: bool = False
    single_line: bool = False
    """Whether it stands in a here-document, in a command there: the escaped value may have one line only."""
    no_leading_tab: bool = False
    """Whether it stands in a here-document of `<<-`: no line of the escaped value may begin with a tab."""


class Here(msgspec.Struct, frozen=True, kw_only=True):
    """Where a here-document's body begins or ends: no line of it may become the delimiter's."""

    edge: Literal["begin", "end"]
    delimiter: str
    strip_tabs: bool
    nested: bool


class End(msgspec.Struct, frozen=True, kw_only=True):
    """Where undeclared parameters go."""

    dangling: bool
    """Whether all that follows is a backslash, which goes away if there are any."""


Piece = str | Slot | Here | End


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """A template as pieces, in their order."""

    pieces: tuple[Piece, ...]
    takes_undeclared: bool


def compile_template(
    template: str,
    kinds: Mapping[str, ParameterKind],
    *,
    quoting: Literal["safe", "mlflow"] = "safe",
    where: str = "command",
) -> Compiled:
    """Take a template apart.

    Args:
        template: The command as the project file has it.
        kinds: Declared parameter -> its kind.
        quoting: See `render`.
        where: See `render`.

    Raises:
        CommandError: The template cannot be rendered with any value, or only by Python (`{x:>10}`, `{x!r}`).
    """
    try:
        text = parse(template, kinds.keys())
        layout = lexer.scan(text)
        check_closed(layout, text)
        documents = [each for each in layout.here_documents if any(isinstance(u, Hole) for u in each.body)]
        marks = _marks(text, documents)
        takes = no_place_to_append(layout, text) is None
        if takes:
            rest = "".join(unit if isinstance(unit, str) else "{" for unit in text.units[layout.code_end :])
            marks.setdefault(layout.code_end, []).append(End(dangling=rest.strip(" \t\r\n") == "\\"))
        pieces = _pieces(text, marks, kinds, quoting, _tabs(documents))
    except Problem as problem:
        raise locate(problem, template, where) from problem
    return Compiled(pieces=tuple(pieces), takes_undeclared=takes)


def _tabs(documents: Sequence[HereDocument]) -> set[int]:
    return {id(unit) for each in documents if each.strip_tabs for unit in each.body if isinstance(unit, Hole)}


def _marks(text: Text, documents: Sequence[HereDocument]) -> dict[int, list[Piece]]:
    """Index of a unit -> what comes before it."""
    places = {id(unit): index for index, unit in enumerate(text.units) if isinstance(unit, Hole)}
    marks: dict[int, list[Piece]] = {}
    ends: list[tuple[int, Here]] = []
    for document in documents:
        inside, hole = next((i, unit) for i, unit in enumerate(document.body) if isinstance(unit, Hole))
        start = places[id(hole)] - inside
        shape = Here(
            edge="begin",
            delimiter=document.delimiter,
            strip_tabs=document.strip_tabs,
            nested=document.nested,
        )
        marks.setdefault(start, []).append(shape)
        ends.append((start + len(document.body), msgspec.structs.replace(shape, edge="end")))
    for index, end in ends:
        marks.setdefault(index, []).insert(0, end)
    return marks


def _pieces(
    text: Text,
    marks: Mapping[int, list[Piece]],
    kinds: Mapping[str, ParameterKind],
    quoting: str,
    tabs: set[int],
) -> list[Piece]:
    pieces: list[Piece] = []
    literal: list[str] = []

    def flush() -> None:
        if literal:
            pieces.append("".join(literal))
            literal.clear()

    for index in range(len(text.units) + 1):
        if index in marks:
            flush()
            pieces.extend(marks[index])
        if index == len(text.units):
            break
        unit = text.units[index]
        if isinstance(unit, str):
            literal.append(unit)
        elif unit.kept or (not unit.known and (unit.after_dollar or unit.place is Place.COMMENT)):
            literal.append(unit.text)
        else:
            flush()
            pieces.append(_slot(unit, kinds, quoting, no_leading_tab=id(unit) in tabs))
    flush()
    return pieces


def _slot(hole: Hole, kinds: Mapping[str, ParameterKind], quoting: str, *, no_leading_tab: bool) -> Slot:
    if hole.name not in kinds:
        raise Problem(
            f"no parameter {hole.name!r} is declared for the placeholder {hole.text}",
            hole.offset,
            f"Declare it under `parameters:`, or write {{{hole.text}}} for literal braces.",
        )
    if hole.conversion not in ("", "s", "r", "a"):
        raise Problem(f"unknown conversion in {hole.text}", hole.offset, f"Write {{{hole.name}}}.")
    flag = hole.spec == "flag"
    literal = hole.place in LITERAL_QUOTES
    if (hole.spec and not flag) or (hole.conversion in ("r", "a") and literal):
        raise Problem(
            f"{hole.text} is formatted by Python, which an image does without",
            hole.offset,
            f"Write {{{hole.name}}}, and format it in the program.",
        )
    if flag and kinds[hole.name] is not ParameterKind.BOOLEAN:
        raise Problem(
            f"{hole.text} makes a switch of {hole.name!r}, which is declared as {kinds[hole.name].value}",
            hole.offset,
            f"Declare it as {{type: bool, default: false}}, or write {{{hole.name}}} for its value.",
        )
    return Slot(
        name=hole.name,
        place=hole.place,
        flag=flag,
        quoted=quoting == "mlflow" and literal and not hole.conversion,
        inner=hole.inner,
        backticks=hole.backticks,
        after_backslash=hole.after_backslash,
        quote_always=hole.quote_always,
        in_command_position=hole.in_command_position,
        no_subscript=hole.no_subscript,
        no_control=hole.no_control,
        single_line=hole.single_line,
        no_leading_tab=no_leading_tab,
    )
