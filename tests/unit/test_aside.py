"""Metrics that a program prints, on their way into the record."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from proj import aside, events
from proj.aside import MetricBuffer
from proj.errors import StoreError
from proj.model import NewRun
from proj.tracking import open_tracking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.tracking import Tracking


@pytest.fixture
def tracking() -> Iterator[Tracking]:
    with open_tracking() as opened:
        yield opened


def new_run(tracking: Tracking) -> str:
    return tracking.runs.create_run(NewRun(experiment_id="0", run_name="r", started_ms=1)).run_id


class Gate:
    """Lets a call of the store through when it is opened, as a server that hangs meanwhile."""

    def __init__(self, tracking: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = threading.Event()
        self.failures = 0
        """How many calls fail before they go well."""
        log = tracking.runs.log

        def through(*args: Any, **kwargs: Any) -> None:
            self.open.wait()
            if self.failures:
                self.failures -= 1
                raise StoreError("The server says no.")
            log(*args, **kwargs)

        monkeypatch.setattr(tracking.runs, "log", through)


def steps(tracking: Tracking, run_id: str) -> list[int]:
    return [point.step for point in tracking.runs.metric_history(run_id, "loss")]


def test_nobody_waits_for_the_store_and_nothing_is_lost(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, gate = new_run(tracking), Gate(tracking, monkeypatch)
    buffer = MetricBuffer(tracking, run_id)
    for step in range(2345):  # more than a batch: this returns though nothing can be logged
        buffer("loss", 0.5, step)
    gate.open.set()
    buffer.flush()
    assert steps(tracking, run_id) == list(range(2345))
    buffer.flush()


def test_not_more_than_memory_holds_waits(tracking: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "_MOST_METRICS", 10)
    monkeypatch.setattr(aside, "_METRIC_BATCH", 5)
    run_id, gate = new_run(tracking), Gate(tracking, monkeypatch)
    monkeypatch.setattr("proj.aside.time.sleep", lambda _seconds: gate.open.set())
    buffer = MetricBuffer(tracking, run_id)
    for step in range(100):
        buffer("loss", 0.5, step)
    assert gate.open.is_set()
    buffer.flush()
    assert steps(tracking, run_id) == list(range(100))


def test_what_could_not_be_logged_is_tried_once_more_at_the_end(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, gate = new_run(tracking), Gate(tracking, monkeypatch)
    gate.failures = 1
    buffer = MetricBuffer(tracking, run_id)
    for step in range(700):
        buffer("loss", 0.5, step)
    gate.open.set()
    buffer.flush()
    assert steps(tracking, run_id) == list(range(700))


def test_a_store_that_goes_on_failing_fails_the_end(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(tracking, monkeypatch)
    gate.failures = 99
    gate.open.set()
    buffer = MetricBuffer(tracking, new_run(tracking))
    buffer("loss", 0.5, 1)
    with pytest.raises(StoreError, match="says no"):
        buffer.flush()


def test_a_server_that_refuses_is_told_of_and_the_run_goes_on(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, gate = new_run(tracking), Gate(tracking, monkeypatch)
    gate.failures = 1
    gate.open.set()
    told: list[str] = []
    with events.listening(lambda event: told.append(event.message)):
        buffer = MetricBuffer(tracking, run_id, lenient=True)
        buffer("loss", 0.5, 1)
        buffer.flush()
    assert told == ["The record is incomplete: The server says no."]


def test_a_run_without_metrics_needs_no_thread(tracking: Tracking) -> None:
    before = set(threading.enumerate())  # some of which may end meanwhile
    MetricBuffer(tracking, new_run(tracking)).flush()
    assert not set(threading.enumerate()) - before
