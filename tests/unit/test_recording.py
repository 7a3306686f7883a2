"""Runs whose files are kept elsewhere: they are made here, and brought there."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from proj import process
from proj.recording.remote import hurrying
from proj.recording.uploads import Uploads, left_below
from proj.tracking.artifact_stores import ArtifactStores
from projkit import ProjFolder, echo_project

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("fsspec")


@pytest.fixture
def elsewhere(folder: ProjFolder, monkeypatch: pytest.MonkeyPatch) -> ProjFolder:
    """A project whose runs keep their files in a store of objects."""
    monkeypatch.setenv("PROJ_ARTIFACT_ROOT", f"memory://bucket/{folder.base.name}")
    return folder


def test_the_files_of_a_run_are_brought_to_their_store(elsewhere: ProjFolder) -> None:
    program = 'import os; open(os.environ["PROJ_ARTIFACTS"] + "/own.txt", "w").write("mine"); print("said")'
    elsewhere.write({"main.py": program, "MLproject": echo_project(f"{sys.executable} main.py")})
    done = elsewhere.run("run", ".")
    assert done.code == 0, done
    run = elsewhere.the_run()
    assert run.artifact_uri.startswith("memory://bucket/")
    assert elsewhere.artifact(run, "own.txt") == b"mine"
    assert elsewhere.run("logs", "latest").stdout == "said\n"
    assert elsewhere.outcome(run).exit_code == 0
    assert list((elsewhere.home / "workspaces").iterdir()) == []


def test_a_run_that_cannot_be_made_leaves_its_outcome_there(elsewhere: ProjFolder) -> None:
    files = {"MLproject": "python_env: env.yaml\n" + echo_project("true")}
    elsewhere.write({**files, "env.yaml": "dependencies: ['--no-index', 'there-is-no-such-package']\n"})
    assert elsewhere.run("run", ".").code == 125
    outcome = elsewhere.outcome(elsewhere.the_run())
    assert outcome.failure is not None
    assert outcome.failure.value == "env_failed"


def test_only_what_has_changed_is_copied_again(tmp_path: Path) -> None:
    workspace, target = tmp_path / "workspace", tmp_path / "target"
    (workspace / "proj").mkdir(parents=True)
    (workspace / "proj" / "stdout.log").write_bytes(b"one\n")
    (workspace / "model.bin").write_bytes(b"weights")
    (workspace / ".proj-partial-1").write_bytes(b"half")
    uploads = Uploads("a" * 32, target.as_uri(), workspace)
    stores = ArtifactStores()
    assert uploads.refresh(stores) == 4
    assert uploads.refresh(stores) == 0
    (workspace / "proj" / "stdout.log").write_bytes(b"one\ntwo\n")
    assert uploads.refresh(stores) == 8
    assert not (target / "model.bin").exists()
    assert uploads.upload(stores) == ()
    assert sorted(path.name for path in target.rglob("*") if path.is_file()) == ["model.bin", "stdout.log"]
    uploads.discard()
    assert not workspace.exists()


def test_what_cannot_be_copied_stays(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "model.bin").write_bytes(b"weights")
    (tmp_path / "file").touch()
    uploads = Uploads("a" * 32, (tmp_path / "file").as_uri(), workspace)
    (problem,) = uploads.upload(ArtifactStores())
    assert problem.startswith("model.bin cannot be stored: ")
    uploads.discard()
    assert (workspace / "model.bin").exists()


def test_a_signal_at_the_end_means_hurry() -> None:
    hurried = threading.Event()
    with process.interruptible(), process.deferred() as pending, hurrying(pending, hurried):
        assert not hurried.wait(0.5)
        signal.raise_signal(signal.SIGINT)
        assert hurried.wait(60)
        pending.take()


def test_a_damaged_mark_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "workspaces").mkdir()
    (tmp_path / "workspaces" / "a.json").write_text("{")
    assert list(left_below(tmp_path)) == []
