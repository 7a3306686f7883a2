"""The end of a run whose server has something against it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from proj import active, closing, events, paths, place, runner, supervise
from proj.assignment import Assignment
from proj.errors import FailureCode, StoreError, UsageError
from proj.model import Outcome, RunStatus
from proj.planning import RunRequest
from proj.recording import Recording
from proj.remote.http import QUICK, HttpTransport
from proj.remote.journal import Journal
from proj.remote.journaled import JournalTransport
from proj.tracking import open_tracking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proj.tracking import Tracking

ENDED = Outcome(status=RunStatus.FAILED, exit_code=3, failure=FailureCode.USER_EXIT, started_ms=1, ended_ms=2)
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def tracking() -> Iterator[Tracking]:
    with open_tracking(paths.home()) as opened:
        yield opened


@pytest.fixture
def claim() -> Iterator[active.Claim]:
    made = active.Claim.create(paths.home())
    yield made
    made.release()


@pytest.fixture
def assigned(tmp_path: Path, tracking: Tracking, claim: active.Claim) -> Assignment:
    project = tmp_path / "project"
    project.mkdir()
    (project / "MLproject").write_text('entry_points: {main: {command: "true"}}')
    request = RunRequest(uri=str(project), env_manager="local")
    made = runner._assign(request, place.current(), tracking, claim, detached=True)
    assert isinstance(made, Assignment)
    return made


@pytest.fixture
def upstream() -> Iterator[JournalTransport]:
    journal = Journal(paths.home())
    with contextlib.closing(HttpTransport(NOWHERE, patience=QUICK)) as way:
        yield JournalTransport(way, journal, place=NOWHERE, run_id="a" * 32)
    journal.close()


def refuse(*_: object, **__: object) -> None:
    message = "Invalid value"
    raise UsageError(message)


def test_a_server_that_refuses_the_last_words_changes_no_exit_code(
    assigned: Assignment,
    tracking: Tracking,
    claim: active.Claim,
    upstream: JournalTransport,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recording = Recording(tracking)
    recording.upstream = upstream
    monkeypatch.setattr(tracking.runs, "update_run", refuse)
    told: list[str] = []
    with events.listening(lambda event: told.append(event.message)):
        supervise.finish(assigned, recording, claim, ENDED)
    assert [message for message in told if "incomplete: Invalid value" in message]
    (left,) = active.abandoned(paths.home())
    assert left.info.outcome == ENDED
    left.hand_over()


def test_a_record_on_this_machine_that_cannot_be_written_is_an_error(
    assigned: Assignment, tracking: Tracking, claim: active.Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking.runs, "update_run", refuse)
    with pytest.raises(UsageError):
        supervise.finish(assigned, Recording(tracking), claim, ENDED)
    assert claim.info.outcome == ENDED


def test_what_comes_after_the_end_makes_up_no_other_one(
    assigned: Assignment, tracking: Tracking, claim: active.Claim, upstream: JournalTransport
) -> None:
    recording = Recording(tracking)
    recording.upstream = upstream
    updated: list[object] = []

    def note(*_: object, **fields: object) -> bool:  # it waits in the journal: the server says RUNNING on
        updated.append(fields["status"])
        return True

    def end_badly() -> None:
        with closing.settling(claim, tracking):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(tracking.runs, "update_run", note)
                supervise.finish(assigned, recording, claim, ENDED)
            message = "What waits cannot be delivered"
            raise StoreError(message)

    with pytest.raises(StoreError):
        end_badly()
    assert updated == [RunStatus.FAILED]
    run = tracking.runs.run(assigned.execution.run_id)
    assert (run.status, run.tags["proj.exit_code"]) == (RunStatus.FAILED, "3")


def test_metrics_that_a_server_refuses_stop_no_program(
    assigned: Assignment, tracking: Tracking, upstream: JournalTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    from proj.aside import Aside

    recording = Recording(tracking)
    recording.upstream = upstream
    monkeypatch.setattr(tracking.runs, "log", refuse)
    told: list[str] = []
    with events.listening(lambda event: told.append(event.message)), Aside(assigned, recording) as aside:
        aside.metrics("loss", 1.0, 1)
    assert told == ["The record is incomplete: Invalid value"]
    recording.upstream = None
    with pytest.raises(UsageError), Aside(assigned, recording) as aside:
        aside.metrics("loss", 1.0, 1)
