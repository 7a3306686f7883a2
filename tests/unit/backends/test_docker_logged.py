from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proj.backends.docker.logged import Logged

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("data", "size_bytes"),
    [
        (b"plain\n", 6),
        ("käse".encode(), 5),
        (b"\xff\xfe", 6),
        # Go replaces each byte of a character that was cut off; Python would take them together.
        (b"\xe2\x82x", 7),
    ],
)
def test_bytes_that_are_no_text_are_three_in_the_engine_s_log(data: bytes, size_bytes: int) -> None:
    logged = Logged()
    logged.add(data)
    assert logged.size_bytes == size_bytes


def test_a_character_may_come_in_two_pieces() -> None:
    logged = Logged()
    logged.add(b"\xe2\x82")
    assert logged.size_bytes == 2
    logged.add(b"\xac!")
    assert logged.size_bytes == 4


def test_what_is_stored_counts(tmp_path: Path) -> None:
    logged = Logged()
    logged.add_file(tmp_path / "absent")
    (tmp_path / "log").write_bytes(b"ab\xff")
    logged.add_file(tmp_path / "log")
    assert logged.size_bytes == 5
