from __future__ import annotations

import os
import sqlite3
import time
from typing import TYPE_CHECKING

from proj import paths
from proj.cli import gc
from proj.model import RunStatus
from proj.tracking import open_tracking
from proj.tracking.artifacts import local_path
from proj.tracking.logged_models import NewLoggedModel
from records import record_run

if TYPE_CHECKING:
    import pytest

    from records import Command


def test_a_run_is_removed_and_restored(proj: Command) -> None:
    run = record_run("a", files={"f": b"1"})
    assert proj("rm", "a").out == f"{run.run_id} deleted\n"
    assert proj("runs", "--json").data["runs"] == []
    assert [found["run_name"] for found in proj("runs", "--deleted", "--json").data["runs"]] == ["a"]
    again = proj("rm", "a")
    assert again.exit_code == 2
    assert "proj restore a" in again.err
    assert proj("restore", run.run_id[:8]).out == f"{run.run_id} restored\n"
    assert proj("artifacts", "ls", "a", "--json").data["artifacts"][0]["path"] == "f"


def test_several_runs_are_removed_or_none(proj: Command) -> None:
    runs = [record_run(name) for name in ("a", "b")]
    assert proj("rm", "a", "nothing").exit_code == 2
    assert len(proj("runs", "--json").data["runs"]) == 2
    assert proj("rm", "a", "b", "a", "--json").data["deleted"] == [run.run_id for run in runs]


def test_a_run_that_has_not_ended_is_not_removed(proj: Command) -> None:
    record_run("busy", status=RunStatus.RUNNING)
    answer = proj("rm", "busy")
    assert answer.exit_code == 2
    assert "proj cancel" in answer.err
    assert len(proj("runs", "--json").data["runs"]) == 1


def test_only_deleted_runs_can_be_restored(proj: Command) -> None:
    record_run("a")
    answer = proj("restore", "a")
    assert answer.exit_code == 2
    assert "not deleted" in answer.err


def test_deleted_runs_are_removed_for_good(proj: Command) -> None:
    gone, kept = record_run("gone", files={"f": b"x" * 2048}), record_run("kept", files={"f": b"y"})
    proj("rm", "gone")
    looked = proj("gc", "--dry-run")
    assert "Would remove 1 run, 2.0 KiB." in looked.out
    assert local_path(gone.artifact_uri).exists()
    answer = proj("gc", "--yes")
    assert "Removed 1 run, 2.0 KiB." in answer.out
    assert not local_path(gone.artifact_uri).exists()
    assert proj("show", gone.run_id).exit_code == 2
    assert local_path(kept.artifact_uri).exists()
    assert proj("gc", "--yes", "--json").data == {
        "removed": True,
        "runs": [],
        "size_bytes": 0,
        "checkouts": 0,
    }


def test_a_run_whose_files_cannot_be_removed_stays_and_keeps_no_other(proj: Command) -> None:
    stuck, gone = record_run("stuck"), record_run("gone")
    with sqlite3.connect(paths.home() / "proj.db") as database:
        database.execute("update runs set artifact_uri = 'nosuch://b/x' where run_id = ?", (stuck.run_id,))
    database.close()
    proj("rm", "stuck", "gone")
    answer = proj("gc", "--yes")
    assert answer.exit_code == 1
    assert "Removed 1 run, 0 B." in answer.out
    assert f"{stuck.run_id} stays: " in answer.out
    assert [run["run_name"] for run in proj("runs", "--deleted", "--json").data["runs"]] == ["stuck"]
    assert proj("show", gone.run_id).exit_code == 2
    assert len(proj("gc", "--yes", "--json").data["problems"]) == 1


def test_a_run_that_is_restored_meanwhile_keeps_its_files(
    proj: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = record_run("back", files={"f": b"1"})
    proj("rm", "back")

    def restore_and_agree(*_: object) -> None:
        with open_tracking(paths.home()) as tracking:
            tracking.runs.restore_runs([run.run_id])

    monkeypatch.setattr(gc, "_ask", restore_and_agree)
    answer = proj("gc")
    assert answer.exit_code == 1
    assert f"{run.run_id} stays: it has been restored" in answer.out
    assert proj("artifacts", "ls", "back", "--json").data["artifacts"][0]["path"] == "f"


def test_runs_deleted_lately_can_be_spared(proj: Command) -> None:
    record_run("gone")
    proj("rm", "gone")
    assert proj("gc", "--yes", "--older-than", "1h", "--json").data["runs"] == []
    assert len(proj("gc", "--dry-run", "--older-than", "0s", "--json").data["runs"]) == 1
    assert proj("gc", "--yes", "--older-than", "soon").exit_code == 2


def test_nothing_is_removed_for_good_unasked(proj: Command) -> None:
    run = record_run("gone")
    proj("rm", "gone")
    for options in ((), ("--json",)):
        answer = proj("gc", *options)
        assert answer.exit_code == 2
        assert "--yes" in answer.err + answer.out
    assert proj("restore", run.run_id).exit_code == 0


def test_nothing_deleted_is_no_question(proj: Command) -> None:
    assert proj("gc").out == "Removed 0 runs, 0 B.\n"
    assert paths.home().is_dir()


def test_kept_checkouts_go_after_a_week(proj: Command) -> None:
    base = paths.cache() / "checkouts"
    for name, age_days in (("old", 8), ("young", 6)):
        (base / name).mkdir(parents=True)
        marker = base / f"{name}.kept"
        marker.touch()
        long_ago = time.time() - age_days * 86400
        os.utime(marker, (long_ago, long_ago))
    assert proj("gc", "--dry-run").exit_code == 0
    assert (base / "old").exists()
    assert "Removed 1 kept checkout." in proj("gc", "--yes").out
    assert [entry.name for entry in sorted(base.iterdir()) if entry.is_dir()] == ["young"]


def test_the_models_of_a_removed_run_go_with_it(proj: Command) -> None:
    gone = record_run("gone")
    with open_tracking(paths.home()) as tracking:
        models = [
            tracking.logged_models.create_logged_model(
                NewLoggedModel(experiment_id=gone.experiment_id, name=name, source_run_id=run_id)
            )
            for name, run_id in (("its", gone.run_id), ("other", None))
        ]
        for model in models:
            tracking.artifacts.write(model.artifact_location, "weights", b"x" * 1024)
    proj("rm", "gone")
    assert "Removed 1 run, 1.0 KiB." in proj("gc", "--yes").out
    assert [local_path(model.artifact_location).exists() for model in models] == [False, True]
