from __future__ import annotations

import re

import pytest

from proj.cli import wording
from proj.times import now_ms


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.312, "0.31s"), (9.5, "9.50s"), (42.4, "42s"), (185, "3m05s"), (3599.9, "1h00m"), (7440, "2h04m"),
        (266400, "3d02h"),
    ],
)  # fmt: skip
def test_spans(seconds: float, text: str) -> None:
    assert wording.span(seconds) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (5 * 2**20, "5.0 MiB"),
        (2**31, "2.0 GiB"),
        (2**50, "1024.0 TiB"),
    ],
)
def test_sizes(size_bytes: int, text: str) -> None:
    assert wording.size(size_bytes) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s ago"), (61, "1m ago"), (7300, "2h ago")])
def test_ago(seconds: int, text: str) -> None:
    assert wording.ago(now_ms() - seconds * 1000) == text


def test_long_ago_is_a_date_and_the_future_is_now() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", wording.ago(1_600_000_000_000))
    assert wording.ago(now_ms() + 60_000) == "0s ago"


def test_text_is_cut_and_made_harmless() -> None:
    assert wording.shortened("a\n b\tc", 10) == "a b c"
    assert wording.shortened("abcdefgh", 4) == "abc…"
    assert wording.one_line("\x1b[1mé") == "\N{REPLACEMENT CHARACTER}[1mé"


def test_counts() -> None:
    assert (wording.counted(1, "run"), wording.counted(0, "run")) == ("1 run", "0 runs")
