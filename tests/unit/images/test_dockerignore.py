"""What docker's documentation says of `.dockerignore`; `tests/integration` compares with docker itself."""

from __future__ import annotations

import pytest

from proj.errors import ImageError
from proj.images.dockerignore import IgnoreRules

CASES = [
    ("a", "a", True),
    ("a", "b/a", False),
    ("/a", "a", True),
    ("a", "a/b/c", True),
    ("a/", "a/b", True),
    ("./a", "a", True),
    ("a/../b", "b", True),
    ("*/temp*", "x/temporary.txt", True),
    ("*/temp*", "x/y/temporary.txt", False),
    ("temp?", "tempa", True),
    ("temp?", "temp", False),
    ("*", "a/b", True),
    ("**", "a/b", True),
    ("**/*.go", "a.go", True),
    ("**/*.go", "x/y/a.go", True),
    ("x/**", "x/y/z", True),
    ("x/**", "y", False),
    ("a/**/b", "a/b", True),
    ("a/**/b", "a/x/y/b", True),
    ("# a", "# a", False),
    (" a ", "a", True),
    ("*.md\n!README*.md\nREADME-secret.md", "README.md", False),
    ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", True),
    ("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", False),
    ("a\n!a/keep", "a/keep", False),
    ("a\n!a/keep", "a/other", True),
    ("! a", "a", False),
    ("[a-c]x", "bx", True),
    ("[^a-c]x", "bx", False),
    ("\\#a", "#a", True),
    ("a+(b).c$", "a+(b).c$", True),
    ("é*", "éa", True),
    ("a\r\nb\r", "b", True),
    ("\ufeffa", "a", True),
    ("data", "database", False),
]


@pytest.mark.parametrize(("text", "path", "ignored"), CASES)
def test_a_path_is_ignored_as_by_docker(text: str, path: str, ignored: bool) -> None:
    assert IgnoreRules(text, ".dockerignore").ignores(path) is ignored


@pytest.mark.parametrize("line", ["[", "a[b", "[b-a]", "a\\", "!"])
def test_a_line_that_is_no_pattern_is_named(line: str) -> None:
    with pytest.raises(ImageError, match=r"^\.dockerignore:2: "):
        IgnoreRules(f"a\n{line}\n", ".dockerignore")
