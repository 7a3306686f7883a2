"""Words, quotes and expansions: what may stand inside one word of the shell, at any depth."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

from proj.command.problem import Problem
from proj.command.template import Hole, Place, Text, Unit
from proj.command.words import SimpleCommand

if TYPE_CHECKING:
    from proj.command.layout import HereDocument, Layout

_MAX_DEPTH = 60
"""Nested substitutions; each takes a few of Python's own stack frames."""

_WORD_OPERATORS = frozenset("-=?+")


class Reader(abc.ABC):
    """Reads units from left to right; each method consumes one construct."""

    def __init__(
        self,
        text: Text,
        layout: Layout,
        *,
        depth: int,
        backticks: int,
        in_here: bool = False,
        plain_only: bool = False,
    ) -> None:
        self._units = text.units
        self._text = text
        self._layout = layout
        self._index = 0
        self._depth = depth
        self._nesting = 0
        self._backticks = backticks
        self._in_here = in_here
        self._plain_only = plain_only
        self._groups = 0
        self._pending: list[HereDocument] = []
        self._command = SimpleCommand()

    # --- reading ----------------------------------------------------------------------------------

    def _peek(self, ahead: int = 0) -> Unit:
        index = self._index + ahead
        return self._units[index] if index < len(self._units) else ""

    def _more(self) -> bool:
        return self._index < len(self._units)

    def _offset(self) -> int:
        offsets = self._text.offsets
        return offsets[min(self._index, len(offsets) - 1)] if offsets else 0

    def _end(self) -> int:
        """The index, which an unterminated construct may have left behind the last unit."""
        return min(self._index, len(self._units))

    def _enter(self) -> None:
        self._nesting += 1
        if self._depth + self._nesting > _MAX_DEPTH:
            raise Problem(
                "the command is nested too deeply", self._offset(), "Move it into a script and call that."
            )

    def _leave(self) -> None:
        self._nesting -= 1

    def _unterminated(self, offset: int) -> None:
        if self._layout.unterminated is None:
            self._layout.unterminated = offset

    def _place(self, hole: Hole, place: Place, *, note: bool = True) -> None:
        # Bash has rules of its own, and defects, for what is nested in backticks: only plain values fit.
        deep = self._plain_only or self._backticks > 1 or (self._backticks == 1 and self._nesting > 1)
        hole.inner = place
        hole.place = Place.NESTED if deep and place is not Place.COMMENT else place
        hole.backticks = self._backticks
        hole.single_line = self._in_here and place not in (Place.HERE, Place.HERE_LITERAL)
        hole.no_control = self._in_here or self._groups > 0 or self._plain_only
        if hole.after_backslash and self._backticks:
            raise Problem(
                f"a backslash before the placeholder {hole.text} inside backticks",
                hole.offset,
                "Write $( … ) instead of backticks.",
            )
        if note:
            self._command.note_hole(hole)
        if note and (self._command.computes or self._command.is_subscript()):
            hole.place = Place.ARITHMETIC
        self._index += 1

    @abc.abstractmethod
    def commands(self, closer: str) -> None:
        """Read commands up to `closer`, which is consumed; "" reads to the end."""

    # --- words and quotes -------------------------------------------------------------------------

    def _word_part(self) -> None:
        """Read one piece of an unquoted word."""
        command = self._command
        unit = self._peek()
        if isinstance(unit, Hole):
            following = self._peek(1)
            unit.quote_always = following in {"<", ">"}
            self._place(unit, Place.UNQUOTED)
        elif unit == "\\":
            self._backslash()
        elif unit == "'":
            self._single()
        elif unit == '"':
            self._double()
        elif unit == "`":
            self._backtick(in_double=False)
        elif unit == "$":
            self._dollar(quoted=False)
        else:
            command.add(unit)
            self._index += 1

    def _backslash(self) -> None:
        following = self._peek(1)
        if isinstance(following, Hole):
            following.after_backslash = True
            self._index += 1
        elif following == "\n":
            self._index += 2
        else:
            if following != "":
                self._command.add("\\" + following)
            self._index += 2

    def _single(self) -> None:
        self._quoted_run(Place.SINGLE, "'")

    def _quoted_run(self, place: Place, opener: str) -> None:
        """Read `'…'` or, for ANSI, the rest of `$'…'`."""
        opened = self._offset()
        self._command.add(opener)
        self._index += 1
        while self._more():
            unit = self._peek()
            if isinstance(unit, Hole):
                self._place(unit, place)
            elif unit == "'":
                self._command.add("'")
                self._index += 1
                return
            elif unit == "\\" and opener == "$'":
                self._backslash()
            else:
                self._command.add(unit)
                self._index += 1
        self._unterminated(opened)

    def _double(self) -> None:
        opened = self._offset()
        self._command.add('"')
        self._index += 1
        while self._more():
            if self._peek() == '"':
                self._command.add('"')
                self._index += 1
                return
            self._double_part(Place.DOUBLE)
        self._unterminated(opened)

    def _double_part(self, place: Place) -> None:
        """Read one piece of a double-quoted text or of a here-document."""
        unit = self._peek()
        if isinstance(unit, Hole):
            self._place(unit, place, note=place is Place.DOUBLE)
        elif unit == "\\":
            self._backslash()
        elif unit == "`":
            self._backtick(in_double=place is Place.DOUBLE)
        elif unit == "$":
            self._dollar(quoted=True, in_here=place is Place.HERE)
        else:
            self._command.add(unit)
            self._index += 1

    def _backtick(self, *, in_double: bool) -> None:
        """Read `` `…` ``: one level of backslashes goes away, then the rest is a list of commands."""
        opened = self._offset()
        removable = '`\\$"' if in_double else "`\\$"
        inner = Text()
        self._index += 1
        while self._more() and self._peek() != "`":
            following = self._peek(1)
            if self._peek() == "\\" and isinstance(following, str) and following and following in removable:
                self._index += 1
            inner.add(self._peek(), self._offset())
            self._index += 1
        if not self._more():
            self._unterminated(opened)
        self._index += 1
        self._enter()
        scanner = type(self)(
            inner,
            self._layout,
            depth=self._depth + self._nesting,
            backticks=self._backticks + 1,
            in_here=self._in_here,
            plain_only=self._plain_only or self._groups > 0,
        )
        scanner.commands("")
        self._leave()
        self._command.add("``")

    # --- what begins with a dollar ----------------------------------------------------------------

    def _dollar(self, *, quoted: bool, in_here: bool = False) -> None:
        following = self._peek(1)
        if following == "\\" and self._peek(2) == "\n" and self._peek(3) in {"{", "(", "'", '"', "["}:
            raise Problem("a line ends behind a $", self._offset(), "Write it in one line.")
        if isinstance(following, Hole):
            if following.after_dollar:
                following.kept = True
                self._index += 1
            self._index += 1
            self._command.add("${}")
        elif following == "(":
            if self._peek(2) == "(" and self._arithmetic_ends(self._index + 2):
                self._index += 3
                self._arithmetic(")")
            else:
                doubtful = self._peek(2) == "("
                self._index += 2
                self._commands_in_doubt() if doubtful else self.commands(")")
            self._command.add("$()")
        elif following == "{":
            self._index += 2
            self._parameter(quoted=quoted, in_here=in_here)
            self._command.add("${}")
        elif following == "[":
            self._index += 2
            self._arithmetic("]")
            self._command.add("$[]")
        elif following == "'" and not quoted:
            # Inside another substitution bash reads `$'…'` twice: only plain values fit there.
            nested = self._nesting > 1 or self._depth > 0
            self._index += 1
            self._quoted_run(Place.NESTED if nested else Place.ANSI, "$'")
        else:
            special = following in {"$", "#"}
            self._command.add(f"${following}" if special else "$")
            self._index += 2 if special else 1

    def _parameter(self, *, quoted: bool, in_here: bool) -> None:
        """Read the rest of `${…}`. Only after `:-` and its kin can any value be escaped."""
        opened = self._offset()
        self._enter()
        place = self._parameter_name(quoted=quoted, in_here=in_here)
        while self._more() and self._peek() != "}":
            unit = self._peek()
            if isinstance(unit, Hole):
                self._place(unit, place)
            elif unit == '"' and quoted and not in_here:
                self._only_plain('"')
            elif unit == "'" and quoted:
                self._only_plain("'")
            elif quoted:
                self._double_part(place)
            else:
                self._word_part_of_parameter(place)
        if not self._more():
            self._unterminated(opened)
        self._index += 1
        self._leave()

    def _parameter_name(self, *, quoted: bool, in_here: bool) -> Place:
        if self._peek() in {"!", "#"}:
            self._index += 1
        while isinstance(unit := self._peek(), str) and (unit.isalnum() or (unit and unit in "_@*")):
            self._index += 1
        if self._peek() == ":":
            self._index += 1
        if not (isinstance(unit := self._peek(), str) and unit in _WORD_OPERATORS):
            return Place.EXPANSION
        self._index += 1
        if in_here:
            return Place.EXPANSION
        return Place.EXPANSION_WORD_DOUBLE if quoted else Place.EXPANSION_WORD

    def _word_part_of_parameter(self, place: Place) -> None:
        unit = self._peek()
        if place is Place.EXPANSION and unit in {"'", '"'}:
            self._only_plain(str(unit))
        else:
            self._word_part()

    def _only_plain(self, quote: str) -> None:
        """Read quotes inside `${…}` that shells disagree about: only plain values fit there."""
        self._index += 1
        while self._more() and self._peek() != quote:
            unit = self._peek()
            if isinstance(unit, Hole):
                self._place(unit, Place.EXPANSION)
            elif unit == "\\" and quote == '"':
                self._backslash()
            elif unit == "$" and quote == '"':
                self._dollar(quoted=True)
            elif unit == "`" and quote == '"':
                self._backtick(in_double=True)
            else:
                self._index += 1
        self._index += 1

    def _arithmetic_ends(self, index: int) -> bool:
        """Whether the parenthesis at `index`, the second of `((`, closes with `))`."""
        level = 0
        while index < len(self._units):
            unit = self._units[index]
            if unit == "\\":
                index += 1
            elif unit == "(":
                level += 1
            elif unit == ")":
                level -= 1
                if level == 0:
                    return index + 1 < len(self._units) and self._units[index + 1] == ")"
            index += 1
        return False

    def _commands_in_doubt(self) -> None:
        """Read `((` that no `))` closes as commands: for bash, a `))` in a value would close it."""
        outer, self._plain_only = self._plain_only, True
        self.commands(")")
        self._plain_only = outer

    def _arithmetic(self, closer: str) -> None:
        """Read the rest of `$((…))`, `((…))` or `$[…]`: only integers fit there."""
        opened = self._offset()
        opener = "(" if closer == ")" else "["
        level = 1
        self._enter()
        while self._more() and level:
            unit = self._peek()
            if isinstance(unit, Hole):
                self._place(unit, Place.ARITHMETIC, note=False)
            elif unit == "$":
                self._dollar(quoted=True)
            elif unit == "`":
                self._backtick(in_double=True)
            elif unit == "\\":
                self._backslash()
            else:
                level += 1 if unit == opener else -1 if unit == closer else 0
                self._index += 1
        if level:
            self._unterminated(opened)
        elif closer == ")" and self._peek() == ")":
            self._index += 1
        self._leave()
