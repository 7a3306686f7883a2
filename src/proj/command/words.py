"""What the words of a simple command say: which are reserved, and who reads its arguments as shell code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from proj.command.template import Place

if TYPE_CHECKING:
    from proj.command.template import Hole

HOLE = "\0"
"""Stands for a placeholder in a word's text."""

OPENERS = frozenset({"if", "then", "elif", "else", "while", "until", "do", "{", "!", "time", "coproc"})
"""Reserved words after which a command begins."""

CLOSERS = frozenset({"fi", "done", "esac", "}"})
"""Reserved words that end a compound command: no argument can follow."""

_SHELLS = frozenset({"bash", "sh", "zsh", "dash", "ksh", "ash", "fish", "su"})
_READERS = frozenset({"eval", "trap", "ssh", "watch", "parallel"})
_COMMAND_FLAG = r"-[a-zA-Z]*c"
_WORD_LIMIT = 200
"""Pieces of a word to remember: what a word means shows in its beginning."""

_INPUT_FLAG = r"-[a-zA-Z]*s[a-zA-Z]*"
_INTEGER_FLAG = r"-[a-zA-Z]*i[a-zA-Z]*"
_TAKES_ARGUMENT = r"[-+][a-zA-Z]*[oO]|su|--rcfile|--init-file"
_ASSIGNMENT = r"[A-Za-z_]\w*\+?="
_SUBSCRIPT = r"[\"']?[A-Za-z_]\w*\[[^\]]*"
_DECLARERS = frozenset({"declare", "typeset", "local", "readonly", "export"})
_NAME_READERS = _DECLARERS | {"unset", "read", "mapfile", "readarray", "getopts"}
_INTEGER_TESTS = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge"})


class SimpleCommand:
    """The simple command that is being read, word by word, inside one list of commands."""

    def __init__(self) -> None:
        self.cases: list[str] = []
        """The open `case` commands: "word", "pattern" or "body" each."""
        self.compound = False
        """Whether the command that is being read has ended as a compound one (`fi`, `)`)."""
        self._own: list[Hole] = []
        self._piped: list[Hole] = []
        """The holes of the commands whose output this one reads."""
        self._restart()
        self._begin_word()

    def _restart(self) -> None:
        self.words: list[str] = []
        """The first three words, assignments included."""
        self.previous = ""
        self.previous_holes: list[Hole] = []
        self.at_start = True
        """Whether the next word, or the one being read, is in command position."""
        self.reads_code = False
        """Whether the command parses its arguments once more as shell code."""
        self.is_shell = False
        """Whether the command is a shell or `ssh`, which run their standard input."""
        self.computes = False
        """Whether the command computes its arguments (`let`, `declare -i`)."""
        self._integers_next = False
        self._awaits_code = False
        self._input_flag = False
        self.here_string = False
        """Whether the next word, or the one being read, is the command's input."""
        self._before = ""

    def _begin_word(self) -> None:
        self._word: list[str] = []
        self.holes: list[Hole] = []
        self.in_word = False

    @property
    def in_test(self) -> bool:
        """Whether this is a `[[ … ]]`, in which `<`, `(` and `&&` mean something else."""
        return self.words[:1] == ["[["]

    @property
    def is_assignment(self) -> bool:
        """Whether the word so far ends with `=`: an array's list may follow."""
        return self._word[-1:] == ["="]

    def add(self, text: str) -> None:
        """Append to the word that is being read."""
        if len(self._word) < _WORD_LIMIT:
            self._word.append(text)
        self.in_word = True

    def end_word(self) -> None:
        """A blank or an operator: the word is complete."""
        if not self.in_word:
            return
        text = "".join(self._word)
        first = not self.words
        self._note_integers(text)
        self.previous_holes = self.holes
        self._begin_word()
        if self.here_string:
            self.here_string = False
            return
        if self._follow_case(text) or (first and text in OPENERS):
            return
        if first and text in CLOSERS:
            self.compound = True
        if self.in_test and text == "]]":
            self._restart()
            self.compound = True
            return
        self._note_word(text)
        name_then_command = self.words[:1] == ["function"] and len(self.words) > 1
        if name_then_command or (self.words[2:] == ["do"] and self.words[0] in ("for", "select")):
            self._restart()  # `function NAME {` and `for NAME do`

    @property
    def runs_input(self) -> bool:
        """Whether the command, as far as it was read, is a shell that takes its code from its input."""
        return (self._awaits_code or self._input_flag) and not self.reads_code

    def end_pipeline(self, *, piped: bool = False) -> None:
        """The command is complete; with `piped`, the next one reads its output."""
        self.end_word()
        if not (self.words or self._own or piped):
            return  # a line that ends behind a `|`
        if self.runs_input:
            for hole in self._piped:
                hole.nested_shell = True
        self._piped = [*self._piped, *self._own] if piped else []
        self._own = []

    def end_command(self, *, piped: bool = False) -> None:
        """An operator or a newline: the next word is in command position."""
        self.end_pipeline(piped=piped)
        self._restart()
        self.compound = False

    def _note_word(self, text: str) -> None:
        if len(self.words) < 3:  # noqa: PLR2004  nobody asks for more
            self.words.append(text)
        self.previous = text
        if self.at_start and re.match(_ASSIGNMENT, text):
            return
        word = text.strip("'\"")
        program = word.rsplit("/", 1)[-1]
        if self.at_start:
            self.at_start = word in ("command", "builtin", "exec")
            self.reads_code = program in _READERS
            self.computes = word == "let"
        if self._awaits_code and self.reads_code:
            self.reads_code = self._awaits_code = False  # what follows the code are its arguments
        elif self._awaits_code and re.fullmatch(_COMMAND_FLAG, word):
            self.reads_code = True
        elif not word.startswith("-") and not re.fullmatch(_TAKES_ARGUMENT, self._before):
            self._awaits_code = False  # the shell's script
        if program in _SHELLS and not self.reads_code:
            self._awaits_code = True
        self._input_flag = self._input_flag or (
            self._awaits_code and re.fullmatch(_INPUT_FLAG, word) is not None
        )
        self.is_shell = self.is_shell or program in _SHELLS or program == "ssh"
        self._before = word
        if self.words[0] in _DECLARERS and re.fullmatch(_INTEGER_FLAG, word):
            self.computes = True

    def _follow_case(self, text: str) -> bool:
        """Follow `case WORD in PATTERN) …;; esac`; whether the word was part of that frame."""
        state = self.cases[-1] if self.cases else ""
        if state == "word" and text == "in":
            self.cases[-1] = "pattern"
            self._restart()
            return True
        if text == "esac" and (state == "pattern" or (state == "body" and not self.words)):
            self.cases.pop()
            self._restart()
            self.words, self.at_start, self.compound = [text], False, True
            return True
        if text == "case" and not self.words and state not in ("word", "pattern"):
            self.cases.append("word")
            return True
        return False

    def _note_integers(self, text: str) -> None:
        """`[[ A -eq B ]]`: bash computes both sides, and would run `a[$(…)]` in them."""
        operator = self.in_test and text in _INTEGER_TESTS
        affected = [*(self.previous_holes if operator else []), *(self.holes if self._integers_next else [])]
        for hole in affected:
            hole.place = Place.ARITHMETIC
        self._integers_next = operator

    def note_hole(self, hole: Hole) -> None:
        """Take in a placeholder of the word that is being read, and say what is special about its place."""
        self.holes.append(hole)
        text = "".join(self._word)
        hole.in_command_position = self.at_start and not self.in_test
        hole.nested_shell = self.runs_input if self.here_string else self.reads_code
        self._own.append(hole)
        hole.no_subscript = self._takes_names(text)
        self.add(HOLE)

    def is_subscript(self) -> bool:
        """Whether the word so far is an open `name[`, which the shell computes."""
        if not (self.at_start or self.words[0] in _DECLARERS):
            return False
        return re.fullmatch(_SUBSCRIPT, "".join(self._word)) is not None

    def _takes_names(self, text: str) -> bool:
        if not self.words:
            return False
        if self.words[0] in ("[", "test", "[[", "printf") and self.previous == "-v":
            return True
        return self.words[0] in _NAME_READERS and "=" not in text
