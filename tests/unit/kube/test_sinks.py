from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proj.kube.earlier import GAP
from proj.kube.sinks import Sink

if TYPE_CHECKING:
    from pathlib import Path


def lines(first: int, last: int) -> bytes:
    return b"".join(b"line %d\n" % number for number in range(first, last + 1))


def written(path: Path, *pieces: bytes) -> bytes:
    sink = Sink(path, None, resumed=True)
    for piece in pieces:
        sink.write(piece)
    sink.close()
    assert sink.log_error is None
    return path.read_bytes()


@pytest.mark.parametrize(
    ("earlier", "pieces", "expected"),
    [
        (b"", [lines(1, 3)], lines(1, 3)),
        (lines(1, 3), [], lines(1, 3)),
        (lines(1, 3), [lines(1, 5)], lines(1, 5)),
        (lines(1, 5), [lines(1, 3)], lines(1, 5)),  # the rest is on its way
        (lines(1, 6), [lines(5, 7)], lines(1, 7)),  # the file was rotated
        (lines(1, 6), [lines(5, 5), lines(6, 7)], lines(1, 7)),
        (lines(1, 6)[:-3], [lines(6, 7)], lines(1, 7)),  # killed within a line
        (lines(1, 3), [lines(8, 9)], lines(1, 3) + GAP + lines(8, 9)),
        (lines(1, 3)[:-1], [lines(8, 9)], lines(1, 3) + GAP + lines(8, 9)),
        (b"a\n" + lines(1, 3), [b"a\n", lines(8, 9)], b"a\n" + lines(1, 3) + GAP + b"a\n" + lines(8, 9)),
        (b"go\nx\ngo\ny\n", [b"go\n", b"y\nz\n"], b"go\nx\ngo\ny\nz\n"),  # it fits in the second place
    ],
)
def test_what_was_recorded_stays(
    tmp_path: Path, earlier: bytes, pieces: list[bytes], expected: bytes
) -> None:
    path = tmp_path / "stdout.log"
    path.write_bytes(earlier)
    assert written(path, *pieces) == expected


@given(
    log=st.lists(st.integers(), unique=True, max_size=99).map(lambda all_: [b"%d\n" % each for each in all_]),
    ends=st.floats(0, 1),
    begins=st.floats(0, 1),
    size=st.integers(1, 200),
)
def test_whatever_is_rotated_away_each_line_is_there_once(
    tmp_path_factory: pytest.TempPathFactory, log: list[bytes], ends: float, begins: float, size: int
) -> None:
    had, kept = int(len(log) * ends), int(len(log) * begins)
    path = tmp_path_factory.mktemp("log") / "stdout.log"
    path.write_bytes(b"".join(log[:had]))
    again = b"".join(log[kept:])
    found = written(path, *(again[at : at + size] for at in range(0, len(again), size)))
    if kept == 0 or kept < had:
        assert found == b"".join(log)
    else:
        gap = [GAP] if had and kept < len(log) else []
        assert found == b"".join((*log[:had], *gap, *log[kept:]))


def test_what_is_replaced_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "stderr.log"
    path.write_bytes(b"old\n")
    sink = Sink(path, None, again=True)
    assert path.read_bytes() == b"old\n"
    sink.write(b"new\n")
    sink.close()
    assert path.read_bytes() == b"new\n"


@pytest.mark.parametrize("pieces", [[b"a\nb\nc\nd\n"], [b"a\n", b"b\nc\n", b"d\n"], [b"c\nd\n"], []])
def test_who_looks_on_sees_each_byte_of_a_resumed_log_once(tmp_path: Path, pieces: list[bytes]) -> None:
    (tmp_path / "log").write_bytes(b"a\nb\nc")
    seen: list[bytes] = []
    sink = Sink(tmp_path / "log", None, resumed=True, tap=seen.append)
    for piece in pieces:
        sink.write(piece)
    sink.close()
    assert seen[-1] == b""
    assert b"".join(seen) == (tmp_path / "log").read_bytes() == (b"a\nb\nc\nd\n" if pieces else b"a\nb\nc")
