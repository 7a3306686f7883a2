from __future__ import annotations

import pytest

from proj.cli.output import Table, plain_table
from proj.cli.reproducetext import verification_blocks
from proj.compare import Row, Status

LONG = "python train.py --data {data} --rate 0.1 --epochs 100 --seed "
ROWS = (
    Row(group="code", item="tree", status=Status.SAME, left="a" * 40, right="a" * 40, required=True),
    Row(
        group="command", item="line", status=Status.DIFFERENT, required=True,
        left=f"{LONG}1", right=f"{LONG}2",
    ),
    Row(
        group="artifacts", item="a/very/long/path/of/an/artifact/model.pkl", status=Status.NOT_COMPARABLE,
        left="sha256:" + "1" * 64, right=None, reason="a reason that takes more than a line " * 3,
    ),
)  # fmt: skip


def shown(rows: tuple[Row, ...], width: int) -> tuple[list[str], list[str]]:
    """The lines of the table, and those below it."""
    table, *below = verification_blocks(rows, width)
    assert isinstance(table, Table)
    return plain_table(table), [line for line in below if isinstance(line, str)]


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_table_fits_and_shows_what_differs(width: int) -> None:
    lines, below = shown(ROWS, width)
    assert max(map(len, lines)) <= width
    assert lines[1].split()[-1] == "a" * 12, "the same value is shown once"
    assert [text[-1] for text in lines[2].split("  ") if text.endswith(("1", "2"))] == ["1", "2"]
    assert lines[3].endswith("optional")
    assert below[0] == ""
    assert below[1].startswith("artifacts: a/very/long/path/of/an/artifact/model.pkl: a reason")


def test_what_is_the_same_has_the_room_of_what_is_different() -> None:
    library = "scipy-openblas 0.3.31.188.0 of one"
    one = Row(group="interpreter", item="one for numbers", status=Status.SAME, left=library, right=library)
    lines, _ = shown((one,), 80)
    assert max(map(len, lines)) <= 80
    assert lines[1].endswith(f"interpreter: one for numbers  {library}"), "nothing is cut"


def test_of_digests_what_tells_them_apart_is_shown() -> None:
    digests = [f"sha256:{digit * 64}" for digit in "12"]
    row = Row(
        group="inputs", item="data", status=Status.DIFFERENT, left=digests[0], right=digests[1], required=True
    )
    lines, _ = shown((row,), 70)
    assert lines[1].split()[-2:] == [digest[:19] for digest in digests]


def test_many_that_are_the_same_are_one_row() -> None:
    rows = [Row(group="packages", item=f"p{n}", status=Status.SAME, left="1", right="1") for n in range(13)]
    lines, below = shown(tuple(rows), 80)
    assert [line.split() for line in lines[1:]] == [["same", "packages:", "all", "13"]]
    assert below == []
