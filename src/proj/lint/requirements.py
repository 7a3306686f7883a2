"""Slips in requirement lines: what the installer would stumble over, without asking an index."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from proj.environments.conda.urls import bare_text
from proj.environments.requirements import logical_lines, parse_requirements, read_text
from proj.environments.variables import literal_logins
from proj.errors import EnvironmentFailedError
from proj.model import Position
from proj.process import redact
from proj.projectfile.findings import Findings
from proj.yamltree import split_lines

if TYPE_CHECKING:
    from pathlib import Path

    from proj.yamltree import Node

_INCLUDE: Final = re.compile(
    r"(?:-[rc]\s*=?\s*|--(?:requirement|constraint)(?:\s*=\s*|\s+))(?P<file>\S.*)", re.DOTALL
)
_VERSION: Final = (
    r"v?(?:\d+!)?\d+(?:\.\d+)*(?:[-_.]?(?:alpha|a|beta|b|c|rc|preview|pre)[-_.]?\d*)?"
    r"(?:-\d+|[-_.]?(?:post|rev|r)[-_.]?\d*)?(?:[-_.]?dev[-_.]?\d*)?(?:\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?(?:\.\*)?"
)
_CLAUSE: Final = rf"(?:===\s*[^\s,;)]+|(?:~=|==|!=|<=|>=|<|>)\s*{_VERSION})"
_CLAUSES: Final = rf"{_CLAUSE}(?:\s*,\s*{_CLAUSE})*\s*,?"
_REQUIREMENT: Final = re.compile(
    rf"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?\s*(?:\[[^\]]*\])?\s*(?:\(\s*{_CLAUSES}\s*\)|{_CLAUSES})?",
    re.IGNORECASE,
)
"""A name with extras (PEP 508) and versions (PEP 440)."""
_SINGLE_EQUALS: Final = re.compile(r"(?<![<>=!~])=(?!=)")
_CODE: Final = "wrong-requirement"


class RequirementChecker:
    """Checks requirement lines, and the files that they include.

    Args:
        project_dir: The project's folder.
        findings: Where slips go, whatever file they are in.
    """

    def __init__(self, project_dir: Path, findings: Findings) -> None:
        self._project_dir = project_dir
        self._findings = findings
        self._seen: set[Path] = set()

    def check_file(self, file: Path) -> None:
        """Check a requirements file; one that was checked already says nothing new."""
        file = file.resolve()
        if file in self._seen:
            return
        self._seen.add(file)
        try:
            text = read_text(file)
        except EnvironmentFailedError as error:
            self._findings.error(_CODE, _sentence(error), Position(line=1, column=1), error.hint)
            return
        findings = beside(self._findings, file, split_lines(text))
        for number, lines in _numbered(text):
            for line in lines:
                self.check_line(line, Position(line=number, column=1), file, findings)

    def check_line(self, line: str, where: Node | Position, file: Path, findings: Findings) -> None:
        """Check a logical line.

        Args:
            line: Without its comment.
            where: Its place in the file.
            file: The file that holds it: relative paths start there.
            findings: Those of that file.
        """
        include = _INCLUDE.fullmatch(line)
        if include is not None:
            included = self._existing(include["file"].strip().strip("\"'"), file)
            if included is not None:
                self.check_file(included)
                return
        try:
            found = parse_requirements(
                [line], origin=file.name, base=file.parent, project_dir=self._project_dir
            )
        except EnvironmentFailedError as error:
            findings.error(_CODE, _sentence(error), where, error.hint)
            return
        for url in literal_logins(line):
            warn_of_secret(url, where, findings)
        for requirement in found.lines:
            if not _is_requirement(requirement):
                fix = "Write it like `name>=1.2,<2`."
                if _SINGLE_EQUALS.search(requirement):
                    fix = "pip compares by `==`; a single `=` is conda's."
                findings.error(_CODE, f"`{requirement}` is no requirement that pip takes", where, fix)

    def _existing(self, name: str, file: Path) -> Path | None:
        for base in (file.parent, self._project_dir):
            path = base / os.path.expandvars(name)
            if path.is_file():
                return path
        return None


def warn_of_secret(url: str, where: Node | Position, findings: Findings) -> None:
    """Warn of a secret that stands in a file of the project.

    Args:
        url: What has it, without it.
        where: Its place.
        findings: Those of the file.
    """
    findings.warning(
        "literal-secret",
        f"the token or password in the URL of {url} is recorded with the source, and gets into images",
        where,
        "Write it as `${VAR}`, a variable that you set.",
    )


def beside(findings: Findings, file: Path, lines: list[str]) -> Findings:
    """Findings of another file that go where `findings` collects; its lines are shown without secrets."""
    other = Findings(str(file), [redact(bare_text(line)) for line in lines])
    other.found = findings.found
    return other


def _numbered(text: str) -> list[tuple[int, list[str]]]:
    """Logical lines with the number of the line where each begins."""
    numbered: list[tuple[int, list[str]]] = []
    pending: list[str] = []
    raws = text.splitlines()
    for number, raw in enumerate(raws, start=1):
        pending.append(raw)
        continues = raw.endswith("\\") and not raw.lstrip().startswith("#")
        if not continues or number == len(raws):
            numbered.append((number - len(pending) + 1, logical_lines("\n".join(pending))))
            pending = []
    return numbered


def _is_requirement(line: str) -> bool:
    """Whether the part before markers and options is one; URLs and variables are taken on trust."""
    if "://" in line or "$" in line or re.search(r"(?<=[\w\]])\s*@", line):
        return True
    bare = re.split(r"\s--?[a-zA-Z]", line.partition(";")[0], maxsplit=1)[0].strip()
    return _REQUIREMENT.fullmatch(bare) is not None


def _sentence(error: EnvironmentFailedError) -> str:
    return error.message.removesuffix(".")
