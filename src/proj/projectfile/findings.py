"""Findings about a project file: how they are collected, shown and raised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proj.errors import FailureCode, ProjError
from proj.model import Diagnostic, Position, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from proj.model import Project
    from proj.yamltree import Node

MISSING_COMMAND: Final = "missing-command"
"""Code of the finding that an entry point has no command: fatal when it is the one to run."""
_SHOWN_COLUMNS: Final = 100
_SHOWN_FINDINGS: Final = 25
_KEPT_FINDINGS: Final = 500
_MESSAGE_CHARACTERS: Final = 400


class ProjectInvalidError(ProjError):
    """A project file cannot be used as it stands.

    Args:
        file: The project file, as it is to be shown.
        diagnostics: What is wrong; at least one error.
        others: Warnings and notes about the same file, which the message leaves out.
        project: What could be read of it all the same, for those who look for more.
    """

    code = FailureCode.PROJECT_INVALID.value

    def __init__(
        self,
        file: str,
        diagnostics: Sequence[Diagnostic],
        *,
        others: Sequence[Diagnostic] = (),
        project: Project | None = None,
    ) -> None:
        self.file = file
        self.diagnostics = tuple(diagnostics)
        self.others = tuple(others)
        self.project = project
        count = len(self.diagnostics)
        head = f"The project file {file} has {'an error' if count == 1 else f'{count} errors'}:"
        blocks = [render(diagnostic) for diagnostic in self.diagnostics[:_SHOWN_FINDINGS]]
        if count > _SHOWN_FINDINGS:
            blocks.append(f"… and {count - _SHOWN_FINDINGS} more")
        super().__init__("\n".join([head, *blocks]))


def render(diagnostic: Diagnostic) -> str:
    """A finding for people: place, message, the line with a caret below it, and the fix.

    Returns:
        One to four lines without a final newline.
    """
    place = diagnostic.file or ""
    if diagnostic.position is not None:
        place += f":{diagnostic.position.line}:{diagnostic.position.column}"
    head = f"{place}: " if place else ""
    lines = [f"{head}{diagnostic.severity.value}: {printable(diagnostic.message)}"]
    if diagnostic.position is not None and diagnostic.source_line is not None:
        lines += _excerpt(diagnostic.source_line, diagnostic.position.column - 1)
    if diagnostic.fix is not None:
        lines.append(f"    fix: {printable(diagnostic.fix)}")
    return "\n".join(lines)


def _excerpt(line: str, column: int) -> list[str]:
    """The line and a caret below `column` (from 0), cut to what a terminal shows."""
    first = max(0, column - _SHOWN_COLUMNS // 2) if len(line) > _SHOWN_COLUMNS else 0
    cut = printable(line[first : first + _SHOWN_COLUMNS].replace("\t", " "))
    if not cut.strip():
        return []
    caret = " " * (column - first)
    return [f"    {cut}", f"    {caret}^"]


def printable(text: str) -> str:
    """The text with control characters replaced, one for one: a file must not steer a terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def missing_command(name: str) -> str:
    """The message of the finding that an entry point has no command."""
    return f"entry point `{name}` has no command"


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The known word that a mistyped one is likely to mean."""
    import difflib  # 5 ms that only a mistyped word costs

    folded = {name.casefold(): name for name in known}
    matches = difflib.get_close_matches(word.strip().casefold()[:100], folded, n=1, cutoff=0.6)
    return folded[matches[0]] if matches else None


class Findings:
    """Collects what is found about one file.

    Args:
        file: The file as it is to be shown.
        lines: Its lines.
    """

    __slots__ = ("_file", "_lines", "found")

    def __init__(self, file: str, lines: Sequence[str]) -> None:
        self._file = file
        self._lines = lines
        self.found: list[Diagnostic] = []

    def error(self, code: str, message: str, where: Node | Position, fix: str | None = None) -> None:
        """Note something that makes the file unusable."""
        self.add(Severity.ERROR, code, message, where, fix)

    def warning(self, code: str, message: str, where: Node | Position, fix: str | None = None) -> None:
        """Note something that is likely a slip, though the file can be used."""
        self.add(Severity.WARNING, code, message, where, fix)

    def note(self, code: str, message: str, where: Node | Position, fix: str | None = None) -> None:
        """Note something worth knowing."""
        self.add(Severity.NOTE, code, message, where, fix)

    def add(
        self, severity: Severity, code: str, message: str, where: Node | Position, fix: str | None
    ) -> None:
        """Note a finding of any severity; past some hundreds, which no one reads, only errors are kept."""
        if len(self.found) >= _KEPT_FINDINGS and severity is not Severity.ERROR:
            return
        position = where if isinstance(where, Position) else where.position
        line = self._lines[position.line - 1] if position.line <= len(self._lines) else ""
        self.found.append(
            Diagnostic(
                severity=severity,
                code=code,
                message=_short(message),
                file=self._file,
                position=position,
                source_line=line,
                fix=fix if fix is None else _short(fix),
            )
        )


def _short(text: str) -> str:
    return text if len(text) <= _MESSAGE_CHARACTERS else text[: _MESSAGE_CHARACTERS - 1] + "…"
