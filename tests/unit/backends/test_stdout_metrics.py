from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proj import events
from proj.backends.stdout_metrics import MetricReader

if TYPE_CHECKING:
    from collections.abc import Iterable

Point = tuple[str, float, int]


def read(*pieces: bytes) -> list[Point]:
    seen: list[Point] = []
    reader = MetricReader(lambda key, value, step: seen.append((key, value, step)))
    for piece in (*pieces, b""):
        reader.feed(piece)
    return seen


@pytest.mark.parametrize(
    ("line", "point"),
    [
        (b"loss: 0.31", ("loss", 0.31, 0)),
        (b"loss: 0.31 (step 40)", ("loss", 0.31, 40)),
        (b"  val/loss:-1e-3(step 7)  ", ("val/loss", -0.001, 7)),
        (b"top-1 acc. : 90", ("top-1 acc.", 90.0, 0)),
        (b"x: .5", ("x", 0.5, 0)),
        (b"x: 5.", ("x", 5.0, 0)),
        (b"x: INF", ("x", math.inf, 0)),
        (b"x: -infinity", ("x", -math.inf, 0)),
        ("größe: 2".encode(), ("größe", 2.0, 0)),
        (b"\x1b[1mloss\x1b[0m: \x1b[32m0.5\x1b[K", ("loss", 0.5, 0)),
    ],
)
def test_a_metric_is_read(line: bytes, point: Point) -> None:
    assert read(line + b"\n") == [point]


@pytest.mark.parametrize(
    "line",
    [
        b"loss 0.31",
        b"loss: 0.31 seconds",
        b"loss: 0.31%",
        b"loss: high",
        b"12:30:01 loss: 1",
        b"epoch 1, loss: 1",
        b": 1",
        b"loss:",
        b"../loss: 1",
        b"/loss: 1",
        b"a//b: 1",
        b"x" * 251 + b": 1",
        b"x" * 5000 + b": 1",
        b"loss: 1 (step -1)",
        b"\xff: 1",
    ],
)
def test_anything_else_is_not(line: bytes) -> None:
    assert read(line + b"\n") == []


def test_nan_is_a_value() -> None:
    [(_key, value, _step)] = read(b"loss: nan\n")
    assert math.isnan(value)


def test_steps_count_for_each_key_and_go_on_after_a_given_one() -> None:
    text = b"a: 1\nb: 1\na: 2\na: 3 (step 10)\na: 4\nb: 2\n"
    assert [(key, step) for key, _value, step in read(text)] == [
        ("a", 0),
        ("b", 0),
        ("a", 1),
        ("a", 10),
        ("a", 11),
        ("b", 1),
    ]


def test_a_carriage_return_ends_a_line() -> None:
    assert [value for _key, value, _step in read(b"loss: 1\rloss: 2\r\nloss: 3")] == [1, 2, 3]


def test_a_long_line_in_pieces_takes_no_memory_and_yields_nothing() -> None:
    assert read(*[b"x" * 100_000] * 10, b": 1\nloss: 1\n") == [("loss", 1.0, 0)]


def test_a_failing_sink_is_told_once() -> None:
    def fail(key: str, value: float, step: int) -> None:
        raise OSError("disk is full")

    told: list[events.Event] = []
    reader = MetricReader(fail)
    with events.listening(told.append):
        reader.feed(b"a: 1\na: 2\n")
        reader.feed(b"a: 3\n")
    assert [event.message for event in told] == ["Metrics are no longer read from the output: disk is full"]


@given(st.binary(max_size=300), st.lists(st.integers(0, 300)))
def test_pieces_make_no_difference(data: bytes, cuts: Iterable[int]) -> None:
    text = b"loss: 1\n" + data.replace(b"x", b"acc: 2\n")
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    pieces = [piece for piece in map(text.__getitem__, map(slice, places, places[1:])) if piece]
    assert repr(read(*pieces)) == repr(read(text))
