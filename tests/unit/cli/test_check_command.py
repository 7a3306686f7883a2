from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from records import Command

PROJECTS = Path(__file__).parents[2] / "projects"


def test_a_good_project_has_no_problems(proj: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECTS / "classic")
    answer = proj("check")
    assert (answer.exit_code, answer.out) == (0, "MLproject: no problems\n")


def test_errors_are_listed_with_their_lines(proj: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECTS)
    answer = proj("check", "undeclared-placeholder")
    assert answer.exit_code == 2
    assert answer.out == (
        "undeclared-placeholder/MLproject:5:28: error: "
        "`{data}` stands for no parameter of entry point `main`\n"
        '        command: "echo {alpha} {data}"\n'
        "                               ^\n"
        "    fix: Declare the parameter, or write `{{data}}` for literal braces.\n"
        "undeclared-placeholder/MLproject: 1 error\n"
    )


def test_a_file_that_does_not_parse_is_listed_the_same_way(proj: Command) -> None:
    answer = proj("check", str(PROJECTS / "tab-indented"))
    assert answer.exit_code == 2
    assert "MLproject:2:1: error: Not valid YAML" in answer.out


@pytest.mark.parametrize(("option", "exit_code"), [((), 0), (("--strict",), 2)])
def test_warnings_fail_when_strict(proj: Command, option: tuple[str, ...], exit_code: int) -> None:
    answer = proj("check", str(PROJECTS / "unused-parameter" / "MLproject"), *option)
    assert answer.exit_code == exit_code
    assert "1 warning" in answer.out


def test_warnings_are_told_beside_errors(proj: Command, tmp_path: Path) -> None:
    (tmp_path / "MLproject").write_text("name: x\nname: y\nentry_points: []\n")
    data = proj("check", str(tmp_path), "--json").data
    assert (data["errors"], data["warnings"]) == (1, 1)


def test_the_findings_as_json(proj: Command) -> None:
    data = proj("check", str(PROJECTS / "glued-keys"), "--json").data
    assert data["errors"] == 3
    assert data["diagnostics"][0]["position"] == {"line": 4, "column": 15}
    assert data["diagnostics"][0]["code"] == "unknown-key"


def test_two_project_files_are_an_error(proj: Command, tmp_path: Path) -> None:
    (tmp_path / "MLproject.yml").write_text("name: a\n")
    (tmp_path / "MLproject.yaml").write_text("name: b\n")
    answer = proj("check", str(tmp_path))
    assert answer.exit_code == 2
    assert "MLproject.yaml and MLproject.yml both claim" in answer.out


def test_a_folder_without_project_file(proj: Command, tmp_path: Path) -> None:
    empty = proj("check", str(tmp_path))
    assert empty.exit_code == 2
    assert "holds neither an MLproject file nor a script" in empty.out
    shutil.copy(PROJECTS / "classic" / "train.py", tmp_path)
    answer = proj("check", str(tmp_path))
    assert answer.exit_code == 0
    assert "these scripts can be run: train.py" in answer.out
