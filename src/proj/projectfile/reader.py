"""Reads values out of nodes and says, once and in one way, when they are not what the grammar wants."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proj.model import Severity
from proj.projectfile.findings import did_you_mean
from proj.yamltree import Mapping, Scalar, Sequence, YamlError, construct, entries, is_null, tag_of, text_of

if TYPE_CHECKING:
    from proj.projectfile.findings import Findings
    from proj.projectfile.keys import Key
    from proj.yamltree import Entry, Node

_KINDS: Final = {
    "null": "nothing",
    "bool": "a boolean",
    "int": "a number",
    "float": "a number",
    "timestamp": "a date",
    "map": "a mapping",
    "seq": "a list",
    "set": "a set",
    "omap": "a list",
    "pairs": "a list",
    "binary": "bytes",
}
_GLUED: Final = r"(?s)([A-Za-z_]+)\s*[:=\s]\s*(.*)"


def describe(node: Node) -> str:
    """What a value is, for a message, such as `a list` or `a number, 3`."""
    kind = _KINDS.get(tag_of(node).rpartition(":")[2], "a text")
    if isinstance(node, Scalar) and node.text and kind != "nothing":
        shown = node.text if len(node.text) <= 30 else node.text[:29] + "…"  # noqa: PLR2004  fits in a line
        return f"the {kind.partition(' ')[2]} {shown!r}" if kind == "a text" else f"{kind}, {shown}"
    return kind


class Reader:
    """Reads values, and puts what is wrong with them among the findings.

    Args:
        findings: Where problems go.
        strict: Whether an unknown key is an error.
    """

    __slots__ = ("_unknown", "findings")

    def __init__(self, findings: Findings, *, strict: bool = False) -> None:
        self.findings = findings
        self._unknown = Severity.ERROR if strict else Severity.WARNING

    def mapping(self, node: Node, what: str, fix: str | None = None) -> dict[str, Entry] | None:
        """The entries of a mapping with names of the user's own; None, and an error, for anything else."""
        if not isinstance(node, Mapping):
            self.findings.error("wrong-type", f"{what} must be a mapping, not {describe(node)}", node, fix)
            return None
        try:
            found = entries(node)
        except YamlError as error:
            self.findings.error("yaml", f"{what}: {error.message}", error.position, error.fix)
            return None
        for name, entry in found.items():
            if entry.repeats is not None:
                self.findings.warning(
                    "duplicate-key",
                    f"{what} has the key `{name}` twice; the first, in line {entry.repeats.line}, is ignored",
                    entry.key,
                    "Remove one of them.",
                )
        return found

    def fields(
        self, node: Node, table: dict[str, Key], what: str, fix: str | None = None
    ) -> dict[str, Entry] | None:
        """The entries of a mapping whose keys the grammar knows; others are pointed out."""
        found = self.mapping(node, what, fix)
        if found is None:
            return None
        for name, entry in found.items():
            if name not in table:
                message, suggestion = self._unknown_key(name, entry, table, what)
                self.findings.add(self._unknown, "unknown-key", message, entry.key, suggestion)
        return found

    def _unknown_key(
        self, name: str, entry: Entry, table: dict[str, Key], what: str
    ) -> tuple[str, str | None]:
        message = f"unknown key `{name}` in {what}"
        glued = re.fullmatch(_GLUED, name)
        if glued is not None and glued[1] in table and is_null(entry.value):
            return message, f"Write `{glued[1]}: {glued[2]}`, with a colon and a blank."
        similar = did_you_mean(name, table)
        if similar is not None:
            return f"{message}; did you mean `{similar}`?", f"Write `{similar}`."
        return message, f"Known keys are {', '.join(table)}."

    def text(self, node: Node, what: str, key: Key | None = None) -> str | None:
        """A scalar as text; None for null, and for anything else after an error."""
        if is_null(node):
            return None
        if not isinstance(node, Scalar):
            self.findings.error("wrong-type", f"{what} must be a text, not {describe(node)}", node)
            return None
        value = self.string(node)
        if key is not None and key.choices and value is not None and value not in key.choices:
            known = ", ".join(f"`{choice}`" for choice in key.choices)
            self.findings.error("unknown-value", f"{what} cannot be {value!r}", node, f"Write {known}.")
            return None
        return value

    def string(self, node: Node) -> str | None:
        """What `str()` makes of a value, as MLflow does; None, and an error, where PyYAML refuses it."""
        try:
            return text_of(node)
        except YamlError as error:
            self.findings.error("yaml", error.message, error.position, error.fix)
            return None

    def number(self, node: Node, what: str) -> float | None:
        """A number; None for null, and for anything else after an error."""
        if is_null(node):
            return None
        try:
            value = construct(node)
            if isinstance(value, (int, float, str)) and not isinstance(value, bool):
                return float(value)  # a text too: `1e-5` is one for YAML 1.1
        except (YamlError, ValueError, OverflowError):
            pass
        self.findings.error("wrong-type", f"{what} must be a number, not {describe(node)}", node)
        return None

    def boolean(self, node: Node, what: str) -> bool | None:
        """A boolean; None for null, and for anything else after an error."""
        if is_null(node):
            return None
        value = construct(node) if tag_of(node).endswith(":bool") else None
        if isinstance(value, bool):
            return value
        self.findings.error("wrong-type", f"{what} must be true or false, not {describe(node)}", node)
        return None

    def texts(self, node: Node, what: str) -> tuple[str, ...]:
        """A list of texts as they are written; empty for null, and for anything else after an error."""
        if is_null(node):
            return ()
        if not isinstance(node, Sequence):
            fix = f"Write `[{node.text}]`." if isinstance(node, Scalar) and len(node.text) <= 60 else None  # noqa: PLR2004  fits in a line
            self.findings.error("wrong-type", f"{what} must be a list, not {describe(node)}", node, fix)
            return ()
        values: list[str] = []
        for item in node.items:
            if isinstance(item, Scalar) and not is_null(item):
                values.append(item.text)
            else:
                self.findings.error("wrong-type", f"{what} must hold texts, not {describe(item)}", item)
        return tuple(values)
