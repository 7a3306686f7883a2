"""What the words of a simple command say: which are reserved, and who reads its arguments as shell code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proj.command.template import Hole

HOLE = "\0"
"""Stands for a placeholder in a word's text."""

OPENERS = frozenset({"if", "then", "elif", "else", "while", "until", "do", "{", "!", "time", "coproc"})
"""Reserved words after which a command begins."""

CLOSERS = frozenset({"fi", "done", "esac", "}"})
"""Reserved words that end a compound command: no argument can follow."""

_SHELLS = frozenset({"bash", "sh", "zsh", "dash", "ksh", "ash", "fish"})
_READERS = frozenset({"eval", "trap", "ssh", "watch", "parallel"})
_COMMAND_FLAG = re.compile(r"-[a-zA-Z]*c")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_SUBSCRIPT = re.compile(r"[A-Za-z_]\w*\[[^\]]*")
_DECLARERS = frozenset({"declare", "typeset", "local", "readonly", "export"})
_NAME_READERS = _DECLARERS | {"unset", "read", "mapfile", "readarray", "getopts"}
_INTEGER_TESTS = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge"})


class SimpleCommand:
    """The simple command that is being read, word by word, inside one list of commands."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.word: list[str] = []
        self.holes: list[Hole] = []
        self.previous_holes: list[Hole] = []
        self.in_word = False
        self.compound = False
        """Whether the command that is being read has ended as a compound one (`fi`, `)`)."""
        self.cases: list[str] = []
        """The open `case` commands: "word", "pattern" or "body" each."""
        self.integers_next = False

    @property
    def at_start(self) -> bool:
        """Whether the next word, or the one being read, is in command position."""
        return all(_ASSIGNMENT.match(word) for word in self.words)

    @property
    def in_test(self) -> bool:
        """Whether this is a `[[ … ]]`, in which `<`, `(` and `&&` mean something else."""
        return bool(self.words) and self.words[0] == "[["

    def add(self, text: str) -> None:
        """Append to the word that is being read."""
        self.word.append(text)
        self.in_word = True

    def end_word(self) -> None:
        """A blank or an operator: the word is complete."""
        if not self.in_word:
            return
        text = "".join(self.word)
        first = not self.words
        self._note_integers(text)
        self.previous_holes = self.holes
        self.word, self.holes, self.in_word = [], [], False
        if self._follow_case(text):
            return
        if first and text in OPENERS:
            return
        if first and text in CLOSERS:
            self.compound = True
        if self.in_test and text == "]]":
            self.words, self.compound = [], True
            return
        self.words.append(text)
        if self.words[1:2] and self.words[0] == "function":
            self.words = []  # `function NAME {`
        elif self.words[2:] == ["do"] and self.words[0] in ("for", "select"):
            self.words = []  # `for NAME do`

    def end_command(self) -> None:
        """An operator or a newline: the next word is in command position."""
        self.end_word()
        self.words, self.previous_holes = [], []
        self.compound = self.integers_next = False

    def _follow_case(self, text: str) -> bool:
        """Follow `case WORD in PATTERN) …;; esac`; whether the word was part of that frame."""
        state = self.cases[-1] if self.cases else ""
        if state == "word" and text == "in":
            self.cases[-1] = "pattern"
            self.words = []
            return True
        if text == "esac" and (state == "pattern" or (state == "body" and not self.words)):
            self.cases.pop()
            self.compound = True
            self.words = [text]
            return True
        if text == "case" and not self.words and state not in ("word", "pattern"):
            self.cases.append("word")
            return True
        return False

    def _note_integers(self, text: str) -> None:
        """`[[ A -eq B ]]`: bash computes both sides, and would run `a[$(…)]` in them."""
        from proj.command.template import Place

        operator = self.in_test and text in _INTEGER_TESTS
        affected = [*(self.previous_holes if operator else []), *(self.holes if self.integers_next else [])]
        for hole in affected:
            hole.place = Place.ARITHMETIC
        self.integers_next = operator

    def note_hole(self, hole: Hole) -> None:
        """Take in a placeholder of the word that is being read, and say what is special about its place."""
        self.holes.append(hole)
        text = "".join(self.word)
        hole.in_command_position = self.at_start and not self.in_test
        hole.nested_shell = self.reads_code
        hole.no_subscript = self._takes_names(text)
        self.add(HOLE)

    @property
    def reads_code(self) -> bool:
        """Whether the command parses its arguments once more as shell code."""
        words = [word.strip("'\"") for word in self.words if not _ASSIGNMENT.match(word)]
        if not words:
            return False
        shells = [index for index, word in enumerate(words) if word.rsplit("/", 1)[-1] in _SHELLS]
        if shells and any(_COMMAND_FLAG.fullmatch(word) for word in words[shells[0] + 1 :]):
            return True
        while words[0] in ("command", "builtin", "exec") and len(words) > 1:
            words = words[1:]
        return words[0].rsplit("/", 1)[-1] in _READERS

    @property
    def is_shell(self) -> bool:
        """Whether the command is a shell or `ssh`, which run their standard input."""
        return any(word.rsplit("/", 1)[-1] in (*_SHELLS, "ssh") for word in self.words)

    def is_subscript(self) -> bool:
        """Whether the word so far is an open `name[`, which the shell computes."""
        if not (self.at_start or self.words[0] in _DECLARERS):
            return False
        return _SUBSCRIPT.fullmatch("".join(self.word)) is not None

    def computes(self) -> bool:
        """Whether the command computes its arguments (`let`, `declare -i`)."""
        if not self.words:
            return False
        integer = any(re.fullmatch(r"-[a-zA-Z]*i[a-zA-Z]*", word) for word in self.words[1:])
        return self.words[0] == "let" or (self.words[0] in _DECLARERS and integer)

    def _takes_names(self, text: str) -> bool:
        if not self.words:
            return False
        if self.words[0] in ("[", "test", "[[", "printf") and self.words[-1] == "-v":
            return True
        return self.words[0] in _NAME_READERS and "=" not in text
