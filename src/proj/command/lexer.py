"""Follow a command through the shell's grammar to find out in which quotes each placeholder stands.

The rules are those of POSIX (Shell Command Language, 2.2 Quoting, 2.6 Word Expansions, 2.7.4
Here-Document) and what bash adds to them: `$'…'`, `<(…)`, `[[ … ]]`, `((…))`, arrays, `<<<`.
"""

from __future__ import annotations

from proj.command.problem import Problem
from proj.command.template import Hole, Place, Text, Unit
from proj.command.words import HOLE, SimpleCommand

_MAX_DEPTH = 60
"""Nested substitutions; each takes a few of Python's own stack frames."""

_BLANKS = " \t\r"
_QUIET = " \t\r\n#"
_WORD_OPERATORS = frozenset("-=?+")


class HereDocument:
    """A here-document: where its lines end, and what stands in them."""

    def __init__(self, delimiter: str, *, literal: bool, strip_tabs: bool, shell: bool, nested: bool) -> None:
        self.delimiter = delimiter
        self.literal = literal
        self.strip_tabs = strip_tabs
        self.shell = shell
        """Whether a shell reads it as commands."""
        self.nested = nested
        """Whether it stands in a substitution; there bash ends it at `EOF` with a `)` later in the line."""
        self.body: list[Unit] = []

    def ends_with(self, line: str) -> bool:
        """Whether a line of the template is the delimiter's."""
        return (line.lstrip("\t") if self.strip_tabs else line) == self.delimiter

    def may_end_with(self, line: str) -> bool:
        """Whether some shell could take a rendered line for the delimiter's."""
        return self.ends_with(line) or (self.nested and line.lstrip("\t").startswith(self.delimiter))


class Layout:
    """What a scan finds out beside the places of the holes."""

    def __init__(self) -> None:
        self.here_documents: list[HereDocument] = []
        self.unterminated: int | None = None
        """Offset of a quote or bracket that nothing closes."""
        self.code_end = 0
        """Index of the unit after the last command's last word."""
        self.tail = "nothing"
        """How the code ends: "nothing", "word", "compound" (`fi`, `)`) or "operator" (`&&`)."""


def scan(text: Text) -> Layout:
    """Set the place of every hole in `text`.

    Raises:
        Problem: The nesting is too deep, or a placeholder stands where nothing can be escaped.
    """
    layout = Layout()
    _Scanner(text, layout, depth=0, backticks=0).commands("")
    return layout


class _Scanner:
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
        if hole.place is Place.UNQUOTED and (self._command.computes or self._command.is_subscript()):
            hole.place = Place.ARITHMETIC
        self._index += 1

    # --- lists of commands ------------------------------------------------------------------------

    def commands(self, closer: str) -> None:
        """Read commands up to `closer`, which is consumed; "" reads to the end."""
        outer, self._command = self._command, SimpleCommand()
        outer_plain, self._plain_only = self._plain_only, self._plain_only or self._groups > 0
        top = not closer and self._depth == 0
        opened = self._offset()
        self._enter()
        while self._more():
            unit = self._peek()
            if unit == ")" and closer:
                self._command.end_word()  # an `esac` may come right before
                if not self._in_pattern():
                    self._index += 1
                    break
            self._step(unit)
            if top:
                self._note_tail(unit)
        else:
            if closer:
                self._unterminated(opened)
        self._command.end_word()
        if top and self._command.compound and self._layout.tail == "word":
            self._layout.tail = "compound"
        self._leave()
        self._command, self._plain_only = outer, outer_plain

    def _in_pattern(self) -> bool:
        return bool(self._command.cases) and self._command.cases[-1] == "pattern"

    def _step(self, unit: Unit) -> None:
        command = self._command
        if unit == "\n":
            command.end_word()
            if not (command.cases and command.cases[-1] == "word"):
                command.end_command()
            self._index += 1
            self._here_documents()
        elif isinstance(unit, str) and unit in _BLANKS:
            command.end_word()
            self._index += 1
        elif unit == "#" and not command.in_word:
            self._comment()
        elif unit in {";", "|", "&"}:
            self._operator(str(unit))
        elif unit == "(":
            self._parenthesis()
        elif unit == ")":
            command.end_command()
            if self._in_pattern():
                command.cases[-1] = "body"
            self._index += 1
        elif unit in {"<", ">"} and not command.in_test:
            self._redirection(str(unit))
        else:
            self._word_part()

    def _note_tail(self, unit: Unit) -> None:
        layout = self._layout
        if isinstance(unit, str) and unit in _QUIET:
            if unit == "#" and self._command.in_word:
                layout.code_end, layout.tail = self._end(), "word"
            return
        if unit in {";", "&", "|"}:
            two = self._units[self._index - 2 : self._index] if self._index > 1 else []
            if unit == "|" or two == ["&", "&"]:
                layout.code_end, layout.tail = self._end(), "operator"
            return
        continued = unit == "\\" and not self._command.in_word
        if continued:
            return
        layout.code_end = self._end()
        layout.tail = "compound" if self._command.compound else "word"

    def _comment(self) -> None:
        while self._more() and self._peek() != "\n":
            unit = self._peek()
            if isinstance(unit, Hole):
                self._place(unit, Place.COMMENT, note=False)
            else:
                self._index += 1

    def _operator(self, unit: str) -> None:
        command = self._command
        following = self._peek(1)
        if command.in_test:
            command.end_word()
            self._index += 1
            return
        if unit == "&" and following == ">":
            command.end_word()
            self._index += 2
            return
        command.end_command()
        self._index += 1
        if unit == ";" and following in {";", "&"}:
            self._index += 2 if following == ";" and self._peek(1) == "&" else 1
            if command.cases and command.cases[-1] == "body":
                command.cases[-1] = "pattern"
        elif following == unit or (unit == "|" and following == "&"):
            self._index += 1

    def _parenthesis(self) -> None:
        command = self._command
        if self._in_pattern() and not command.in_word:
            self._index += 1
            return
        if command.in_word or command.in_test or (command.words and command.words[0] == "function"):
            self._group()
            return
        if self._peek(1) == "(" and self._arithmetic_ends(self._index + 1):
            self._index += 2
            self._arithmetic(")")
        else:
            self._index += 1
            self.commands(")")
        command.compound = not (command.words and command.words[0] == "for")

    def _group(self) -> None:
        """Read `( … )` inside a word: an array's elements, a function's `()`, a pattern."""
        command = self._command
        opened = self._offset()
        empty = self._peek(1) == ")"
        self._enter()
        self._groups += 1
        outer_plain = self._plain_only
        # Inside a substitution bash 5.2 rewrites the blanks between an array's elements, quoted ones too.
        self._plain_only = outer_plain or self._nesting > 2 or self._depth > 0  # noqa: PLR2004  list, array
        self._index += 1
        element: list[Unit] = []
        while self._more() and self._peek() != ")":
            unit = self._peek()
            if unit == "(":
                self._group()
            elif isinstance(unit, str) and unit in " \t\r\n":
                element = []
                self._index += 1
            elif unit == "#" and not element:
                self._comment()
            else:
                subscript = element[:1] == ["["] and "]" not in element
                element.append(unit)
                self._word_part()
                if subscript and isinstance(unit, Hole):
                    unit.place = Place.ARITHMETIC
        if not self._more():
            self._unterminated(opened)
        self._index += 1
        self._plain_only = outer_plain
        self._groups -= 1
        self._leave()
        if empty and not command.in_test:  # `name()`: the function's body is a command
            command.end_command()
        else:
            command.add("()")

    # --- redirections and here-documents ----------------------------------------------------------

    def _redirection(self, unit: str) -> None:
        if self._peek(1) == "(":
            self._index += 2
            self.commands(")")
            self._command.add("<()")
            return
        self._command.end_word()
        if unit == "<" and self._peek(1) == "<":
            if self._peek(2) == "<":
                self._index += 3
                return
            strip_tabs = self._peek(2) == "-"
            self._index += 3 if strip_tabs else 2
            self._here_delimiter(strip_tabs=strip_tabs)
            return
        self._index += 1
        while self._peek() in {">", "&", "|"}:
            self._index += 1

    def _here_delimiter(self, *, strip_tabs: bool) -> None:
        while self._peek() in {" ", "\t"}:
            self._index += 1
        word: list[str] = []
        literal = False
        quote = ""
        while self._more():
            unit = self._peek()
            if isinstance(unit, Hole):
                raise Problem(
                    f"the placeholder {unit.text} in the delimiter of a here-document",
                    unit.offset,
                    "Write a fixed word after <<.",
                )
            if quote:
                if unit == quote:
                    quote = ""
                else:
                    word.append(unit)
            elif unit in "'\"":
                quote, literal = unit, True
            elif unit == "\\":
                literal = True
                self._index += 1
                word.append(str(self._peek()) if not isinstance(self._peek(), Hole) else "")
            elif unit in " \t\r\n;&|<>()":
                break
            else:
                word.append(unit)
            self._index += 1
        self._pending.append(
            HereDocument(
                "".join(word),
                literal=literal,
                strip_tabs=strip_tabs,
                shell=self._command.is_shell,
                nested=self._nesting > 1 or self._depth > 0,
            )
        )

    def _here_documents(self) -> None:
        """Read the bodies of the here-documents that the line just ended has announced."""
        pending, self._pending = self._pending, []
        for document in pending:
            start = self._index
            end = self._body_end(document)
            document.body = self._units[start:end]
            self._layout.here_documents.append(document)
            scanner = _Scanner(
                self._text.part(start, end),
                self._layout,
                depth=self._depth + self._nesting,
                backticks=self._backticks,
                in_here=True,
                plain_only=self._plain_only,
            )
            scanner.here_text(document)

    def _body_end(self, document: HereDocument) -> int:
        """Find the delimiter's line, step behind it, and return where it begins."""
        while self._more():
            start = self._index
            line: list[str] = []
            while self._more() and self._peek() != "\n":
                unit = self._peek()
                line.append(HOLE if isinstance(unit, Hole) else unit)
                if unit == "\\" and not document.literal and self._more():
                    following = self._peek(1)
                    self._index += 1
                    if following == "\n":
                        line.pop()
                    elif following != "":
                        line.append(HOLE if isinstance(following, Hole) else following)
                self._index += 1
            text = "".join(line)
            if self._more():
                self._index += 1
            if document.ends_with(text):
                return start
        self._index = len(self._units)
        return self._index

    def here_text(self, document: HereDocument) -> None:
        """Read a whole here-document's body."""
        place = Place.HERE_LITERAL if document.literal else Place.HERE
        while self._more():
            unit = self._peek()
            if isinstance(unit, Hole):
                self._place(unit, place, note=False)
                unit.nested_shell = document.shell
            elif document.literal:
                self._index += 1
            else:
                self._double_part(place)

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
        scanner = _Scanner(
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
                self._index += 2
                self.commands(")")
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
