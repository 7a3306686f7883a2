from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from records import Command


def test_a_project_file_is_written_once(proj: Command, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print('x')\n")
    answer = proj("init", str(tmp_path))
    assert answer.exit_code == 0
    assert answer.out.splitlines()[-1] == f"Next: proj run {tmp_path}"
    assert proj("check", str(tmp_path), "--strict").exit_code == 0
    again = proj("init", str(tmp_path))
    assert again.exit_code == 2
    assert "is there already" in again.err
    assert proj("init", str(tmp_path), "--force").exit_code == 0


def test_the_result_as_json(proj: Command, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("print('x')\n")
    (tmp_path / "b.sh").write_text("echo x\n")
    (tmp_path / "requirements.txt").write_text("")
    data = proj("init", str(tmp_path), "--json").data
    assert data["entry_points"] == ["a", "b"]
    assert data["environment"] == "requirements.txt"


def test_the_next_command_names_what_is_required(proj: Command, tmp_path: Path) -> None:
    folder = tmp_path / "my project"
    folder.mkdir()
    (folder / "a.py").write_text(
        "import argparse\nparser = argparse.ArgumentParser()\n"
        "parser.add_argument('data')\nparser.add_argument('--files', nargs='+')\n"
    )
    (folder / "b.py").write_text("print('x')\n")
    lines = proj("init", str(folder)).out.splitlines()
    assert "Left out: a.py --files (nargs)." in lines
    assert lines[-1] == f"Next: proj run '{folder}' -e a -P data=…"
