"""The small projects of `tests/projects` that say, in `findings.txt`, what is to be found in them.

`python tests/project_cases.py` writes those files anew; look at the differences before they
go in.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from proj.lint import inspect

if TYPE_CHECKING:
    from proj.model import Diagnostic

PROJECTS = Path(__file__).parent / "projects"
EXPECTED = "findings.txt"


def found_in(case: str) -> str:
    """What loading and checking a case finds, a line for each: severity, place, code, message, fix."""
    folder = PROJECTS / case
    diagnostics = inspect(folder)[1]
    return "".join(_line(diagnostic, folder) for diagnostic in diagnostics)


def _line(diagnostic: Diagnostic, folder: Path) -> str:
    position = diagnostic.position
    place = f"{position.line}:{position.column}" if position else "-"
    line = f"{diagnostic.severity.value} {place} {diagnostic.code}: {diagnostic.message}\n"
    return (line + (f"    {diagnostic.fix}\n" if diagnostic.fix else "")).replace(str(folder), "FOLDER")


if __name__ == "__main__":
    for file in PROJECTS.glob(f"*/{EXPECTED}"):
        file.write_text(found_in(file.parent.name), encoding="utf-8")
