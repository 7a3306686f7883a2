"""The nodes of the tree, and the error of those who make and read it."""

from __future__ import annotations

from typing import Final

from proj.model import Position

TAG: Final = "tag:yaml.org,2002:"
"""What the tags of YAML's own types begin with."""
STR: Final = TAG + "str"


class YamlError(Exception):
    """A text is not the YAML that it should be; for callers to wrap in an error of their own.

    Args:
        message: What is wrong, without the place.
        position: Where.
        fix: What to write instead; None where there is nothing short to say.
    """

    def __init__(self, message: str, position: Position, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.position = position
        self.fix = fix


class Node:
    """A value in the text; lines and columns count from 1."""

    __slots__ = ("column", "end_line", "line", "size", "tag")

    def __init__(self, tag: str | None, line: int, column: int) -> None:
        self.tag = tag
        self.line = line
        self.column = column
        self.end_line = line
        self.size = 1

    @property
    def position(self) -> Position:
        """Where the value begins."""
        return Position(line=self.line, column=self.column)


class Scalar(Node):
    """A text, number, boolean or null.

    `style` is None for a plain one, else one of `'`, `"`, `|`, `>`.
    """

    __slots__ = ("style", "text")

    def __init__(self, text: str, style: str | None, tag: str | None, line: int, column: int) -> None:
        super().__init__(tag, line, column)
        self.text = text
        self.style = style
        self.size = 1 + len(text)


class Sequence(Node):
    """A list."""

    __slots__ = ("items",)

    def __init__(self, tag: str | None, line: int, column: int) -> None:
        super().__init__(tag, line, column)
        self.items: list[Node] = []


class Mapping(Node):
    """Keys and values, in the order of the file, repeated keys included."""

    __slots__ = ("pairs",)

    def __init__(self, tag: str | None, line: int, column: int) -> None:
        super().__init__(tag, line, column)
        self.pairs: list[tuple[Node, Node]] = []


class Entry:
    """A key of a mapping after merge keys and repetitions are settled."""

    __slots__ = ("key", "repeats", "value")

    def __init__(self, key: Node, value: Node) -> None:
        self.key = key
        self.value = value
        self.repeats: Node | None = None
        """An earlier node of the same key, which this one replaces."""
