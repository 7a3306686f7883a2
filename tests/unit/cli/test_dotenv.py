from __future__ import annotations

import pytest

from proj.cli.dotenv import parse
from proj.errors import UsageError


def test_what_a_dotenv_file_may_hold() -> None:
    text = """
# a comment
A=1
export B = two words
C='single $x \\n'
D="double \\"quoted\\" and\\nmore"
E=value # a comment
F=a#b
G=
"""
    assert parse(text, ".env") == {
        "A": "1",
        "B": "two words",
        "C": "single $x \\n",
        "D": 'double "quoted" and\nmore',
        "E": "value",
        "F": "a#b",
        "G": "",
    }


def test_a_line_that_is_none_is_named() -> None:
    with pytest.raises(UsageError, match=r"\.env:2: not a NAME=value line: 'nonsense'"):
        parse("A=1\nnonsense\n", ".env")
