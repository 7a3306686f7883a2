from __future__ import annotations

import re
from pathlib import Path

import pytest

from proj.projectfile import keys
from project_cases import EXPECTED, PROJECTS

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
TABLES = (keys.PROJECT, keys.ENTRY_POINT, keys.PARAMETER, keys.DOCKER, keys.EXTENSIONS)


@pytest.mark.parametrize("word", sorted({*keys.TYPES, *(name for table in TABLES for name in table)}))
def test_each_key_and_type_is_documented(word: str) -> None:
    rows = [line.split("|")[1] for line in _lines("reference/mlproject.md") if line.startswith("|")]
    assert any(f"`{word}`" in row for row in rows)


def test_each_finding_is_documented_with_its_severity() -> None:
    documented = set()
    for line in _lines("how-to/check.md"):
        row = re.fullmatch(r"\| `([\w-]+)` \| (\w+) \| .* \|", line)
        if row is not None:
            documented.add((row[1], row[2]))
    found = set()
    for file in PROJECTS.glob(f"*/{EXPECTED}"):
        for line in file.read_text(encoding="utf-8").splitlines():
            finding = re.match(r"(\w+) [\d:-]+ ([\w-]+):", line)
            if finding is not None:
                found.add((finding[2], finding[1]))
    assert len(found) > 25
    assert found <= documented
    codes = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "src" / "proj").glob("**/*.py"))
    assert not {code for code, _ in documented if f'"{code}"' not in codes}


def _lines(page: str) -> list[str]:
    return (DOCS / page).read_text(encoding="utf-8").splitlines()
