from __future__ import annotations

import csv
import io
import json
import math
import os
import threading
from typing import TYPE_CHECKING

import pytest

from proj.model import Metric
from proj.place import open_tracking
from records import record_run

if TYPE_CHECKING:
    from pathlib import Path

    from records import Command


@pytest.fixture
def many() -> list[str]:
    """Record 25 runs, more than a list shows; their names, newest first."""
    return [record_run(f"run-{number:02}", started_ago_s=number).run_name for number in range(25)]


def names(text: str) -> list[str]:
    return [row["run_name"] for row in csv.DictReader(io.StringIO(text, newline=""))]


def test_csv_has_all_runs_unless_told_otherwise(
    proj: Command, many: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proj.table.RUNS_AT_ONCE", 7)
    assert names(proj("runs", "--csv").out) == many
    assert names(proj("runs", "--csv", "-n", "14").out) == many[:14]
    assert [run["run_name"] for run in proj("runs", "--json").data["runs"]] == many[:20]


def test_a_file_has_what_would_be_printed(proj: Command, many: list[str], tmp_path: Path) -> None:
    for form in ("csv", "json"):
        printed = proj("runs", f"--{form}", "-n", "1000").out
        by_ending, by_option = tmp_path / f"runs.{form}", tmp_path / f"runs-{form}"
        answer = proj("runs", "-o", str(by_ending))
        assert (answer.exit_code, answer.out) == (0, "")
        assert f"Wrote 25 runs to {by_ending}" in answer.err
        assert proj("runs", f"--{form}", "-o", str(by_option)).exit_code == 0
        assert by_ending.read_text(encoding="utf-8") == by_option.read_text(encoding="utf-8") == printed
    assert [run["run_name"] for run in json.loads(printed)["data"]["runs"]] == many


def test_json_that_is_streamed_is_json_as_ever(proj: Command) -> None:
    record_run("one", params={"p": "a\nb"}, metrics={"m": math.nan})
    for options in (["--metric", "m != 1", "--sort", "metrics.m", "-n", "1"], ["--deleted"]):
        text = proj("runs", "--json", *options).out
        envelope = json.loads(text)
        assert list(envelope) == ["version", "command", "ok", "data"]
        assert list(envelope["data"]) == ["runs", "more", "asked_for"]
        assert text == json.dumps(envelope, indent=2) + "\n"


def test_a_file_is_replaced_whole_or_not_at_all(proj: Command, tmp_path: Path) -> None:
    file = tmp_path / "runs.csv"
    file.write_text("before")
    assert proj("runs", "--filter", "metrics.", "-o", str(file)).exit_code == 2
    assert file.read_text() == "before"
    link = tmp_path / "link.csv"
    link.symlink_to(file)
    assert proj("runs", "-o", str(link)).exit_code == 0
    assert file.read_text().startswith("run_id,")
    assert link.is_symlink()
    assert {entry.name for entry in tmp_path.iterdir()} == {"link.csv", "runs.csv"}


def test_a_pipe_is_written_to(proj: Command, tmp_path: Path) -> None:
    record_run("one")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    assert proj("runs", "--csv", "-o", str(pipe)).exit_code == 0
    reader.join(60)
    assert names(read[0]) == ["one"]


@pytest.mark.parametrize(
    ("options", "exit_code", "message"),
    [
        (["--csv", "--json"], 2, "exclude each other"),
        (["-o", "runs.txt"], 2, "Add --csv or --json"),
        (["-o", "/nowhere/runs.csv"], 125, "/nowhere/runs.csv cannot be written"),
    ],
)
def test_what_cannot_be_written_is_said(
    proj: Command, options: list[str], exit_code: int, message: str
) -> None:
    answer = proj("runs", *options)
    assert answer.exit_code == exit_code
    assert message in answer.out + answer.err


# --- metrics ------------------------------------------------------------------------------------------


@pytest.fixture
def two_runs() -> tuple[str, str]:
    """Record two runs with metrics; their ids."""
    first = record_run("first", metrics={"rmse": 0.5, "it's\x1b": 1})
    second = record_run("second", metrics={"rmse": math.inf}, started_ago_s=60)
    points = [Metric(key="loss", value=1 / (step + 1), timestamp_ms=step, step=step) for step in range(5)]
    with open_tracking() as tracking:
        tracking.runs.log(first.run_id, metrics=points)
    return first.run_id, second.run_id


def test_the_latest_values(proj: Command, two_runs: tuple[str, str]) -> None:
    answer = proj("metrics", *two_runs)
    assert answer.exit_code == 0
    head, *lines = answer.out.splitlines()
    assert head.split() == ["RUN", "METRIC", "STEP", "TIME", "VALUE"]
    assert [(line.split()[0], line.split()[-1]) for line in lines] == [
        (two_runs[0][:8], "1.0"),
        (two_runs[0][:8], "0.2"),
        (two_runs[0][:8], "0.5"),
        (two_runs[1][:8], "inf"),
    ]
    assert "\x1b" not in answer.out


def test_histories(proj: Command, two_runs: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proj.table.POINTS_AT_ONCE", 2)
    options = ("first", "second", "--history", "--key", "loss", "--key", "rmse")
    rows = list(csv.DictReader(io.StringIO(proj("metrics", *options, "--csv").out)))
    assert list(rows[0]) == ["run_id", "key", "step", "timestamp", "value"]
    assert [(row["run_id"], row["key"], int(row["step"])) for row in rows] == [
        *((two_runs[0], "loss", step) for step in range(5)),
        *((run_id, "rmse", 7) for run_id in two_runs),
    ]
    assert rows[1]["timestamp"] == "1970-01-01T00:00:00.001Z"
    assert [float(row["value"]) for row in rows] == [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 0.5, math.inf]
    points = proj("metrics", *options, "--json").data["points"]
    assert [point["step"] for point in points] == [0, 1, 2, 3, 4, 7, 7]
    assert points[0] == {"run_id": two_runs[0], "key": "loss", "step": 0, "timestamp_ms": 0, "value": 1.0}
    assert len(proj("metrics", *options).out.splitlines()) == 8


def test_histories_go_to_a_file(proj: Command, two_runs: tuple[str, str], tmp_path: Path) -> None:
    file = tmp_path / "loss.csv"
    answer = proj("metrics", two_runs[0], "--history", "--key", "loss", "-o", str(file))
    assert "Wrote 5 points" in answer.err
    assert len(file.read_text().splitlines()) == 6


@pytest.mark.usefixtures("two_runs")
def test_what_is_not_there_is_said(proj: Command) -> None:
    assert "Did you mean 'rmse'?" in proj("metrics", "first", "--key", "rmsee").err
    assert "no run" in proj("metrics", "first", "f" * 32).err
    record_run("none")
    assert proj("metrics", "none").err == "No metrics.\n"
    assert proj("metrics", "none", "--json").data == {"points": []}
