"""A command template as characters and holes: which braces are placeholders, and which are just braces.

The rules keep every template that `str.format` accepts (MLflow formats with it) and leave alone what it
would choke on: `${VAR}`, `{1..3}`, `{a,b}`, `{ list; }`, awk programs, JSON.
"""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING

from proj.command.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Collection

_BRACED = r"\{([^{}\n]*)\}"
_FIELD = r"([^.\[!:]+)(?:!([^:]*))?(?::(.*))?"
_LOOKS_LIKE_ONE = r"[^\W\d][\w-]*(?:![rsa])?(?::flag|:)?"


class Place(str, enum.Enum):
    """Where a placeholder stands in the shell's grammar; decides how its value is escaped."""

    UNQUOTED = "unquoted"
    SINGLE = "single quotes"
    DOUBLE = "double quotes"
    ANSI = "$'…' quotes"
    COMMENT = "comment"
    HERE = "here-document"
    HERE_LITERAL = "here-document with a quoted delimiter"
    ARITHMETIC = "arithmetic"
    EXPANSION = "${…}"
    NESTED = "nested substitutions"
    EXPANSION_WORD = "default in ${…}"
    EXPANSION_WORD_DOUBLE = "default in double-quoted ${…}"


class Hole:
    """A placeholder in the stream of characters; the lexer fills in where it stands."""

    __slots__ = (
        "after_backslash",
        "after_dollar",
        "backticks",
        "conversion",
        "in_command_position",
        "inner",
        "kept",
        "known",
        "name",
        "nested_shell",
        "no_control",
        "no_subscript",
        "offset",
        "place",
        "quote_always",
        "single_line",
        "spec",
        "text",
    )

    def __init__(self, text: str, offset: int, name: str, conversion: str, spec: str) -> None:
        self.text = text
        """As it stands in the template, braces included."""
        self.offset = offset
        self.name = name
        self.conversion = conversion
        self.spec = spec
        self.known = True
        self.after_dollar = False
        self.place = Place.UNQUOTED
        self.inner = Place.UNQUOTED
        """Where it stands in the innermost substitution, when `place` is NESTED."""
        self.backticks = 0
        """How many levels of backticks it stands in; each takes a level of backslashes away."""
        self.after_backslash = False
        self.quote_always = False
        self.in_command_position = False
        self.nested_shell = False
        self.no_subscript = False
        """Whether the shell reads the value as a variable's name, in which `a[$(…)]` would run."""
        self.no_control = False
        """Whether bash loses the characters that it marks quotes with, 0x01 and 0x7f, in this place."""
        self.single_line = False
        self.kept = False
        """Whether it is the shell's `${name}` and stays as it is."""


Unit = str | Hole


class Text:
    """Units (a character or a hole each) with their offsets in the template."""

    __slots__ = ("offsets", "units")

    def __init__(self) -> None:
        self.units: list[Unit] = []
        self.offsets: list[int] = []

    def add(self, unit: Unit, offset: int) -> None:
        """Append one unit."""
        self.units.append(unit)
        self.offsets.append(offset)

    def part(self, start: int, end: int) -> Text:
        """A copy of a stretch; the holes are shared."""
        text = Text()
        text.units = self.units[start:end]
        text.offsets = self.offsets[start:end]
        return text


def parse(template: str, names: Collection[str] | None) -> Text:
    """Split a template into characters and holes; doubled braces become single ones.

    Args:
        template: The command as the project file has it.
        names: The parameters that there are; None: whatever looks like a placeholder is one.

    Raises:
        Problem: A field of `str.format` that reaches into a value (`{a.b}`, `{a[0]}`).
    """
    text = Text()
    doubled: list[bool] = []  # the open braces; a `}` closes the kind that was opened
    index = 0
    while index < len(template):
        character = template[index]
        offset = index
        index += 1
        if character == "{":
            if template.startswith("{", index):
                doubled.append(True)
                index += 1
            else:
                hole = _hole(template, offset, names)
                if hole is not None:
                    text.add(hole, offset)
                    index = offset + len(hole.text)
                    continue
                doubled.append(False)
        elif character == "}":
            lone = bool(doubled) and not doubled[-1]
            if not lone and template.startswith("}", index):
                index += 1
            if doubled:
                doubled.pop()
        text.add(character, offset)
    return text


def _hole(template: str, offset: int, names: Collection[str] | None) -> Hole | None:
    match = re.compile(_BRACED).match(template, offset)
    if match is None or not match[1]:
        return None
    after_dollar = offset > 0 and template[offset - 1] == "$"
    inner = match[1]
    hole: Hole | None = None
    field = re.fullmatch(_FIELD, inner)
    if names is not None and inner in names:
        hole = Hole(match[0], offset, inner, "", "")
    elif field is not None and (re.fullmatch(_LOOKS_LIKE_ONE, inner) or (names and field[1] in names)):
        hole = Hole(match[0], offset, field[1], field[2] or "", field[3] or "")
        hole.known = names is None or field[1] in names
    elif names and not after_dollar:
        _refuse_near_miss(inner, offset, names)
    if hole is not None:
        hole.after_dollar = after_dollar
    return hole


def _refuse_near_miss(inner: str, offset: int, names: Collection[str]) -> None:
    if inner.strip() in names:
        raise Problem(
            f"blanks inside the placeholder {{{inner}}}",
            offset,
            f"Write {{{inner.strip()}}} for the parameter, or {{{{{inner}}}}} for literal braces.",
        )
    name = re.split(r"[.\[]", inner, maxsplit=1)[0]
    if name in names and re.fullmatch(r"[^\W\d][\w-]*(?:\.\w+|\[\w+\])+", inner):
        raise Problem(
            f"{{{inner}}} asks for a part of the parameter {name!r}, but values are text",
            offset,
            f"Write {{{name}}} for the parameter, or {{{{{inner}}}}} for literal braces.",
        )
