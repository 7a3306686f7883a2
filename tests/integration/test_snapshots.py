"""The code of a run is kept with its record, and can be had back."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from proj import record
from proj.source import restore
from projkit import bare_repository, echo_project, git
from remote_server import RestartableServer
from snapshot_kit import on_disk
from source_repositories import Repo

if TYPE_CHECKING:
    from pathlib import Path

    from projkit import ProjFolder


@pytest.fixture
def cloned(folder: ProjFolder) -> Path:
    """A clone of a repository on this machine."""
    bare_repository(folder, {"MLproject": echo_project("cat data.txt"), "data.txt": "committed\n"})
    git(folder.base, "clone", "-q", "bare.git", "cloned")
    return folder.base / "cloned"


def source(folder: ProjFolder) -> record.SourceRecord:
    return msgspec.json.decode(folder.artifact(folder.runs()[0], record.SOURCE), type=record.SourceRecord)


def test_a_changed_tree_comes_back_by_its_run(folder: ProjFolder, cloned: Path) -> None:
    (cloned / "data.txt").write_text("changed\n")
    (cloned / "new").write_text("new\n")
    expected = on_disk(cloned)
    assert folder.run("run", str(cloned)).stdout == "changed\n"
    kept = source(folder).snapshot
    assert kept is not None
    assert {change.path: change.kind for change in kept.changes} == {
        "data.txt": "modified",
        "new": "untracked",
    }
    assert folder.the_run().tags[record.TAG_TREE] == kept.root.tree
    (cloned / "data.txt").write_text("changed again\n")
    shutil.rmtree(folder.cache)
    result = folder.run("checkout", "latest", str(folder.base / "again"), "--json")
    assert result.code == 0
    assert result.json["data"]["tree"] == kept.root.tree
    assert on_disk(folder.base / "again") == expected
    assert folder.run("run", str(folder.base / "again")).stdout == "changed\n"
    again = source(folder).snapshot
    assert again is not None
    assert again.root.tree == kept.root.tree


def test_a_folder_comes_back_by_its_run(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project("true"), "a": "1\n"})
    for _ in range(2):
        assert folder.run("run", ".").code == 0
    assert len(list((folder.cache / "snapshots").glob("*.bundle"))) == 1
    expected = on_disk(folder.path)
    shutil.rmtree(folder.cache)
    assert folder.run("checkout", "latest", "../again").code == 0
    assert on_disk(folder.base / "again") == expected
    result = folder.run("checkout", "latest", "../again")
    assert result.code == 125
    assert "not an empty folder" in result.stderr
    folder.clean()


def test_a_bundle_is_brought_where_killed_processes_leave_nothing_for_long(
    folder: ProjFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write({"MLproject": echo_project("true")})
    assert folder.run("run", ".").code == 0
    bundles: list[Path] = []
    usual = restore.restore

    def noted(*args: Any, bundle_path: Path, **options: Any) -> None:
        bundles.append(bundle_path)
        usual(*args, bundle_path=bundle_path, **options)

    monkeypatch.setattr(restore, "restore", noted)
    assert folder.run("checkout", "latest", "../again").code == 0
    (bundle,) = bundles
    assert bundle.parent.parent == folder.cache / "snapshots"
    assert bundle.parent.name.startswith(".")  # what is called so is removed when it is old
    assert not bundle.parent.exists()


def test_a_clean_commit_is_kept_by_its_name(folder: ProjFolder, cloned: Path) -> None:
    assert folder.run("run", str(cloned), "--require-clean").code == 0
    kept = source(folder).snapshot
    assert kept is not None
    assert kept.bundle is None
    assert folder.run("run", str(cloned), "--archive-source").code == 0
    archived = source(folder).snapshot
    assert archived is not None
    assert archived.root.tree == kept.root.tree
    shutil.rmtree(folder.base / "bare.git")
    shutil.rmtree(folder.cache)
    assert folder.run("checkout", "latest", "../again").code == 0
    assert on_disk(folder.base / "again") == on_disk(cloned)


def test_outputs_of_earlier_runs_are_no_code(folder: ProjFolder) -> None:
    project = "proj: {outputs: ['out/*.bin']}\n" + echo_project("mkdir -p out && echo 1 >> out/a.bin")
    folder.write({"MLproject": project})
    for _ in range(2):
        assert folder.run("run", ".").code == 0
    first, second = (
        msgspec.json.decode(folder.artifact(run, record.SOURCE), type=record.SourceRecord).snapshot
        for run in reversed(folder.runs())
    )
    assert first is not None
    assert second is not None
    assert first.root.tree == second.root.tree
    assert [(left.path, left.reason) for left in second.left_out] == [("out/a.bin", "ignored")]


def test_a_remote_that_has_moved(folder: ProjFolder, cloned: Path) -> None:
    assert folder.run("run", str(cloned)).code == 0
    (folder.base / "bare.git").rename(folder.base / "moved.git")
    result = folder.run("checkout", "latest", "../again")
    assert result.code == 125
    assert "No repository" in result.stderr
    assert "hint: Check the path. --remote URL" in result.stderr
    remote = str(folder.base / "moved.git")
    assert folder.run("checkout", "latest", "../again", "--remote", remote).code == 0
    assert on_disk(folder.base / "again") == on_disk(cloned)


def test_what_is_refused_is_refused_before_anything_runs(folder: ProjFolder, cloned: Path) -> None:
    (cloned / "data.txt").write_text("x" * 4000)
    result = folder.run("run", str(cloned), "--require-clean")
    assert result.code == 125
    assert "data.txt" in result.stderr
    assert folder.runs() == ()
    folder.clean()


def test_a_large_data_set_is_not_kept_and_that_is_said(folder: ProjFolder, cloned: Path) -> None:
    for number, size in enumerate((4000, 3000, 2000, 1000, 500)):
        (cloned / f"data{number}.txt").write_text("x" * size)
    result = folder.run("run", str(cloned), "--snapshot-limit", "600")
    assert result.code == 0
    assert (
        "without 4 large files (9.8 KiB): data0.txt (3.9 KiB), data1.txt (2.9 KiB), data2.txt (2.0 KiB) "
        "and 1 more" in result.stderr
    )
    left = source(folder).snapshot
    assert left is not None
    assert [(each.path, each.reason, each.size_bytes) for each in left.left_out] == [
        (f"data{number}.txt", "limit", size) for number, size in enumerate((4000, 3000, 2000, 1000))
    ]
    result = folder.run("checkout", "latest", "../again")
    assert result.code == 0
    assert "data3.txt is not as it ran: it is too large" in result.stderr
    assert on_disk(folder.base / "again") == on_disk(
        cloned, without=[f"data{number}.txt" for number in range(4)]
    )
    assert "large files" not in folder.run("run", str(cloned), "--snapshot-limit", "12kB").stderr


def test_large_commits_are_not_kept_and_that_is_said(folder: ProjFolder, cloned: Path) -> None:
    repo = Repo(cloned)
    repo.commit("data.txt", os.urandom(4000).hex())
    repo.commit("data.txt", "little")
    result = folder.run("run", str(cloned), "--snapshot-limit", "2kB")
    assert result.code == 0
    assert "The history is not kept" in result.stderr
    assert "has no history" in folder.run("checkout", "latest", "../again").stderr
    assert on_disk(folder.base / "again") == on_disk(cloned)


def test_a_secret_is_not_kept_and_that_is_said(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project("cat .env"), ".env": "PASSWORD=hunter2\n"})
    result = folder.run("run", ".")
    assert result.stdout == "PASSWORD=hunter2\n"
    assert ".env looks like a secret, so it is not kept" in result.stderr
    assert f"{'not kept':<13}.env: it looks like a secret" in folder.run("show", "latest").stdout
    result = folder.run("checkout", "latest", "../again")
    assert ".env is not as it ran" in result.stderr
    assert not (folder.base / "again/.env").exists()


def test_the_changed_files_are_counted(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project("true")})
    git(folder.path, "init", "-q", "-b", "main")
    git(folder.path, "add", ".")
    git(folder.path, "commit", "-q", "-m", "first")
    folder.write({"new.txt": "1\n"})
    assert folder.run("run", ".").code == 0
    assert "with 1 changed file, tree" in folder.run("checkout", "latest", "../again").stdout


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (2, "note: .env.0 and .env.1 look like secrets, so they are not kept with the run."),
        (5, "note: .env.0, .env.1, .env.2, .env.3 and .env.4 look like secrets"),
        (7, "note: .env.0, .env.1, .env.2, .env.3, .env.4 and 2 more look like secrets"),
    ],
)
def test_secrets_are_named(folder: ProjFolder, count: int, said: str) -> None:
    folder.write({"MLproject": echo_project("true"), **{f".env.{n}": "A=1\n" for n in range(count)}})
    assert said in folder.run("run", ".").stderr


def test_another_machine_needs_only_the_tracking_server(
    folder: ProjFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = RestartableServer(tmp_path / "server", "proj").start()
    try:
        monkeypatch.setenv("PROJ_TRACKING_URI", server.url)
        folder.write({"MLproject": echo_project("true"), "a": "1\n"})
        assert folder.process("run", ".").code == 0
        expected = on_disk(folder.path)
        for place in (folder.path / "MLproject", folder.path / "a"):
            place.unlink()
        for place in (folder.home, folder.cache):
            shutil.rmtree(place)
        assert folder.process("checkout", "latest", "../again").code == 0
        assert on_disk(folder.base / "again") == expected
    finally:
        server.kill()


def test_a_run_of_an_older_proj_has_no_code(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project("true")})
    assert folder.run("run", ".").code == 0
    run = folder.the_run()
    older = msgspec.structs.replace(source(folder), snapshot=None)
    with folder.tracking() as tracking:
        record.write(tracking.artifacts, run.artifact_uri, record.SOURCE, older)
    result = folder.run("checkout", "latest", "../again")
    assert result.code == 125
    assert "was not kept" in result.stderr


def test_a_runs_name_leads_nowhere_and_the_current_folder_stays(folder: ProjFolder, cloned: Path) -> None:
    assert folder.run("run", str(cloned), "--run-name", "../../out").code == 0
    assert folder.run("checkout", "latest").code == 0
    assert on_disk(folder.path / "out") == on_disk(cloned)
    shutil.rmtree(folder.path / "out")
    for path in folder.path.iterdir():
        path.unlink()
    assert folder.run("checkout", "latest", ".").code == 0
    assert on_disk(folder.path) == on_disk(cloned)
