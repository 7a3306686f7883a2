from __future__ import annotations

from typing import TYPE_CHECKING

from importkit import all_runs, database, mlruns, run_folder
from proj import paths
from proj.tracking import open_tracking

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from records import Command


def test_an_import_says_what_was_new(proj: Command, tmp_path: Path) -> None:
    root = mlruns(tmp_path)
    said = proj("import", f"mlflow:{root}")
    assert said.exit_code == 0
    assert [line.split() for line in said.out.splitlines()[1:3]] == [
        ["experiments", "2", "1", "0"],
        ["runs", "7", "0", "0"],
    ]
    assert "5 model versions" in said.out
    with open_tracking(paths.home()) as tracking:
        assert len(all_runs(tracking)) == 7
    again = proj("import", f"mlflow:{root}", "--json").data
    assert again["runs"] == {"new": 0, "changed": 0, "there": 7}
    assert again["source"] == root.as_uri()


def test_what_is_left_out_is_said_and_the_exit_code_tells(proj: Command, tmp_path: Path) -> None:
    root = mlruns(tmp_path)
    meta = run_folder(root, "child") / "meta.yaml"
    meta.write_text("a: [1\n")
    said = proj("import", f"mlflow:{root}")
    assert said.exit_code == 1
    assert f"{meta}:2" in said.out
    assert f"{meta}:2" in said.err
    answer = proj("import", f"mlflow:{root}", "--json")
    assert answer.exit_code == 1
    (problem,) = answer.data["problems"]
    assert problem["place"] == f"{meta}:2"


def test_options(proj: Command, tmp_path: Path) -> None:
    path = database(tmp_path)
    rehearsed = proj("import", f"mlflow:{path}", "--dry-run", "--json").data
    assert (rehearsed["dry_run"], rehearsed["runs"]["new"], rehearsed["files"]["new"]) == (True, 7, 1)
    assert not paths.home().exists()
    done = proj(
        "import", f"mlflow:sqlite:///{path}", "--experiment", "Default", "--no-artifacts", "--json"
    ).data
    assert (done["runs"]["new"], done["files"]["new"]) == (1, 0)


def test_a_server_is_no_place_to_import_into(
    proj: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROJ_TRACKING_URI", "http://127.0.0.1:9")
    answer = proj("import", f"mlflow:{mlruns(tmp_path)}")
    assert answer.exit_code == 2
    assert "on the server's machine" in answer.err


def test_what_is_no_source_is_refused(proj: Command, tmp_path: Path) -> None:
    answer = proj("import", str(tmp_path))
    assert answer.exit_code == 2
    assert "mlflow:FOLDER" in answer.err
    assert proj("import", f"mlflow:{tmp_path}").exit_code == 125


def test_where_to_is_said_by_an_option_and_not_by_the_client_of_a_server(
    proj: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    path = database(tmp_path)
    said = proj("import", f"mlflow:{path}", "--dry-run", "--experiment", "Default")
    assert said.exit_code == 0
    assert "Looking at 1 experiment of " in said.err
    assert proj("import", f"mlflow:{path}", "--tracking-uri", str(tmp_path / "to")).exit_code == 0
    assert (tmp_path / "to" / "proj.db").exists()
    assert not paths.home().exists()
