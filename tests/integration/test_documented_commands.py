"""Every command line in README and docs is run, page by page, in a scratch copy of the repository.

A page's `console` blocks are run in their order, lines that begin with `$ ` by bash, in one folder. A comment
right above a block says why it is not run (`<!-- not run: reason -->`), or with which exit code its last line
ends (`<!-- exit: 2 -->`).
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from proj import process

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"(?:<!-- (?P<rule>.*?) -->\n+)?```console\n(?P<body>.*?)```", re.DOTALL)


def _blocks(page: Path) -> list[tuple[list[str], int]]:
    found = []
    for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
        rule = match["rule"] or ""
        if rule.startswith("not run:"):
            continue
        code = int(rule.removeprefix("exit:")) if rule.startswith("exit:") else 0
        lines = [line[2:] for line in match["body"].splitlines() if line.startswith("$ ")]
        found.append((lines, code))
    return found


PAGES = [
    page
    for page in sorted(
        [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    )
    if _blocks(page)
]


def _scratch(tmp_path: Path) -> Path:
    """Copy what git tracks, as a clone would, into an empty folder."""
    folder = tmp_path / "clone"
    listed = process.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT
    ).stdout
    for name in filter(None, listed.split("\0")):
        source = ROOT / name
        if source.is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    return folder


@pytest.mark.network
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_command_lines_of_a_page_do_what_they_say(page: Path, tmp_path: Path) -> None:
    folder = _scratch(tmp_path)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # The suite must not start itself: the README's second command is what runs this very test.
    variables: dict[str, str | None] = {
        "PATH": path,
        "PROJ_TEST_WITH": None,
        "PYTEST_ADDOPTS": "--collect-only",
    }
    for lines, code in _blocks(page):
        for number, line in enumerate(lines, start=1):
            done = process.run(["bash", "-c", line], cwd=folder, env=variables, check=False, timeout_s=600)
            expected = code if number == len(lines) else 0
            assert done.returncode == expected, f"$ {line}\n{done.stdout}\n{done.stderr}"
