from __future__ import annotations

import json
import os
import signal
import subprocess  # noqa: TID251  a process that is none of ours
import threading
from typing import TYPE_CHECKING

import pytest

from faultykit import drop, faulty, reply
from proj import (
    active,
    assignment,
    closing,
    control,
    creating,
    events,
    paths,
    place,
    record,
    recovery,
    runner,
    supervise,
)
from proj.errors import FailureCode, StoreError
from proj.model import NewRun, Outcome, RunStatus
from proj.planning import RunRequest
from proj.recording import Recording
from proj.remote.http import Patience
from proj.remote.store import open_remote
from proj.remote.transport import UncertainError
from proj.tracking import open_tracking
from proj.tracking.artifacts import local_path
from projkit import eventually

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

    from proj.model import RunRecord
    from proj.tracking import Tracking

ENDED = Outcome(status=RunStatus.FAILED, exit_code=3, failure=FailureCode.USER_EXIT, started_ms=1, ended_ms=2)


@pytest.fixture
def tracking() -> Iterator[Tracking]:
    with open_tracking(paths.home()) as opened:
        yield opened


def begin(tracking: Tracking, *, knows_run: bool = True, backend: str | None = "local") -> RunRecord:
    """A run whose process has died: its claim is there, and nobody holds it."""
    claim = active.Claim.create(paths.home())
    new = NewRun(
        experiment_id=tracking.runs.create_experiment("demo").experiment_id,
        run_name="lost",
        started_ms=1,
        status=RunStatus.RUNNING,
        tags={record.TAG_CLAIM: claim.info.token},
    )
    run = tracking.runs.create_run(new)
    if knows_run:
        claim.update(run_id=run.run_id, backend=backend, reference="pid 1")
    claim.hand_over()
    return run


def state(tracking: Tracking, run: RunRecord) -> tuple[str, str | None]:
    found = tracking.runs.run(run.run_id)
    return found.status.value, found.tags.get(record.TAG_FAILURE)


@pytest.mark.parametrize("knows_run", [True, False])
def test_a_run_whose_process_died_is_lost(tracking: Tracking, knows_run: bool) -> None:
    run = begin(tracking, knows_run=knows_run)
    assert recovery.recover(tracking, paths.home()) == (run.run_id,)
    assert state(tracking, run) == ("KILLED", "lost")
    assert list((paths.home() / "active").iterdir()) == []
    assert recovery.recover(tracking, paths.home()) == ()


def test_a_run_that_somebody_looks_after_is_left_alone(tracking: Tracking) -> None:
    claim = active.Claim.create(paths.home())
    assert recovery.recover(tracking, paths.home()) == ()
    assert claim.held
    claim.release()


def test_an_outcome_that_was_written_stays(tracking: Tracking) -> None:
    run = begin(tracking)
    outcome = record.OutcomeRecord(outcome=ENDED, claim=run.tags[record.TAG_CLAIM])
    record.write(tracking.artifacts, run.artifact_uri, record.OUTCOME, outcome)
    recovery.recover(tracking, paths.home())
    assert state(tracking, run) == ("FAILED", "user_exit")


def test_the_outcome_of_an_earlier_go_at_the_same_run_is_not_that_of_this_one(tracking: Tracking) -> None:
    run = begin(tracking)
    outcome = record.OutcomeRecord(outcome=ENDED, claim="of the first go")
    record.write(tracking.artifacts, run.artifact_uri, record.OUTCOME, outcome)
    recovery.recover(tracking, paths.home())
    assert state(tracking, run) == ("KILLED", "lost")


def test_an_outcome_of_a_newer_proj_is_refused_by_name() -> None:
    with pytest.raises(StoreError, match=r"format 7.*upgrade proj"):
        record.read_outcome(b'{"format": 7, "outcome": "told otherwise"}')


def test_a_run_is_cancelled_only_by_the_process_that_looks_after_it(tracking: Tracking) -> None:
    run = begin(tracking)
    (claim,) = active.abandoned(paths.home())
    with subprocess.Popen(["sleep", "60"]) as bystander:
        claim.update(pid=bystander.pid)
        claim.hand_over()
        stopped = control.cancel(run, tracking, paths.home())
        survived = bystander.poll() is None
        bystander.kill()
    assert (stopped, survived) == (False, True)
    assert state(tracking, run) == ("KILLED", "lost")


def test_an_outcome_that_only_the_claim_knows_is_recorded(tracking: Tracking) -> None:
    run = begin(tracking)
    (claim,) = active.abandoned(paths.home())
    claim.update(outcome=ENDED)
    claim.hand_over()
    recovery.recover(tracking, paths.home())
    assert state(tracking, run) == ("FAILED", "user_exit")
    with tracking.artifacts.open(run.artifact_uri, record.OUTCOME) as file:
        assert record.read_outcome(file.read()).outcome == ENDED


def test_a_damaged_outcome_is_none(tracking: Tracking) -> None:
    run = begin(tracking)
    tracking.artifacts.write(run.artifact_uri, record.OUTCOME, b"{half")
    recovery.recover(tracking, paths.home())
    assert state(tracking, run) == ("KILLED", "lost")


def test_a_backend_that_is_gone_is_told_and_no_obstacle(tracking: Tracking) -> None:
    run = begin(tracking, backend="uninstalled")
    told: list[str] = []
    with events.listening(lambda event: told.append(event.message)):
        recovery.recover(tracking, paths.home())
    assert state(tracking, run) == ("KILLED", "lost")
    assert [message for message in told if "uninstalled" in message]


def test_what_a_killed_process_left_is_removed(tracking: Tracking) -> None:
    run = begin(tracking)
    token = run.tags[record.TAG_CLAIM]
    downloaded = recovery.downloads(token) / "data.csv"
    downloaded.parent.mkdir(parents=True)
    downloaded.touch()
    folder = local_path(run.artifact_uri)
    (folder / "model").mkdir(parents=True)
    (folder / "model" / ".proj-partial-0123456789abcdef").touch()
    recovery.recover(tracking, paths.home())
    assert not downloaded.parent.exists()
    assert list((folder / "model").iterdir()) == []


def test_a_record_that_cannot_be_written_waits_for_the_next_command(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(tracking)
    told: list[str] = []

    def full(*_: object) -> None:
        message = "No space left"
        raise StoreError(message)

    with monkeypatch.context() as patch, events.listening(lambda event: told.append(event.message)):
        patch.setattr(recovery, "close_run", full)
        assert recovery.recover(tracking, paths.home()) == ()
    assert state(tracking, run) == ("RUNNING", None)
    assert [message for message in told if "No space left" in message]
    assert recovery.recover(tracking, paths.home()) == (run.run_id,)


def test_settling_closes_what_was_begun(tracking: Tracking) -> None:
    begin(tracking)
    (claim,) = active.abandoned(paths.home())
    message = "no such thing"
    with pytest.raises(StoreError), closing.settling(claim, tracking):
        raise StoreError(message)
    assert not claim.held
    assert recovery.recover(tracking, paths.home()) == ()
    assert not (paths.home() / "active" / claim.info.token).exists()


def test_an_assignment_travels_as_json(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "MLproject").write_text('entry_points: {main: {command: "echo \\"ä\\""}}')
    request = RunRequest(uri=str(project), env_manager="local")
    with open_tracking(paths.home()) as tracking:
        claim = active.Claim.create(paths.home())
        assigned = runner._assign(request, place.current(), tracking, claim, detached=True)
        assert isinstance(assigned, assignment.Assignment)
        assert assignment.decode(assignment.encode(assigned)) == assigned
        assert os.fstat(claim.descriptor).st_size > 0
        supervise.finish(assigned, Recording(tracking), claim, ENDED)
        claim.release()


# --- runs that are recorded on a server ----------------------------------------------------------------


def begin_on(url: str, run_id: str) -> active.ClaimInfo:
    """A run of a server whose process has died on this machine."""
    claim = active.Claim.create(paths.home(), url)
    claim.update(run_id=run_id)
    claim.hand_over()
    return claim.info


def shown(run_id: str, status: str = "FINISHED") -> bytes:
    """What a server says of a run."""
    info = {"run_id": run_id, "experiment_id": "1", "status": status, "artifact_uri": "mlflow-artifacts:/1/x"}
    return json.dumps({"run": {"info": info}}).encode()


@pytest.mark.parametrize("named", ["../../victim", "{folder}/victim", "..", "", "b" * 32, "a/b", "x" * 300])
def test_no_server_has_a_folder_of_its_choice_uploaded_and_removed(
    tracking: Tracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.setenv("PROJ_HOME", str(tmp_path / "home"))
    for victim in (tmp_path / "victim", paths.home() / "workspaces" / ("b" * 32)):
        victim.mkdir(parents=True)
        (victim / "thesis.txt").write_text("all of it")
    # What is named lies below the test's own folder: code that falls for it removes that, and nothing else.
    with faulty(reply(body=shown(named.format(folder=tmp_path)))) as server:
        claim = begin_on(server.url, "a" * 32)
        told: list[str] = []
        with events.listening(lambda event: told.append(event.message)):
            assert recovery.recover(tracking, paths.home()) == ()
    assert [heard.method for heard in server.heard] == ["GET"]
    assert (tmp_path / "victim" / "thesis.txt").exists()
    assert (paths.home() / "workspaces" / ("b" * 32) / "thesis.txt").exists()
    assert (paths.home() / "active" / claim.token).exists(), "its own run is still to be closed"
    assert len(told) == 1
    assert server.url in told[0]


@pytest.mark.parametrize("patient", [False, True])
def test_a_server_that_hangs_holds_up_only_who_has_time(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch, patient: bool
) -> None:
    monkeypatch.setattr("proj.remote.http.QUICK", Patience(read_s=0.1, retries=0))

    def slowly(connection: socket.socket) -> None:
        threading.Event().wait(1)
        reply(body=shown("a" * 32))(connection)

    with faulty(slowly) as server:
        claim = begin_on(server.url, "a" * 32)
        recovery.close_abandoned(tracking, paths.home(), patient=patient)
    assert (paths.home() / "active" / claim.token).exists() is not patient


def test_a_server_that_hangs_in_the_middle_is_left_alone_for_a_while(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "proj.remote.http.QUICK", Patience(read_s=2.0, retries=0)
    )  # its first answer is in time
    with faulty(reply(body=shown("a" * 32, "RUNNING")), reply()) as server:
        server._steps[1] = server.hang
        claim = begin_on(server.url, "a" * 32)
        recovery.recover(tracking, paths.home())
        eventually(lambda: len(server.heard) > 1)
        heard = len(server.heard)
        recovery.recover(tracking, paths.home())
    assert len(server.heard) == heard
    assert (paths.home() / "active" / claim.token).exists()


def test_a_run_whose_creation_had_no_answer_is_closed_when_it_appears(tracking: Tracking) -> None:
    claim = active.Claim.create(paths.home(), "http://tracking.invalid")
    new = NewRun(experiment_id="0", run_name="late", started_ms=1, tags={record.TAG_CLAIM: claim.info.token})
    with faulty(drop) as server, open_remote(server.url) as remote, pytest.raises(UncertainError):
        creating._created(new, remote, claim)
    assert not claim.held
    assert (paths.home() / "active" / claim.info.token).exists()
    (abandoned,) = active.abandoned(paths.home())
    assert recovery._recover(abandoned, tracking) is None
    assert (paths.home() / "active" / claim.info.token).exists(), "it may still appear"
    run = tracking.runs.create_run(new)
    (abandoned,) = active.abandoned(paths.home())
    assert recovery._recover(abandoned, tracking) == run.run_id
    assert state(tracking, run)[0] == "FAILED"
    assert not (paths.home() / "active" / claim.info.token).exists()


def test_an_impatient_user_leaves_no_run_open_on_a_server() -> None:
    claim = active.Claim.create(paths.home(), "http://tracking.invalid")
    new = NewRun(experiment_id="0", run_name="late", started_ms=1, tags={})

    def interrupt(_: socket.socket) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with faulty(interrupt) as server, open_remote(server.url) as remote, pytest.raises(KeyboardInterrupt):
        creating._created(new, remote, claim)
    assert not claim.held
    assert (paths.home() / "active" / claim.info.token).exists()


def test_a_run_that_never_appeared_is_forgotten(tracking: Tracking) -> None:
    claim = active.Claim.create(paths.home(), "http://tracking.invalid")
    claim.update(outcome=ENDED)  # long ago
    assert recovery._recover(claim, tracking) is None
    assert not (paths.home() / "active" / claim.info.token).exists()
