from __future__ import annotations

import pytest

from ports import _outside, own_port


@pytest.mark.parametrize(
    ("low", "high", "first", "last"),
    [
        (32_768, 60_999, 12_000, 29_999),
        (15_000, 65_535, 12_000, 14_999),
        (10_000, 20_000, 20_001, 29_999),
        (12_000, 65_535, 12_000, 29_999),
        (1024, 65_535, 12_000, 29_999),
    ],
)
def test_ports_are_those_that_the_system_gives_to_nobody(low: int, high: int, first: int, last: int) -> None:
    ports = _outside(low, high)
    assert (ports[0], ports[-1]) == (first, last)


def test_a_port_of_our_own_is_free() -> None:
    assert 12_000 <= own_port() <= 29_999
