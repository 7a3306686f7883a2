from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proj.kube.logs import LogDecoder

SECOND = "2026-11-30T04:24:{:02}.{:09}Z"


def stamp(tick: int) -> bytes:
    return SECOND.format(tick // 4, tick % 4 * 250_000_000).encode()


def entries(*contents: bytes) -> bytes:
    """A log as kubelets write it, an entry each quarter of a second."""
    return b"".join(stamp(tick) + b" " + content for tick, content in enumerate(contents))


def decoded(*pieces: bytes) -> bytes:
    out: list[bytes] = []
    decoder = LogDecoder(out.append)
    for piece in pieces:
        decoder.feed(piece)
    decoder.flush()
    return b"".join(out)


def test_time_stamps_are_taken_out() -> None:
    assert decoded(entries(b"a\n", b"\n", b"b")) == b"a\n\nb"


def test_a_long_line_in_pieces_is_one_line() -> None:
    # Docker and containerd cut lines at 16 KiB; older kubelets put a time stamp before each piece.
    assert decoded(entries(b"x" * 16384, b"y" * 16384, b"z\n")) == b"x" * 16384 + b"y" * 16384 + b"z\n"


def test_what_a_program_says_of_the_time_is_its_own() -> None:
    # A program's time stamp is older than the one that its line gets.
    text = stamp(0) + b" is when it began: " + stamp(1) + b" so it was\n"
    assert decoded(stamp(2) + b" " + text) == text


def test_a_clock_that_goes_backwards_loses_nothing() -> None:
    assert decoded(stamp(5) + b" a\n" + stamp(2) + b" b\n" + stamp(3) + b" c\n") == b"a\nb\nc\n"


def test_the_last_words_of_two_streams_may_change_places() -> None:
    first, later = (b"2026-11-30T09:38:18.2878%dZ " % digits for digits in (73777, 90894))
    begun = b"2026-11-30T09:38:18.243537060Z out\n"
    assert decoded(begun + later + b"err" + first + b" end") == b"out\nerr end"
    # Elsewhere what is earlier is the program's own.
    assert decoded(begun + later + b"at " + first + b"\n") == b"out\nat " + first + b"\n"
    assert decoded(begun + later + b"at " + stamp(0) + b" it began") == b"out\nat " + stamp(0) + b" it began"


def test_other_time_zones_are_understood() -> None:
    out: list[bytes] = []
    decoder = LogDecoder(out.append)
    decoder.feed(b"2026-11-30T04:24:33.123456789+02:00 a\n")
    assert decoder.since == "2026-11-30T04:24:33+02:00"
    assert out == [b"a\n"]


def test_a_line_without_an_end_needs_no_endless_memory() -> None:
    out: list[bytes] = []
    decoder = LogDecoder(out.append)
    decoder.feed(stamp(0) + b" ")
    for _ in range(40):
        decoder.feed(b"x" * 65536)
    assert sum(map(len, out)) > 1_000_000
    decoder.flush()
    assert b"".join(out) == b"x" * 65536 * 40


contents = st.lists(
    st.sampled_from([b"a\n", b"\n", b"a", b"long " * 30 + b"\n", b"\xff\0\r\n", stamp(0) + b" told\n"]),
    min_size=1,
    max_size=12,
)


@given(
    lines=contents,
    ticks=st.lists(st.integers(0, 2), min_size=12, max_size=12),
    cuts=st.lists(st.integers(0, 400), max_size=4),
    size=st.integers(1, 50),
)
def test_each_byte_comes_once_whatever_is_cut(
    lines: list[bytes], ticks: list[int], cuts: list[int], size: int
) -> None:
    """The server sends all from the second of `sinceTime` on; entries may share a time stamp."""
    now, log = 4, []
    for content, tick in zip(lines, ticks, strict=False):
        now += tick
        log.append((stamp(now), content))
    out: list[bytes] = []
    decoder = LogDecoder(out.append)
    for limit in (*cuts, None):
        since = decoder.since
        decoder.resume()
        text = b"".join(
            when + b" " + content
            for when, content in log
            if since is None or when[:19] >= since[:19].encode()
        )[:limit]
        for at in range(0, len(text), size):
            decoder.feed(text[at : at + size])
    decoder.flush()
    assert b"".join(out) == b"".join(lines)


@pytest.mark.parametrize("count", [1, 3])
def test_a_cut_before_anything_came_begins_anew(count: int) -> None:
    out: list[bytes] = []
    decoder = LogDecoder(out.append)
    for _ in range(count):
        decoder.resume()
    assert decoder.since is None
    decoder.feed(entries(b"a\n"))
    assert out == [b"a\n"]
