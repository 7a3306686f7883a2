"""The cases that compare `proj` with `mlflow run`, and stub programs that tell what they were called with.

Standard library only: `oracle/regenerate.py` uses it in a virtual environment that has MLflow and not `proj`.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECTS = Path(__file__).parent / "projects"
EXPECTATIONS = Path(__file__).parent / "oracle" / "expectations.json"
PROGRAMS = ("python", "python3", "Rscript", "torchrun", "pytest", "accelerate", "papermill", "dvc")

_STUB = """\
#!/bin/sh
{
    printf '%s\\0' "${0##*/}" "$PWD" "$#" "$@"
    for name in $STUB_VARIABLES; do eval "printf '%s\\\\0' \\"\\${$name-}\\""; done
} >> "$STUB_LOG"
"""


class Case(NamedTuple):
    """One run of one project."""

    identifier: str
    """Folder and number of the run in it: `oracle-pipes#0`."""
    project: Path
    entry_point: str
    parameters: dict[str, str]
    variables: dict[str, str]
    watched: tuple[str, ...]
    """Variables whose values the stubs tell."""
    expect: str
    """`same`, `differs` (documented; `ours` has what `proj` does), `refused` (by MLflow)."""
    ours: list[list[str]] | None
    """The calls that `proj` makes where MLflow makes others or none; None: it refuses too."""


class Call(NamedTuple):
    """A call that a stub has seen."""

    argv: list[str]
    folder: str
    """The working directory, relative to the project's."""
    variables: dict[str, str]


def cases() -> Iterator[Case]:
    """All cases, in the order of their folders."""
    for folder in sorted(PROJECTS.glob("oracle-*")):
        description: dict[str, Any] = json.loads((folder / "case.json").read_text("utf-8"))
        for number, run in enumerate(description["runs"]):
            yield Case(
                identifier=f"{folder.name}#{number}",
                project=folder,
                entry_point=run.get("entry_point", "main"),
                parameters=run.get("parameters", {}),
                variables=run.get("variables", {}),
                watched=tuple(run.get("watched", ())),
                expect=run.get("expect", "same"),
                ours=run.get("ours"),
            )


class Workshop:
    """A copy of a case's project, and stubs on PATH, in a folder of its own."""

    def __init__(self, case: Case, folder: Path) -> None:
        self._watched = case.watched
        self.project = folder.resolve() / "project"
        shutil.copytree(case.project, self.project)
        self._log = folder.resolve() / "calls"
        stubs = folder.resolve() / "stubs"
        stubs.mkdir()
        stub = stubs / "python"
        stub.write_text(_STUB, "utf-8")
        stub.chmod(0o755)
        for name in PROGRAMS[1:]:
            (stubs / name).symlink_to(stub)
        self.variables = {
            **case.variables,
            "PATH": f"{stubs}{os.pathsep}{os.environ['PATH']}",
            "SHELL": "bash",
            "LC_ALL": "C.UTF-8",
            "STUB_LOG": str(self._log),
            "STUB_VARIABLES": " ".join(case.watched),
        }

    def calls(self) -> list[Call]:
        """What the stubs have been called with so far, the project's path written as `<project>`."""
        if not self._log.exists():
            return []
        fields = iter(os.fsdecode(self._log.read_bytes()).split("\0")[:-1])
        calls = []
        for program in fields:
            folder = os.path.relpath(next(fields), self.project)
            arguments = [self._shown(next(fields)) for _ in range(int(next(fields)))]
            variables = {name: self._shown(next(fields)) for name in self._watched}
            calls.append(Call([program, *arguments], folder, variables))
        return calls

    def _shown(self, text: str) -> str:
        return text.replace(str(self.project), "<project>")
