"""What a scan of a command finds out beside the places of its placeholders."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proj.command.template import Unit


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
