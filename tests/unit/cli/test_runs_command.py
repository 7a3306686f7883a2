from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING

import pytest

from proj.model import RunStatus
from records import record_run

if TYPE_CHECKING:
    from records import Answer, Command


@pytest.fixture
def four_runs() -> None:
    """Record a, b, c, d, newest first."""
    record_run("a", params={"alpha": "0.1", "it's": 'a "b"'}, metrics={"rmse": 0.7}, tags={"team": "red"})
    record_run("b", params={"alpha": "0.2"}, metrics={"rmse": 0.5}, started_ago_s=60)
    failed = {"proj.failure": "user_exit", "proj.exit_code": "3", "mlflow.project.entryPoint": "train"}
    record_run("c", status=RunStatus.FAILED, metrics={"rmse": math.nan}, tags=failed, started_ago_s=7200)
    commit = {"mlflow.source.git.commit": "abcdef0" * 5, "mlflow.source.git.dirty": "true"}
    record_run("d", experiment="tea", tags=commit, started_ago_s=7201)


def names(answer: Answer) -> str:
    assert answer.exit_code == 0, answer.err
    return "".join(run["run_name"] for run in answer.data["runs"])


@pytest.mark.usefixtures("four_runs")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "abcd"),
        (["-n", "2"], "ab"),
        (["--experiment", "tea"], "d"),
        (["--experiment", "tea", "--experiment", "wine"], "abcd"),
        (["--experiment", "1"], "abc"),
        (["--status", "failed"], "c"),
        (["--status", "FAILED", "--status", "FINISHED"], "abcd"),
        (["--tag", "team=red"], "a"),
        (["--param", "alpha=0.2"], "b"),
        (["--param", 'it\'s=a "b"'], "a"),
        (["--metric", "rmse<0.6"], "b"),
        (["--metric", "rmse >= 0.5", "--metric", "rmse!=0.5"], "a"),
        (["--filter", "metrics.rmse > 0.6 and params.alpha = '0.1'"], "a"),
        (["--filter", "metrics.rmse > 0.1", "--param", "alpha=0.2"], "b"),
        (["--sort", "metrics.rmse"], "bacd"),
        (["--sort", "-metrics.rmse"], "abcd"),
        (["--sort", "start_time"], "dcba"),
        (["--deleted"], ""),
    ],
)
def test_runs_are_chosen_and_sorted(proj: Command, options: list[str], expected: str) -> None:
    assert names(proj("runs", "--json", *options)) == expected


@pytest.mark.usefixtures("four_runs")
def test_the_table_shows_what_matters(proj: Command) -> None:
    answer = proj("runs")
    head, *lines = answer.out.splitlines()
    assert head.split()[:3] == ["RUN", "NAME", "STATUS"]
    assert {"STARTED", "TOOK", "COMMIT", "EXPERIMENT", "metrics.rmse", "params.alpha"} <= set(head.split())
    assert "FAILED user_exit 3" in lines[2]
    assert "2h ago" in lines[2]
    assert "nan" in lines[2]
    assert "abcdef0+" in lines[3]
    assert "12s" in lines[0]


@pytest.mark.usefixtures("four_runs")
def test_more_than_the_limit_is_said(proj: Command) -> None:
    assert "There are more runs: -n 15 lists" in proj("runs", "-n", "3").err
    assert "There are more" not in proj("runs", "-n", "4").err
    assert proj("runs", "-n", "3", "--json").data["more"] is True


@pytest.mark.usefixtures("four_runs")
def test_a_run_as_json(proj: Command) -> None:
    (run,) = proj("runs", "--json", "--status", "FAILED").data["runs"]
    assert (run["failure"], run["exit_code"], run["entry_point"]) == ("user_exit", 3, "train")
    assert (run["duration_s"], run["experiment"], run["metrics"]) == (12.0, "wine", {"rmse": None})


@pytest.mark.usefixtures("four_runs")
def test_runs_as_csv(proj: Command) -> None:
    rows = list(csv.DictReader(io.StringIO(proj("runs", "--csv").out)))
    assert [row["run_name"] for row in rows] == ["a", "b", "c", "d"]
    assert rows[0]["params.it's"] == 'a "b"'
    assert [row["metrics.rmse"] for row in rows] == ["0.7", "0.5", "nan", ""]


def test_no_runs(proj: Command) -> None:
    assert proj("runs") == type(proj("runs"))(0, "", "No runs.\n")
    assert proj("runs", "--json").data["runs"] == []


@pytest.mark.usefixtures("four_runs")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--experiment", "win"], "Did you mean 'wine'?"),
        (["--metric", "rmse"], "Not a comparison"),
        (["--metric", "rmse<low"], "compared with a number"),
        (["--param", "alpha"], "--param name=value"),
        (["--filter", "params.alpha = 1"], "column 16"),
        (["--sort", "metrics"], "no attribute 'metrics'"),
        (["-n", "0"], "range"),
        (["-n", "99999999999999999999"], "1<=x<=1000000"),
    ],
)
def test_what_cannot_be_understood_is_a_usage_error(proj: Command, options: list[str], message: str) -> None:
    answer = proj("runs", *options)
    assert answer.exit_code == 2
    assert message in answer.err


def test_values_cannot_draw_on_the_terminal(proj: Command) -> None:
    record_run("a", params={"p": "\x1b[31mred\nline"}, metrics={"m\x1b": 1.0}, tags={"t": "\x07"})
    for answer in (proj("runs"), proj("show", "latest")):
        assert not set(answer.out) & {"\x1b", "\x07"}


def test_values_in_csv_are_as_they_are(proj: Command) -> None:
    record_run("one", params={"bell": "a\x07b"})
    assert "a\x07b" in proj("runs", "--csv").out
    assert "a\x07b" not in proj("runs").out


def test_of_many_experiments_some_are_named(proj: Command) -> None:
    for number in range(30):
        record_run(f"r{number}", experiment=f"e{number:02}")
    said = proj("runs", "--experiment", "none of them").err
    assert "e17" in said
    assert "e25" not in said
    assert "and 11 more." in said
