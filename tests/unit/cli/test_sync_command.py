from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from httpkit import serving
from proj import paths
from proj.model import NewRun, RunStatus
from proj.recording.uploads import Left, mark
from proj.remote.journal import Journal
from proj.remote.transport import Request
from proj.server.routes import Site
from proj.tracking import open_tracking
from records import Command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.tracking import Tracking

SET_TAG = "/api/2.0/mlflow/runs/set-tag"


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


@pytest.fixture
def tracking() -> Iterator[Tracking]:
    """The records of the server, apart from those of this machine."""
    with open_tracking(paths.home().parent / "server") as opened:
        yield opened


def add(place: str, run_id: str, body: bytes) -> None:
    journal = Journal(paths.home())
    journal.add(
        place,
        run_id,
        Request(method="POST", path=SET_TAG, body=body, headers={"Content-Type": "application/json"}),
    )
    journal.close()


def tag(run_id: str, value: str) -> bytes:
    return b'{"run_id": "%s", "key": "k", "value": "%s"}' % (run_id.encode(), value.encode())


def new_run(tracking: Tracking) -> str:
    return tracking.runs.create_run(NewRun(experiment_id="0", run_name="r", started_ms=1)).run_id


def test_nothing_waits(command: Command) -> None:
    answer = command("sync")
    assert (answer.exit_code, answer.out, answer.err) == (0, "", "Nothing waits.\n")


def test_what_waits_is_delivered_in_its_order(command: Command, tracking: Tracking) -> None:
    run_id = new_run(tracking)
    with serving(tracking) as server:
        add(server.url, run_id, tag(run_id, "old"))
        add(server.url, run_id, tag(run_id, "new"))
        answer = command("sync")
    assert (answer.exit_code, answer.out) == (0, f"{run_id} 2 items delivered to {server.url}\n")
    assert tracking.runs.run(run_id).tags["k"] == "new"


def test_what_is_refused_is_shown_offered_again_and_forgotten(command: Command, tracking: Tracking) -> None:
    run_id = new_run(tracking)
    with serving(tracking) as server:
        add(server.url, run_id, tag("f" * 32, "lost"))
        add(server.url, run_id, tag(run_id, "kept"))
        answer = command("sync")
        assert answer.exit_code == 1
        assert f"{run_id} refused by {server.url} (404): mlflow/runs/set-tag: " in answer.out
        assert "--retry-refused" in answer.err
        data = command("sync", "--retry-refused", "--json").data
        assert (data["delivered"], data["waiting"], len(data["refused"])) == (0, 0, 1)
        assert command("sync", "--drop-refused").exit_code == 0
    assert tracking.runs.run(run_id).tags["k"] == "kept"
    assert command("sync").err == "Nothing waits.\n"


def test_a_server_that_is_away_is_named(command: Command) -> None:
    add("http://127.0.0.1:9", "a" * 32, tag("a" * 32, "v"))
    answer = command("sync")
    assert answer.exit_code == 1
    line, why = answer.out.splitlines()
    assert line == f"{'a' * 32} 0 items delivered to http://127.0.0.1:9, 1 item left"
    assert why.startswith("  The tracking server http://127.0.0.1:9 cannot be reached")
    assert answer.err == "hint: What is left waits for the next `proj sync`.\n"


def test_other_commands_deliver_too_but_not_to_a_server_that_was_away(
    command: Command, tracking: Tracking
) -> None:
    run_id = new_run(tracking)
    mark_of = paths.journal(paths.home()) / "waiting"
    with serving(tracking) as server:
        add(server.url, run_id, tag(run_id, "v"))
        journal = Journal(paths.home())
        journal.failed(server.url)
        assert command("runs").exit_code == 0
        assert mark_of.exists()
        journal.forget_failures()
        journal.close()
        assert command("runs").exit_code == 0
    assert not mark_of.exists()
    assert tracking.runs.run(run_id).tags["k"] == "v"


def test_files_of_a_deleted_run_that_cannot_be_stored_are_forgotten_if_asked_for(command: Command) -> None:
    with open_tracking(paths.home()) as tracking:
        run = tracking.runs.create_run(NewRun(experiment_id="0", run_name="r", started_ms=1))
        tracking.runs.update_run(run.run_id, status=RunStatus.FINISHED)
        place = tracking.uri
    workspace = paths.home() / "workspaces" / run.run_id
    workspace.mkdir(parents=True)
    (workspace / "a.txt").write_text("1")
    mark(workspace, Left(place=place, run_id=run.run_id, artifact_uri="nosuch://bucket/r"))
    assert command("sync", "--drop-refused").exit_code == 1
    assert command("rm", run.run_id).exit_code == 0
    assert command("sync").exit_code == 1
    assert workspace.exists()
    assert command("sync", "--drop-refused").exit_code == 0
    assert list(workspace.parent.iterdir()) == []


def test_files_of_a_run_that_is_gone_for_good_are_forgotten_if_asked_for(
    command: Command, tracking: Tracking
) -> None:
    run = tracking.runs.create_run(NewRun(experiment_id="0", run_name="r", started_ms=1))
    workspace = paths.home() / "workspaces" / run.run_id
    workspace.mkdir(parents=True)
    (workspace / "a.txt").write_text("1")
    mark(workspace, Left(place=tracking.uri, run_id=run.run_id, artifact_uri=run.artifact_uri))
    tracking.runs.delete_runs([run.run_id])
    tracking.runs.purge_runs([run.run_id])
    assert command("sync").exit_code == 1
    assert (workspace / "a.txt").exists()
    assert command("sync", "--drop-refused").exit_code == 0
    assert list(workspace.parent.iterdir()) == []


def test_files_that_were_left_behind_are_uploaded(command: Command, tracking: Tracking) -> None:
    run = tracking.runs.create_run(NewRun(experiment_id="0", run_name="r", started_ms=1))
    workspace = paths.home() / "workspaces" / run.run_id
    (workspace / "model").mkdir(parents=True)
    (workspace / "model" / "weights.bin").write_bytes(b"w" * 100_000)
    base = (paths.home().parent / "server" / "artifacts").as_uri()
    with serving(tracking, site=Site(artifact_base=base, proxied=True)) as server:
        uri = f"mlflow-artifacts:{run.artifact_uri.removeprefix(base)}"
        mark(workspace, Left(place=server.url, run_id=run.run_id, artifact_uri=uri))
        assert command("sync").err == "Nothing waits.\n"
        tracking.runs.update_run(run.run_id, status=RunStatus.FINISHED)
        assert command("sync").exit_code == 0
    with tracking.artifacts.open(run.artifact_uri, "model/weights.bin") as file:
        assert len(file.read()) == 100_000
    assert list((paths.home() / "workspaces").iterdir()) == []
