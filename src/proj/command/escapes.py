"""Escape a value for the place it stands in: one function for each place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from proj.command.problem import Problem
from proj.command.template import Hole, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SAFE = r"[A-Za-z0-9_@%+=:,./-]+"
"""What `shlex.quote` leaves as it is."""
_PLAIN = r"[A-Za-z0-9_.-]*"
_INTEGER = r"-?[0-9]+"
_LOWERCASE = r"[a-z]+"


def escape(hole: Hole, value: str) -> str:
    """What to write in the hole's place for the shell to read `value` there.

    Raises:
        Problem: Nothing can be written there for this value.
    """
    if hole.no_subscript and "[" in value:
        raise Problem(
            f"the shell would compute what stands in the brackets of {hole.name!r}: {value!r}",
            hole.offset,
            "Give a value without [.",
        )
    escaped = _ESCAPES[hole.place](hole, value)
    return _in_backticks(hole, escaped) if hole.backticks else escaped


def shlex_quote(value: str) -> str:
    """`shlex.quote`, character for character; its import costs more than this."""
    if re.fullmatch(_SAFE, value):
        return value
    return "'" + value.replace("'", "'\"'\"'") + "'"


def _unquoted(hole: Hole, value: str) -> str:
    reserved = hole.in_command_position and re.fullmatch(_LOWERCASE, value)
    if re.fullmatch(_SAFE, value) and not reserved and not hole.quote_always:
        word = value
    else:
        word = "'" + value.replace("'", r"'\''") + "'"
    return "\n" + word if hole.after_backslash else word  # backslash-newline is nothing at all


def _single(_hole: Hole, value: str) -> str:
    return value.replace("'", r"'\''")


def _backslashed(special: str) -> Callable[[Hole, str], str]:
    pattern = f"[{re.escape(special)}]"

    def escape(hole: Hole, value: str) -> str:
        escaped = re.sub(pattern, r"\\\g<0>", value)
        return "\\" + escaped if hole.after_backslash else escaped

    return escape


def _ansi(hole: Hole, value: str) -> str:
    # The octal form cannot end the quotes even where a shell without $'…' takes them for plain ones.
    escaped = value.replace("\\", r"\\").replace("'", r"\047")
    return "\\" + escaped if hole.after_backslash else escaped


def _comment(_hole: Hole, value: str) -> str:
    return re.sub(r"[^\w .,:/=+@%-]", "?", value)


def _here_literal(_hole: Hole, value: str) -> str:
    return value


def _integer(hole: Hole, value: str) -> str:
    if not re.fullmatch(_INTEGER, value):
        raise Problem(
            f"the shell computes here, and {hole.name!r} is not an integer: {value!r}",
            hole.offset,
            "Give an integer, or compute in the program.",
        )
    in_expression = hole.inner is Place.ARITHMETIC  # and not a word of `[[` or `let`, where ( is syntax
    return f"({value})" if value.startswith("-") and in_expression else value


def _expansion(hole: Hole, value: str) -> str:
    if not re.fullmatch(_PLAIN, value) or (hole.after_backslash and not value):
        raise _cannot_stand(hole, value)
    return value


def _nested(hole: Hole, value: str) -> str:
    plain = _expansion(hole, value)
    return _unquoted(hole, plain) if hole.inner is Place.UNQUOTED else plain


def _expansion_word_double(hole: Hole, value: str) -> str:
    if "'" in value or hole.after_backslash:  # bash pairs single quotes here, and dash does not
        raise _cannot_stand(hole, value)
    return re.sub(r'[$`"\\}]', r"\\\g<0>", value)


def _cannot_stand(hole: Hole, value: str) -> Problem:
    return Problem(
        f"the value of {hole.name!r} cannot be quoted inside {hole.place.value}: {value!r}",
        hole.offset,
        f"Put it into a variable first, `value={{{hole.name}}}; …`, and write $value here.",
    )


_ESCAPES: Mapping[Place, Callable[[Hole, str], str]] = {
    Place.UNQUOTED: _unquoted,
    Place.SINGLE: _single,
    Place.DOUBLE: _backslashed('$`"\\'),
    Place.ANSI: _ansi,
    Place.COMMENT: _comment,
    Place.HERE: _backslashed("$`\\"),
    Place.HERE_LITERAL: _here_literal,
    Place.ARITHMETIC: _integer,
    Place.EXPANSION: _expansion,
    Place.NESTED: _nested,
    Place.EXPANSION_WORD: _unquoted,
    Place.EXPANSION_WORD_DOUBLE: _expansion_word_double,
}


def _in_backticks(hole: Hole, escaped: str) -> str:
    """Escape once more for each level of backticks.

    In `"${a}`…`"` bash looks for the end of `$(` even where quotes inside the backticks hide it, so the two
    characters are kept apart.
    """
    apart = {Place.UNQUOTED: "''", Place.SINGLE: "''", Place.EXPANSION_WORD: "''", Place.DOUBLE: '""'}
    if hole.place in apart:
        escaped = re.sub(r"\$(?=[({\['\"]|\Z)", rf"\g<0>{apart[hole.place]}", escaped)
        escaped = re.sub(r"\A(?=[({\[])", apart[hole.place], escaped)
    elif re.search(r"\$[({\['\"]|\$\Z|\A[({\[]", escaped):
        raise Problem(
            f"the value of {hole.name!r} cannot be quoted inside backticks: {escaped!r}",
            hole.offset,
            "Write $( … ) instead of backticks.",
        )
    for _ in range(hole.backticks):
        escaped = re.sub(r"[\\`]", r"\\\g<0>", escaped)
    return escaped
