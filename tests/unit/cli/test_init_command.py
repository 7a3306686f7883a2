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
