"""A run that was made of the same is reused, and only then."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

import proj
from proj import record
from projkit import echo_project, git
from remote_server import RestartableServer

if TYPE_CHECKING:
    from pathlib import Path

    from projkit import ProjFolder

PROJECT = """
entry_points:
  main:
    parameters: {data: path, n: {default: 1}}
    command: "cat {data} > $PROJ_ARTIFACTS/out; echo {n}"
  other: {command: "true"}
"""


@pytest.fixture
def project(folder: ProjFolder) -> ProjFolder:
    folder.write({"MLproject": PROJECT, "../data.txt": "1\n"})
    assert reused(folder) is None
    return folder


def reused(folder: ProjFolder, *options: str) -> str | None:
    """The id of the run that was reused; None if a new one was made."""
    before = {run.run_id for run in folder.runs()}
    done = folder.run("run", ".", "-P", "data=../data.txt", "--reuse", "--json", *options)
    assert done.code == 0, done
    data = done.json["data"]
    assert data["reused"] == (data["run_id"] in before)
    return data["run_id"] if data["reused"] else None


def told(folder: ProjFolder, *options: str) -> str:
    """What is said of earlier runs."""
    done = folder.run("run", ".", "-P", "data=../data.txt", "--reuse", *options)
    assert done.code == 0
    return next(line for line in done.lines if "reused" in line)


def test_the_same_is_not_run_again(project: ProjFolder) -> None:
    (made,) = project.runs()
    assert reused(project) == made.run_id
    assert f"Run (ID '{made.run_id}'), {made.run_name}, was made of the same: reused" in told(project)
    assert (
        project.run("run", ".", "-P", "data=../data.txt", "--reuse", "--no-wait").stdout.strip()
        == made.run_id
    )
    # the same content elsewhere is the same input
    shutil.copy(project.base / "data.txt", project.base / "copy.txt")
    done = project.run("run", ".", "-P", "data=../copy.txt", "--reuse", "--json")
    assert done.json["data"]["run_id"] == made.run_id
    assert len(project.runs()) == 1
    project.clean()


def test_without_the_option_it_is_run_again(project: ProjFolder) -> None:
    assert project.run("run", ".", "-P", "data=../data.txt").code == 0
    first, second = (run.tags[record.TAG_REUSE] for run in project.runs())
    assert first == second
    assert reused(project) == project.runs()[0].run_id


def test_each_difference_is_named(project: ProjFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "differs in the parameter n ('1', now '2')." in told(project, "-P", "n=2")
    project.write({"../data.txt": "2\n"})
    assert "differs in the input data." in told(project)
    project.write({"../data.txt": "1\n", "new": "file"})
    assert "differs in the code." in told(project)
    (project.path / "new").unlink()
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert "differs in the variable OMP_NUM_THREADS (not set, now '7')." in told(project)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert "of other" in project.run("run", ".", "-e", "other", "--reuse").stderr
    assert reused(project) is not None


def test_it_says_that_ignored_files_are_not_compared(project: ProjFolder) -> None:
    git(project.path, "init", "-q", "-b", "main")
    git(project.path, "add", ".")
    git(project.path, "commit", "-q", "-m", "first")
    made = {"__pycache__/a.pyc": "", ".venv/pyvenv.cfg": ""}
    project.write({".gitignore": "*.csv\n__pycache__/\n.venv/\n", **made})
    command = ("run", ".", "-P", "data=../data.txt", "--reuse")
    project.run(*command)
    assert "git ignores" not in project.run(*command).stderr
    project.write({"a.csv": "1\n", "b.csv": "2\n"})
    assert "What git ignores was not compared: a.csv and 1 more." in project.run(*command).stderr


def test_the_quoting_counts(folder: ProjFolder) -> None:
    main = """{parameters: {x: {default: a b}}, command: 'echo "got ({x})"'}"""
    folder.write({"MLproject": f"entry_points: {{main: {main}}}\n"})
    command = ("run", ".", "--reuse", "--json")
    assert folder.run(*command).json["data"]["reused"] is False
    done = folder.run("run", ".", "--reuse", "--quoting", "mlflow")
    assert "differs in the command" in done.stderr
    assert len(folder.runs()) == 2
    assert folder.run(*command).json["data"]["reused"] is True


def test_code_from_outside_the_tree_is_not_known(
    project: ProjFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write({"../lib/lib.py": ""})
    monkeypatch.setenv("PYTHONPATH", str(project.base / "lib"))
    assert "PYTHONPATH is set, and what it names is no part of the code." in told(project)
    assert record.TAG_REUSE not in project.runs()[0].tags


def test_failed_and_deleted_runs_are_not_reused(project: ProjFolder) -> None:
    (made,) = project.runs()
    assert project.run("rm", made.run_id).code == 0
    assert reused(project) is None
    project.write({"MLproject": echo_project("exit 3")})
    for _ in range(2):
        done = project.run("run", ".", "--reuse", "--json")
        assert (done.code, done.json["data"]["reused"]) == (3, False)
    assert record.TAG_REUSE not in project.runs()[0].tags


def test_runs_without_their_files_are_not_reused(project: ProjFolder) -> None:
    (made,) = project.runs()
    shutil.rmtree(project.home / "artifacts")
    assert reused(project) != made.run_id


def test_what_is_not_known_is_not_reused(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project("true"), ".env": "TOKEN=abc\n"})
    for _ in range(2):
        done = folder.run("run", ".", "--reuse")
        assert "No earlier run can be reused: not all of the code is kept with a run." in done.stderr
    assert all(record.TAG_REUSE not in run.tags for run in folder.runs())
    (folder.path / ".env").unlink()
    folder.write({"MLproject": "entry_points: {main: {parameters: {out: path}, command: 'touch {out}'}}\n"})
    done = folder.run("run", ".", "--reuse", "-P", "out=/dev/null")
    assert done.code == 0, done
    assert "the content of the input out is not known" in done.stderr
    assert len(folder.runs()) == 3


def test_a_run_that_is_named_cannot_be_another(project: ProjFolder) -> None:
    (made,) = project.runs()
    done = project.run("run", ".", "-P", "data=../data.txt", "--reuse", "--run-id", made.run_id)
    assert done.code == 2


def test_it_works_from_python(project: ProjFolder) -> None:
    (made,) = project.runs()
    again = proj.run(".", parameters={"data": "../data.txt"}, reuse=True)
    assert again.run_id == made.run_id
    assert (again.artifacts / "out").read_text() == "1\n"
    assert proj.submit(".", parameters={"data": "../data.txt"}, reuse=True).run_id == made.run_id


@pytest.mark.timeout(120)
def test_runs_on_a_server_are_reused_from_elsewhere(
    project: ProjFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = RestartableServer(tmp_path / "server", "proj").start()
    try:
        monkeypatch.setenv("PROJ_TRACKING_URI", server.url)
        command = ("run", ".", "-P", "data=../data.txt", "--reuse", "--json")
        first = project.run(*command).json["data"]
        monkeypatch.setenv("PROJ_HOME", str(project.base / "other-home"))
        monkeypatch.setenv("PROJ_CACHE", str(project.base / "other-cache"))
        second = project.run(*command).json["data"]
    finally:
        server.kill()
    assert (first["reused"], second["reused"], second["run_id"]) == (False, True, first["run_id"])
