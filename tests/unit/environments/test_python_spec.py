from __future__ import annotations

import pytest

from proj.environments.pythonspec import parse_python_spec, parse_version
from proj.errors import EnvironmentFailedError


@pytest.mark.parametrize(
    ("text", "fits", "not_fits"),
    [
        ("3.9.16", "3.9.16", "3.9.18"),
        ("3.9", "3.9.18", "3.10.1"),
        ("3.9.*", "3.9.0", "3.8.18"),
        ("==3.9.*", "3.9.0", "3.8.18"),
        ("3", "3.13.0", "4.0.0"),
        ("=3.8", "3.8.18", "3.9.1"),
        ("=3.8.5=h7579374_1", "3.8.5", "3.8.6"),
        ("python=3.8", "3.8.18", "3.9.1"),
        ("python3.11", "3.11.7", "3.12.1"),
        ("cpython-3.11", "3.11.7", "3.12.1"),
        (">=3.9", "3.13.0", "3.8.18"),
        (">=3.9,<3.12", "3.11.7", "3.12.0"),
        (">= 3.9, < 3.12", "3.11.7", "3.12.0"),
        (">3.9.5", "3.9.6", "3.9.5"),
        ("<=3.9", "3.9.0", "3.9.1"),
        ("~=3.9", "3.12.0", "3.8.0"),
        ("~=3.9.2", "3.9.5", "3.10.0"),
        ("^3.8", "3.12.0", "3.7.9"),
        ("~3.8", "3.8.1", "3.9.0"),
        ("!=3.9.1", "3.9.2", "3.9.1"),
        ("!=3.9.*", "3.10.2", "3.9.1"),
        ("'3.10'", "3.10.2", "3.1.0"),
        ("*", "3.6.0", "bad"),
    ],
)
def test_what_a_request_allows(text: str, fits: str, not_fits: str) -> None:
    spec = parse_python_spec(text)
    version = parse_version(fits)
    assert version is not None
    assert spec.allows(version)
    other = parse_version(not_fits)
    assert other is None or not spec.allows(other)


@pytest.mark.parametrize("text", ["pypy3.9", "three", "3.x", ">=", "3.9 or so", "graalpy"])
def test_what_is_no_request(text: str) -> None:
    with pytest.raises(EnvironmentFailedError, match="which Python"):
        parse_python_spec(text)


def test_exact_and_minor() -> None:
    assert parse_python_spec("3.9.16").exact == (3, 9, 16)
    assert parse_python_spec("3.9.16").minor == (3, 9)
    assert parse_python_spec("3.9").exact is None
    assert parse_python_spec(">=3.9").minor is None
