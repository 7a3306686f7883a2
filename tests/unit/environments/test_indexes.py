"""Credentials that are kept out of locks, and given to installers again."""

from __future__ import annotations

import pytest

from proj.environments.indexes import restore_credentials
from proj.environments.variables import without_literal_logins

SHIPPED = """\
index = "https://u:pw@h"
url = "https://h.example.net/a.whl"
url = 'https://u2:pw2@h/p2.whl#sha256=1'
url = "https://h/p3.whl"
"""


def test_a_lock_s_own_credentials_go_back_to_the_same_urls() -> None:
    assert restore_credentials(without_literal_logins(SHIPPED), (), shipped=SHIPPED) == SHIPPED


@pytest.mark.parametrize(
    ("line", "url", "expected"),
    [
        ("a @ https://u:pw@h", "https://h.example.net/a.whl", "https://h.example.net/a.whl"),
        ("a @ https://u:pw@h", "https://h:8080/a.whl", "https://h:8080/a.whl"),
        ("a @ https://u:pw@h", "https://h@other/a.whl", "https://h@other/a.whl"),
        ("a @ https://u:pw@h/a", "https://h/ab.whl", "https://h/ab.whl"),
        ("a @ https://u:pw@h", "https://h", "https://u:pw@h"),
        ("a @ https://u:pw@h", "https://h/a.whl", "https://u:pw@h/a.whl"),
        ("a @ https://u:pw@h/a/", "https://h/a/b.whl", "https://u:pw@h/a/b.whl"),
        ("a @ https://u:pw@h/a.whl#x=1", "https://h/a.whl#y=2", "https://u:pw@h/a.whl#y=2"),
        ("a @ git+https://u:pw@h/a.git", "https://h/a.git?x", "https://u:pw@h/a.git?x"),
        (r"a @ https://u:p\1w@h/a", "https://h/a", r"https://u:p\1w@h/a"),
    ],
)
def test_a_requirement_s_credentials_go_to_what_is_below_its_url(line: str, url: str, expected: str) -> None:
    assert restore_credentials(f'url = "{url}"\n', [line]) == f'url = "{expected}"\n'


def test_the_longest_url_of_the_requirements_counts() -> None:
    lines = ["a @ https://u:pw@h", "b @ https://v:pw2@h/b"]
    for given in (lines, lines[::-1]):
        restored = restore_credentials('"https://h/a" "https://h/b/c"', given)
        assert restored == '"https://u:pw@h/a" "https://v:pw2@h/b/c"'
