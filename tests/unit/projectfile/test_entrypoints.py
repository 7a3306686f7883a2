from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from proj import projectfile
from proj.errors import UsageError
from proj.projectfile import ProjectInvalidError

if TYPE_CHECKING:
    from pathlib import Path

    from proj.model import EntryPoint, Project


@pytest.fixture(autouse=True)
def _no_shell_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHELL", raising=False)


def project(folder: Path, *points: str) -> Project:
    text = "".join(f"  {name}: {{command: run {name}}}\n" for name in points)
    (folder / "MLproject").write_text(f"name: p\nentry_points:\n{text}")
    return projectfile.load(folder)


def script(folder: Path, name: str) -> EntryPoint:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    return projectfile.entry_point(projectfile.load(folder), name)[0]


def test_main_is_the_default(tmp_path: Path) -> None:
    point, note = projectfile.entry_point(project(tmp_path, "other", "main"), None)
    assert (point.command, note) == ("run main", None)


def test_a_single_entry_point_runs_and_is_told(tmp_path: Path) -> None:
    point, note = projectfile.entry_point(project(tmp_path, "train"), None)
    assert point.name == "train"
    assert note == "The project has no entry point `main`; running its only one, `train`."


def test_main_that_was_asked_for_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no entry point `main`"):
        projectfile.entry_point(project(tmp_path, "train"), "main")


def test_several_without_main_are_listed(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        projectfile.entry_point(project(tmp_path, "a", "b"), None)
    assert caught.value.hint == "Entry points: a, b. Choose one with -e NAME."


def test_a_mistyped_name_gets_a_suggestion(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    with pytest.raises(UsageError) as caught:
        projectfile.entry_point(project(tmp_path, "validate", "main"), "valdate")
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(
        "Did you mean `validate`? Entry points: validate, main. Scripts: train.py."
    )


def test_a_folder_with_nothing_to_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        projectfile.entry_point(projectfile.load(tmp_path), None)
    assert caught.value.hint is not None
    assert "no MLproject file" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("train.py", "python train.py"),
        ("run.sh", "bash run.sh"),
        ("fit.R", "Rscript fit.R"),
        ("sub/a b.py", "python 'sub/a b.py'"),
        ("it's.py", shlex.join(["python", "it's.py"])),
        ("-x.py", "python ./-x.py"),
        ("{a}.py", "python '{{a}}.py'"),
    ],
)
def test_a_script_of_the_project_is_an_entry_point(tmp_path: Path, name: str, command: str) -> None:
    point = script(tmp_path, name)
    assert (point.name, point.command, point.script, point.parameters) == (name, command, name, ())


def test_a_shell_script_runs_by_the_users_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/zsh")
    assert script(tmp_path, "run.sh").command == "/bin/zsh run.sh"


def test_a_declared_entry_point_wins_over_a_script(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    assert projectfile.entry_point(project(tmp_path, "train.py"), "train.py")[0].script is None


@pytest.mark.parametrize("name", ["../out.py", "/etc/out.py", "sub/../../out.py"])
def test_a_script_outside_of_the_project_is_refused(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "out.py").touch()
    with pytest.raises(UsageError, match="outside of the project's folder"):
        projectfile.entry_point(projectfile.load(inside), name)


def test_an_absolute_path_inside_of_the_project_is_fine(tmp_path: Path) -> None:
    (tmp_path / "a.py").touch()
    point, _ = projectfile.entry_point(projectfile.load(tmp_path), str(tmp_path / "a.py"))
    assert (point.command, point.script) == ("python a.py", "a.py")


@pytest.mark.parametrize("name", ["none.py", "folder.py", "a\0.py"])
def test_a_script_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(UsageError, match="no entry point and no script"):
        projectfile.entry_point(projectfile.load(tmp_path), name)


def test_an_entry_point_without_command_fails_when_it_is_to_run(tmp_path: Path) -> None:
    (tmp_path / "MLproject").write_text("entry_points:\n  main: {}\n  good: {command: x}\n")
    loaded = projectfile.load(tmp_path)
    assert projectfile.entry_point(loaded, "good")[0].command == "x"
    with pytest.raises(ProjectInvalidError, match="2:3: error: entry point `main` has no command"):
        projectfile.entry_point(loaded, None)
