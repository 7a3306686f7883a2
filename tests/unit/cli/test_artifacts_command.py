from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proj.tracking import open_tracking
from proj.tracking.inputs import ModelOutput
from proj.tracking.logged_models import NewLoggedModel
from records import record_run

if TYPE_CHECKING:
    from pathlib import Path

    from records import Command


@pytest.fixture(autouse=True)
def _run() -> None:
    record_run("r", files={"model/best/m.pkl": b"best", "model/last.pkl": b"last", "plot.png": b"png"})


def test_direct_entries_are_listed(proj: Command) -> None:
    assert proj("artifacts", "ls", "r").out.split() == ["PATH", "SIZE", "model/", "plot.png", "3", "B"]
    data = proj("artifacts", "ls", "r", "model/", "--json").data
    assert [entry["path"] for entry in data["artifacts"]] == ["model/best", "model/last.pkl"]


def test_all_files_are_listed(proj: Command) -> None:
    data = proj("artifacts", "ls", "-r", "r", "--json").data
    assert [entry["path"] for entry in data["artifacts"]] == [
        "model/best/m.pkl",
        "model/last.pkl",
        "plot.png",
    ]


def test_a_file_lists_itself_and_what_is_not_there_is_said(proj: Command) -> None:
    assert "plot.png" in proj("artifacts", "ls", "r", "plot.png").out
    answer = proj("artifacts", "ls", "r", "nope")
    assert answer.exit_code == 2
    assert "no artifact 'nope'" in answer.err


def test_a_logged_model_is_a_folder_of_its_name(proj: Command, tmp_path: Path) -> None:
    run = record_run("modelled", files={"hidden/a.txt": b"a"})
    with open_tracking() as tracking:
        for name in ("ridge", "hidden"):
            model = tracking.logged_models.create_logged_model(
                NewLoggedModel(experiment_id=run.experiment_id, name=name)
            )
            tracking.artifacts.write(model.artifact_location, "data/m.pkl", name.encode())
            tracking.inputs.log_outputs(run.run_id, [ModelOutput(model_id=model.model_id)])
    assert proj("artifacts", "ls", "modelled").out.split() == ["PATH", "SIZE", "hidden/", "ridge/"]
    data = proj("artifacts", "ls", "-r", "modelled", "--json").data
    assert [entry["path"] for entry in data["artifacts"]] == ["hidden/a.txt", "ridge/data/m.pkl"]
    data = proj("artifacts", "ls", "modelled", "ridge", "--json").data
    assert [entry["path"] for entry in data["artifacts"]] == ["ridge/data"]
    assert proj("artifacts", "get", "modelled", "ridge", "-o", str(tmp_path)).exit_code == 0
    assert (tmp_path / "ridge" / "data" / "m.pkl").read_bytes() == b"ridge"
    assert proj("artifacts", "get", "modelled", "ridge/nothing").exit_code == 2


@pytest.mark.parametrize(
    ("wanted", "written"),
    [
        (["plot.png"], {"plot.png": b"png"}),
        (["model/best"], {"best/m.pkl": b"best"}),
        (["model", "plot.png"], {"model/best/m.pkl": b"best", "model/last.pkl": b"last", "plot.png": b"png"}),
        ([], {"model/best/m.pkl": b"best", "model/last.pkl": b"last", "plot.png": b"png"}),
    ],
)
def test_files_are_copied(
    proj: Command, tmp_path: Path, wanted: list[str], written: dict[str, bytes]
) -> None:
    answer = proj("artifacts", "get", "r", *wanted, "-o", str(tmp_path / "new"))
    assert answer.exit_code == 0
    found = {path.relative_to(tmp_path / "new").as_posix(): path for path in (tmp_path / "new").rglob("*")}
    assert {name: path.read_bytes() for name, path in found.items() if path.is_file()} == written
    assert sorted(answer.out.split()) == sorted(str(tmp_path / "new" / name) for name in written)


def test_nothing_is_replaced_unasked(proj: Command, tmp_path: Path) -> None:
    (tmp_path / "plot.png").write_bytes(b"mine")
    answer = proj("artifacts", "get", "r", "model", "plot.png", "-o", str(tmp_path))
    assert answer.exit_code == 2
    assert "--force" in answer.err
    assert [path.name for path in tmp_path.iterdir()] == ["plot.png"], "all or nothing"
    assert (tmp_path / "plot.png").read_bytes() == b"mine"
    assert proj("artifacts", "get", "r", "plot.png", "-o", str(tmp_path), "--force").exit_code == 0
    assert (tmp_path / "plot.png").read_bytes() == b"png"


def test_two_files_of_one_name_are_refused(proj: Command, tmp_path: Path) -> None:
    record_run("twins", files={"a/x": b"1", "b/x": b"2"})
    answer = proj("artifacts", "get", "twins", "a/x", "b/x", "-o", str(tmp_path))
    assert answer.exit_code == 2
    assert not list(tmp_path.iterdir())


def test_a_path_out_of_the_run_is_refused(proj: Command, tmp_path: Path) -> None:
    for path in ("../../proj.db", "model/../plot.png"):
        assert proj("artifacts", "get", "r", path, "-o", str(tmp_path)).exit_code != 0
        assert proj("artifacts", "ls", "r", path).exit_code != 0
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_said(proj: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = proj("artifacts", "get", "r", "plot.png", "-o", str(tmp_path / "file"))
    assert answer.exit_code == 125
    assert "cannot be written" in answer.err


def test_that_there_are_no_files_is_said(proj: Command) -> None:
    record_run("bare")
    answer = proj("artifacts", "ls", "bare")
    assert (answer.exit_code, answer.out, answer.err) == (0, "", "No files.\n")
