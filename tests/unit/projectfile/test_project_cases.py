from __future__ import annotations

import pytest

from project_cases import EXPECTED, PROJECTS, found_in

CASES = sorted(file.parent.name for file in PROJECTS.glob(f"*/{EXPECTED}"))


@pytest.mark.parametrize("case", CASES)
def test_a_project_file_is_found_right_or_wrong_as_expected(case: str) -> None:
    assert found_in(case) == (PROJECTS / case / EXPECTED).read_text(encoding="utf-8")


def test_there_are_cases() -> None:
    assert len(CASES) > 40
