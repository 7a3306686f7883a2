"""Follow a command through the shell's grammar to find out in which quotes each placeholder stands.

The rules are those of POSIX (Shell Command Language, 2.2 Quoting, 2.6 Word Expansions, 2.7.4
Here-Document) and what bash adds to them: `$'…'`, `<(…)`, `[[ … ]]`, `((…))`, arrays, `<<<`.
"""

from __future__ import annotations

from proj.command.layout import HereDocument, Layout
from proj.command.problem import Problem
from proj.command.quotes import Reader
from proj.command.template import Hole, Place, Text, Unit
from proj.command.words import HOLE, SimpleCommand

_BLANKS = " \t"
_QUIET = " \t\n#"


def scan(text: Text) -> Layout:
    """Set the place of every hole in `text`.

    Raises:
        Problem: The nesting is too deep, or a placeholder stands where nothing can be escaped.
    """
    layout = Layout()
    _Scanner(text, layout, depth=0, backticks=0).commands("")
    return layout


class _Scanner(Reader):
    """Lists of commands, redirections, here-documents."""

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
        self._command.end_pipeline()
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
        dangling = self._index > len(self._units)  # a backslash at the very end
        if unit == "\\" and (dangling or not self._command.in_word):
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
        command.end_command(piped=unit == "|" and following != "|")
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
            doubtful = self._peek(1) == "("
            self._index += 1
            self._commands_in_doubt() if doubtful else self.commands(")")
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
        self._elements(array=command.is_assignment)
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

    def _elements(self, *, array: bool) -> None:
        """Read the words up to the `)` of a group."""
        begins = True
        subscript = False  # in the brackets of an element `[index]=value`
        while self._more() and self._peek() != ")":
            unit = self._peek()
            if unit == "(":
                self._group()
            elif isinstance(unit, str) and unit in " \t\n":
                begins = not subscript
                self._index += 1
            elif unit == "#" and begins:
                self._comment()
            elif array and unit in {"<", ">"} and self._peek(1) == "(":
                self._redirection(str(unit))
            elif array and unit in {";", "&", "|", "<", ">"}:
                raise Problem(  # bash reports it and goes on with the next line, in the midst of a value
                    f"the operator {unit} in the list of an array",
                    self._offset(),
                    "Quote it, or close the list with ) before it.",
                )
            else:
                subscript = (subscript or (begins and unit == "[")) and unit != "]"
                begins = False
                known = len(self._command.holes)
                self._word_part()
                for hole in self._command.holes[known:] if subscript else ():
                    hole.place = Place.ARITHMETIC

    # --- redirections and here-documents ----------------------------------------------------------

    def _redirection(self, unit: str) -> None:
        if self._peek(1) == "\\" and self._peek(2) == "\n" and self._peek(3) in {"<", "("}:
            raise Problem("a line ends inside an operator", self._offset(), "Write it in one line.")
        if self._peek(1) == "(":
            self._index += 2
            self.commands(")")
            self._command.add("<()")
            return
        self._command.end_word()
        if unit == "<" and self._peek(1) == "<":
            if self._peek(2) == "<":
                self._index += 3
                self._command.here_string = True
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
            elif unit == "\\" and self._peek(1) == "\n":
                self._index += 1
            elif unit == "\\":
                literal = True
                self._index += 1
                word.append(str(self._peek()) if not isinstance(self._peek(), Hole) else "")
            elif unit in " \t\n;&|<>()":
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
