from __future__ import annotations

import pytest

from proj.errors import UsageError
from proj.times import parse_duration, parse_time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1.5", 1.5), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172800), ("1W", 604800)],
)
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "10x", "m", "1h30", "-5s", "99999999999w"])
def test_what_is_no_length_of_time(text: str) -> None:
    with pytest.raises(UsageError, match="Not a length of time"):
        parse_duration(text)


def test_a_date_means_its_end_and_a_time_itself() -> None:
    assert parse_time("1970-01-01") == 86400
    assert parse_time("1970-01-01T00:01:00Z") == 60
    assert parse_time("1970-01-01T01:00:00+01:00") == 0
    assert parse_time("1970-01-01 00:00:05") == 5


@pytest.mark.parametrize("text", ["yesterday", "2021-13-01", "2021", "9999-12-31"])
def test_what_is_no_point_in_time(text: str) -> None:
    with pytest.raises(UsageError, match="Not a date or time"):
        parse_time(text)
