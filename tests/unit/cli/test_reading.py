from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from httpkit import serving
from proj import active, paths
from proj.model import NewRun
from proj.recording.uploads import Left, mark
from proj.remote.journal import Journal
from proj.remote.transport import Request
from proj.tracking import open_tracking
from records import record_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proj.tracking import Tracking
    from records import Command

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def tracking() -> Iterator[Tracking]:
    """The records of the server, apart from those of this machine."""
    with open_tracking(paths.home().parent / "server") as opened:
        yield opened


@pytest.fixture
def journal() -> Iterator[Journal]:
    with contextlib.closing(Journal(paths.home())) as opened:
        yield opened


def new_run(tracking: Tracking) -> str:
    return tracking.runs.create_run(NewRun(experiment_id="0", run_name="r", started_ms=1)).run_id


def set_tag(run_id: str) -> Request:
    body = b'{"run_id": "%s", "key": "k", "value": "told late"}' % run_id.encode()
    return Request(method="POST", path="/api/2.0/mlflow/runs/set-tag", body=body, headers=JSON)


def test_what_waits_for_a_server_is_delivered_before_it_is_asked(
    proj: Command, tracking: Tracking, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = new_run(tracking)
    with serving(tracking) as server:
        monkeypatch.setenv("PROJ_TRACKING_URI", server.url)
        journal.add(server.url, run_id, set_tag(run_id))
        journal.failed(server.url)  # a moment ago
        answer = proj("show", run_id, "--json")
    assert answer.data["run"]["tags"]["k"] == "told late"
    assert answer.err == ""


@pytest.mark.parametrize("argv", [("runs",), ("show", "latest"), ("logs", "latest"), ("metrics", "latest")])
def test_what_goes_on_waiting_is_told(
    argv: tuple[str, ...],
    proj: Command,
    tracking: Tracking,
    journal: Journal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_id = new_run(tracking)
    with serving(tracking) as server, journal.delivering(run_id):  # somebody else is at it
        monkeypatch.setenv("PROJ_TRACKING_URI", server.url)
        for _ in range(2):
            journal.add(server.url, run_id, set_tag(run_id))
        journal.add("http://elsewhere:1", "e" * 32, set_tag("e" * 32))
        journal.failed("http://elsewhere:1")
        told = proj(*argv).err.splitlines()[0]
    assert told == f"warning: 2 items of the run {run_id} wait on this machine: `proj sync` delivers them."


@pytest.mark.parametrize("under_way", [False, True])
def test_files_that_were_left_behind_are_told(under_way: bool, proj: Command) -> None:
    run = record_run("left")
    workspace = paths.home() / "workspaces" / run.run_id
    (workspace / "model").mkdir(parents=True)
    (workspace / "model" / "weights").write_bytes(b"w")
    mark(workspace, Left(place=paths.home().as_uri(), run_id=run.run_id, artifact_uri="s3://bucket/a"))
    claim = active.Claim.create(paths.home()) if under_way else None
    if claim is not None:
        claim.update(run_id=run.run_id)
    told = proj("artifacts", "ls", "left", "-r").err
    expected = f"warning: 1 file of the run {run.run_id} waits on this machine: `proj sync` delivers them."
    assert told.splitlines() == [*(() if under_way else (expected,)), "No files."]
    if claim is not None:
        claim.release()


@pytest.mark.parametrize("argv", [("runs",), ("show", "latest"), ("metrics", "latest"), ("gc", "--dry-run")])
@pytest.mark.parametrize("there", [False, True])
def test_a_folder_without_records_is_said_so_and_left_alone(
    there: bool, argv: tuple[str, ...], proj: Command, tmp_path: Path
) -> None:
    folder = tmp_path / "mistyped"
    if there:
        folder.mkdir()
    answer = proj(*argv, "--tracking-uri", str(folder))
    assert answer.exit_code == 2
    assert f"The folder {folder} {'holds no records' if there else 'is not there'}." in answer.err
    assert not list(tmp_path.rglob("proj.db"))
    assert folder.exists() == there


def test_a_home_without_records_has_no_runs(proj: Command) -> None:
    assert (proj("runs").exit_code, proj("runs").err) == (0, "No runs.\n")
