from __future__ import annotations

import csv
import datetime as dt
import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proj import table
from proj.place import open_tracking
from proj.tracking.store import RunQuery
from records import record_run

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(st.lists(TEXT, min_size=1))
def test_text_comes_back_from_a_line(cells: list[str]) -> None:
    line = table.csv_line(cells)
    assert list(csv.reader(io.StringIO(line, newline=""), strict=True)) == [cells]


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        (None, ""),
        ("", '""'),
        ("a", "a"),
        ("a,b", '"a,b"'),
        ('a"b', '"a""b"'),
        ("a\rb", '"a\rb"'),
        ("=1+1", "=1+1"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (0.1 + 0.2, "0.30000000000000004"),
        (7, "7"),
        (dt.datetime(2026, 11, 21, 4, 5, 6, 700_000, dt.timezone.utc), "2026-11-21T04:05:06.700Z"),
    ],
)
def test_a_cell(cell: str | float | dt.datetime | None, written: str) -> None:
    assert table.csv_line([cell]) == f"{written}\n"


def test_times_are_exact() -> None:
    assert table.utc(None) is None
    assert table.utc(10**18) is None
    moment = table.utc(1_700_000_000_123)
    assert moment is not None
    assert table.iso(moment) == "2023-11-14T22:13:20.123Z"


def test_columns_are_those_of_all_runs() -> None:
    record_run("a", params={"p": "1"}, metrics={"m": 1}, started_ago_s=1)
    record_run("b", params={"q": ""}, metrics={"n": math.nan}, tags={"t": "x\ny"})
    with open_tracking() as tracking:
        names = table.experiment_names(tracking.runs.experiments())
        found = table.runs(tracking.runs, RunQuery())
        text = "".join(table.runs_csv(found, names, io.BytesIO()))
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert tuple(rows[0])[: len(table.RUN_COLUMNS)] == table.RUN_COLUMNS
    columns = ("run_name", "metrics.m", "metrics.n", "params.p", "params.q", "tags.t", "experiment")
    assert [[row[column] for column in columns] for row in rows] == [
        ["b", "", "nan", "", "", "x\ny", "wine"],
        ["a", "1.0", "", "1", "", "", "wine"],
    ]
