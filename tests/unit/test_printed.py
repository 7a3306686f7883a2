"""Metrics that a program printed while nobody who is left read them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from proj import events, printed
from proj.backends.stdout_metrics import MetricReader
from proj.errors import StoreError
from proj.model import Metric, NewRun
from proj.printed import Unlogged, catch_up, reading_on
from proj.tracking import open_tracking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from proj.tracking import Tracking


@pytest.fixture
def tracking() -> Iterator[Tracking]:
    with open_tracking() as opened:
        yield opened


def run_with(tracking: Tracking, *points: tuple[str, float, int]) -> str:
    run_id = tracking.runs.create_run(NewRun(experiment_id="0", run_name="r", started_ms=1)).run_id
    metrics = [Metric(key=key, value=value, timestamp_ms=7, step=step) for key, value, step in points]
    tracking.runs.log(run_id, metrics=metrics)
    return run_id


def points(tracking: Tracking, run_id: str, key: str = "loss") -> list[tuple[int, str]]:
    return sorted((point.step, repr(point.value)) for point in tracking.runs.metric_history(run_id, key))


def test_what_is_recorded_is_left_out_as_often_as_it_is(tracking: Tracking) -> None:
    run_id = run_with(tracking, ("loss", 0.5, 0), ("loss", math.nan, 1), ("loss", math.inf, 2))
    new: list[tuple[str, float, int]] = []
    unlogged = Unlogged(tracking, run_id, lambda *point: new.append(point))
    for _ in range(2):
        for point in (("loss", 0.5, 0), ("loss", math.nan, 1), ("loss", math.inf, 2)):
            unlogged(*point)
    unlogged("loss", 0.5, 1)
    unlogged("acc", 0.5, 0)
    assert [(key, step) for key, _, step in new] == [
        ("loss", 0), ("loss", 1), ("loss", 2), ("loss", 1), ("acc", 0)
    ]  # fmt: skip


def test_a_whole_log_is_caught_up_with(tracking: Tracking, tmp_path: Path) -> None:
    run_id = run_with(tracking, ("loss", 0.5, 0))
    catch_up(tracking, run_id, tmp_path / "away.log")
    (tmp_path / "stdout.log").write_text("loss: 0.5\nnoise\nloss: 0.25\nacc: 1 (step 9)\nloss: 0.125")
    for _ in range(2):
        catch_up(tracking, run_id, tmp_path / "stdout.log")
    assert points(tracking, run_id) == [(0, "0.5"), (1, "0.25"), (2, "0.125")]
    assert points(tracking, run_id, "acc") == [(9, "1.0")]


class Found:
    """A handle that was found again."""

    def read_metrics(self, on_metric: Callable[[str, float, int], None]) -> None:
        on_metric("loss", 0.5, 0)
        on_metric("loss", 0.25, 1)


def test_metrics_are_read_on_where_a_handle_can(tracking: Tracking) -> None:
    run_id = run_with(tracking, ("loss", 0.5, 0))
    with reading_on(object(), tracking, run_id):
        pass
    with reading_on(Found(), tracking, run_id):
        pass
    assert points(tracking, run_id) == [(0, "0.5"), (1, "0.25")]


class Program:
    """A handle of a program whose lines come within the block."""

    def read_metrics(self, on_metric: Callable[[str, float, int], None]) -> None:
        self.print = MetricReader(on_metric).feed


@pytest.fixture
def mend(tracking: Tracking, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Histories of metrics cannot be read until this is called; they are looked at without a pause."""
    monkeypatch.setattr(printed, "_PAUSE_S", 0.0)
    read, fails = tracking.runs.metric_history, True

    def history(run_id: str, key: str) -> tuple[Metric, ...]:
        if fails:
            raise StoreError("The record is locked.")
        return read(run_id, key)

    def now() -> None:
        nonlocal fails
        fails = False

    monkeypatch.setattr(tracking.runs, "metric_history", history)
    return now


@pytest.mark.parametrize("readable_after", [1, 2, 3])
def test_metrics_wait_for_a_record_that_cannot_be_read_for_a_moment(
    tracking: Tracking, mend: Callable[[], None], readable_after: int
) -> None:
    run_id, program = run_with(tracking, ("loss", 0.5, 0)), Program()
    with reading_on(program, tracking, run_id):
        for number, line in enumerate((b"loss: 0.5\n", b"loss: 0.25\nacc: 1\n", b"loss: 0.125\n")):
            if number == readable_after:
                mend()
            program.print(line)
        mend()
    assert points(tracking, run_id) == [(0, "0.5"), (1, "0.25"), (2, "0.125")]
    assert points(tracking, run_id, "acc") == [(0, "1.0")]


def test_metrics_that_are_not_recorded_are_told(
    tracking: Tracking, mend: Callable[[], None], tmp_path: Path
) -> None:
    run_id, program = run_with(tracking, ("loss", 0.5, 0)), Program()
    told: list[events.Event] = []
    with events.listening(told.append), reading_on(program, tracking, run_id):
        program.print(b"loss: 0.5\nloss: 0.25\n")
    said = f"Metrics that the run {run_id} printed are not recorded: The record is locked."
    assert [event.message for event in told] == [said]
    log = tmp_path / "stdout.log"
    log.write_text("loss: 0.5\nloss: 0.25\n")
    with pytest.raises(StoreError, match="locked"):
        catch_up(tracking, run_id, log)
    mend()
    catch_up(tracking, run_id, log)
    assert points(tracking, run_id) == [(0, "0.5"), (1, "0.25")]
