"""`proj check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from proj import projectfile, source
from proj.cli import output
from proj.errors import EXIT_USAGE
from proj.lint import inspect, problems_only
from proj.model import Diagnostic, Severity
from proj.projectfile.keys import FILE_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a project file."""

    file: str | None
    """The project file; None for a folder without one."""
    diagnostics: tuple[Diagnostic, ...]
    errors: int
    warnings: int
    exit_code: int

    def text(self) -> Iterator[output.Block]:
        """Yield each finding with its line, then a summary."""
        for diagnostic in self.diagnostics:
            word = f"{diagnostic.severity.value}:"
            before, _, after = projectfile.render(diagnostic).partition(word)
            yield output.Line(before, word, after, _COLOURS[diagnostic.severity])
        counts = [_count(self.errors, "error"), _count(self.warnings, "warning")]
        told = ", ".join(count for count in counts if count) or "no problems"
        yield f"{self.file or 'No project file'}: {told}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else ""


@click.command()
@click.argument("uri", default=".")
@click.option("-v", "--version", metavar="REF", help="Branch, tag or commit of a git repository.")
@click.option("--strict", is_flag=True, help="Let warnings fail the check too.")
@output.json_option
def command(uri: str, version: str | None, strict: bool) -> CheckResult:
    """Check the project file of URI (default: this folder) without running anything.

    Exit code 0: nothing wrong, or warnings only; 2: errors.
    """
    here = Path.cwd()
    if Path(uri).name.lower() in FILE_NAMES and Path(uri).is_file():
        uri = str(Path(uri).parent)
    checkout = source.fetch(uri, version=version, cwd=here)
    try:
        file, found = _findings(checkout.project_dir)
        base = checkout.root if checkout.private else here
    finally:
        source.release(checkout)
    shown = tuple(_relative(diagnostic, base) for diagnostic in found)
    return CheckResult(
        file=None if file is None else _shorter(str(file), base),
        diagnostics=shown,
        errors=sum(diagnostic.severity is Severity.ERROR for diagnostic in shown),
        warnings=sum(diagnostic.severity is Severity.WARNING for diagnostic in shown),
        exit_code=EXIT_USAGE if problems_only(shown, strict=strict) else 0,
    )


def _findings(directory: Path) -> tuple[Path | None, tuple[Diagnostic, ...]]:
    file, found = inspect(directory)
    return file, found if file is not None else (_without_file(directory),)


def _without_file(directory: Path) -> Diagnostic:
    scripts = projectfile.scripts(directory)
    if not scripts:
        return Diagnostic(
            severity=Severity.ERROR,
            code="no-project",
            message=f"{directory} holds neither an MLproject file nor a script",
            fix="Write one with `proj init`.",
        )
    return Diagnostic(
        severity=Severity.NOTE,
        code="no-project-file",
        message=f"no MLproject file; these scripts can be run: {', '.join(scripts[:20])}",
        fix="Write one with `proj init`.",
    )


def _relative(diagnostic: Diagnostic, base: Path) -> Diagnostic:
    if diagnostic.file is None:
        return diagnostic
    return msgspec.structs.replace(diagnostic, file=_shorter(diagnostic.file, base))


def _shorter(file: str, base: Path) -> str:
    path = Path(file)
    return str(path.relative_to(base)) if path.is_relative_to(base) else file
