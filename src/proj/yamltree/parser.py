"""Text -> nodes, within limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import yaml

from proj.model import Position
from proj.yamltree.nodes import STR, TAG, Mapping, Node, Scalar, Sequence, YamlError

if TYPE_CHECKING:
    from typing import Any

MAX_BYTES: Final = 1 << 20
"""A file that people write is a thousand times smaller."""
MAX_DEPTH: Final = 100
MAX_EXPANSION: Final = 2 << 20
"""Characters that the document may have once every alias is replaced by what it stands for."""
_RETRY_CHARACTERS: Final = 64 << 10

_SAFE_TAGS: Final = frozenset(
    TAG + name
    for name in (
        "null bool int float binary timestamp omap pairs set str seq map merge".split()  # noqa: SIM905  reads as the list in the YAML specification
    )
)
_BREAKS: Final = ("\r\n", "\r", "\x85", "\u2028", "\u2029")
_FIXES: Final = (
    (
        "cannot start any token",
        "Indent with blanks (YAML allows no tabs), and quote a text that begins with @, ` or %.",
    ),
    ("mapping values are not allowed", "Put a text that holds `: ` in quotes."),
    ("unexpected end of stream", "Close the quote."),
    ("could not find expected ':'", "Write `key: value`, with a colon and a blank."),
    ("did not find expected ',' or", "Close the bracket, and put commas between the items."),
    (
        "did not find expected key",
        "Give all keys of one block the same indentation, and quote texts that hold quotes.",
    ),
    ("did not find expected '-' indicator", "Give all items of one list the same indentation."),
    ("unknown escape character", "Write `\\\\` for a backslash in double quotes, or use single quotes."),
    ("control characters", "Remove the character: the file seems to be damaged or binary."),
)


def split_lines(text: str) -> list[str]:
    """The lines of a text as YAML counts them."""
    for mark in _BREAKS:
        text = text.replace(mark, "\n")
    return text.split("\n")


def decode(data: bytes) -> str:
    """The text of a YAML file: UTF-8, or UTF-16 with a byte order mark.

    Raises:
        YamlError: The bytes are too many, or are not text.
    """
    if len(data) > MAX_BYTES:
        raise YamlError(
            f"The file has {len(data):,} bytes; more than {MAX_BYTES:,} are not read.",
            Position(line=1, column=1),
            "Keep data in files of its own.",
        )
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        before = split_lines(data[: error.start].decode(encoding, "replace"))
        place = Position(line=len(before), column=len(before[-1]) + 1)
        message = f"The file is not UTF-8 text: it holds the byte 0x{data[error.start]:02x}."
        raise YamlError(message, place, "Save the file as UTF-8.") from error


def parse(text: str) -> Node | None:
    """Parse one YAML document; None when the text holds none.

    Raises:
        YamlError: Not YAML, several documents, an unsafe tag, an undefined or recursive alias, or a document
            beyond the limits of this module.
    """
    try:
        return _compose(getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text))
    except yaml.YAMLError as error:
        # The two parsers differ in details; `safe_load` uses the other one, so it has the last word.
        if len(text) <= _RETRY_CHARACTERS:
            try:
                return _compose(yaml.SafeLoader(text))
            except (yaml.YAMLError, ValueError):
                pass
        raise _translated(error, text) from error


def _compose(loader: Any) -> Node | None:
    """Build the tree without recursion, so that depth costs nothing but a counter."""
    composer = _Composer()
    try:
        while (event := loader.get_event()) is not None:
            composer.take(event)
    finally:
        loader.dispose()
    return composer.root


class _Composer:
    """Builds the tree from PyYAML's events, which its stubs leave untyped."""

    __slots__ = ("_anchors", "_documents", "_keys", "_stack", "root")

    def __init__(self) -> None:
        self.root: Node | None = None
        self._stack: list[Sequence | Mapping] = []
        self._keys: list[Node | None] = []  # for each open mapping: the key that waits for its value
        self._anchors: dict[str, Node] = {}
        self._documents = 0

    def take(self, event: Any) -> None:
        """Take the next event."""
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._add(self._scalar(event))
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            self._open(event)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._keys.pop()
            node = self._stack.pop()
            node.end_line = event.end_mark.line + 1
            self._add(node)
        elif kind is yaml.AliasEvent:
            self._add(self._alias(event))
        elif kind is yaml.DocumentStartEvent:
            self._documents += 1
            if self._documents > 1:
                message = "The file holds more than one YAML document."
                raise YamlError(
                    message, _position(event.start_mark), "Remove this `---` and what follows it."
                )

    def _add(self, node: Node) -> None:
        if not self._stack:
            self.root = node
            return
        parent = self._stack[-1]
        parent.size += node.size
        if parent.size > MAX_EXPANSION:
            message = "The aliases stand for more text than is read."
            raise YamlError(message, node.position, "Write the values out.")
        if type(parent) is Sequence:
            parent.items.append(node)
        elif type(parent) is Mapping:
            key = self._keys[-1]
            if key is None:
                self._keys[-1] = node
            else:
                parent.pairs.append((key, node))
                self._keys[-1] = None

    def _scalar(self, event: Any) -> Scalar:
        mark = event.start_mark
        tag = STR if event.tag == "!" else _checked_tag(event)
        if not event.value.isascii() or "\0" in event.value:
            _refuse_unprintable(event)
        scalar = Scalar(event.value, event.style or None, tag, mark.line + 1, mark.column + 1)
        scalar.end_line = event.end_mark.line + 1
        if event.anchor:
            self._anchors[event.anchor] = scalar
        return scalar

    def _open(self, event: Any) -> None:
        mark = event.start_mark
        if len(self._stack) >= MAX_DEPTH:
            message = f"The text is nested more than {MAX_DEPTH} levels deep."
            raise YamlError(message, _position(mark), "Flatten it.")
        kind = Mapping if type(event) is yaml.MappingStartEvent else Sequence
        node = kind(_checked_tag(event), mark.line + 1, mark.column + 1)
        if event.anchor:
            self._anchors[event.anchor] = node
        self._stack.append(node)
        self._keys.append(None)

    def _alias(self, event: Any) -> Node:
        target = self._anchors.get(event.anchor)
        if target is None:
            message = f"The alias *{event.anchor} has no anchor &{event.anchor} before it."
            raise YamlError(message, _position(event.start_mark))
        if any(node is target for node in self._stack):
            message = f"The alias *{event.anchor} stands inside of what it names."
            raise YamlError(message, _position(event.start_mark), "Write the value out.")
        return target


def _refuse_unprintable(event: Any) -> None:
    """Escapes can write what no file, process or terminal takes: NUL, and halves of a surrogate pair."""
    if "\0" in event.value or any("\ud800" <= character <= "\udfff" for character in event.value):
        message = "The text holds an escape that stands for no character (`\\0`, or half of a pair)."
        raise YamlError(message, _position(event.start_mark), "Remove the escape.")


def _checked_tag(event: Any) -> str | None:
    tag: str | None = event.tag
    if tag is None or tag == "!":
        return None
    if tag not in _SAFE_TAGS:
        fix = "Remove the tag (the word after `!`)."
        raise YamlError(f"The tag {tag} is not allowed.", _position(event.start_mark), fix)
    return tag


def _position(mark: Any) -> Position:
    return Position(line=mark.line + 1, column=mark.column + 1)


def _translated(error: yaml.YAMLError, text: str) -> YamlError:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        if "end of stream" in (
            error.problem or ""
        ):  # what was opened is of more help than where the file ends
            mark = error.context_mark or mark
        position = _position(mark) if mark is not None else Position(line=1, column=1)
        context = f" {error.context}" if error.context else ""
        problem = f"{error.problem}{context}" if error.problem else str(error)
    else:
        offset = getattr(error, "position", 0)
        # libyaml counts the bytes of the UTF-8 text that it was given
        before = split_lines(text.encode("utf-8")[:offset].decode("utf-8", "ignore"))
        position = Position(line=len(before), column=len(before[-1]) + 1)
        problem = str(getattr(error, "reason", error))
    fix = next((fix for words, fix in _FIXES if words in problem), None)
    return YamlError(f"Not valid YAML: {problem}.", position, fix)
