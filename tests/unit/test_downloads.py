from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import proj
from proj.errors import NotFoundError
from proj.model import NewRun, RunStatus
from proj.tracking import open_tracking

if TYPE_CHECKING:
    from proj.tracking import Tracking

DATA = b"a,b\n1,2\n"


@pytest.fixture(params=["folder", "elsewhere"])
def kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where files are kept: in a folder of this machine, or in an object store."""
    if request.param == "elsewhere":
        monkeypatch.setenv("PROJ_ARTIFACT_ROOT", f"memory://{uuid.uuid4().hex}")
    return str(request.param)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROJ_ARTIFACT_ROOT", f"memory://{uuid.uuid4().hex}")


def new_run(tracking: Tracking, *, ended: bool = True) -> proj.Run:
    run = tracking.runs.create_run(NewRun(experiment_id="0", run_name="made", started_ms=1))
    tracking.artifacts.write(run.artifact_uri, "data.csv", DATA)
    tracking.artifacts.write(run.artifact_uri, "model/weights", b"w")
    tracking.artifacts.write(run.artifact_uri, "model/deep/empty", b"")
    if ended:
        tracking.runs.update_run(run.run_id, status=RunStatus.FINISHED, ended_ms=1)
    return proj.Run(run.run_id)


def overwrite(tracking: Tracking, run: proj.Run, path: str, content: bytes) -> None:
    tracking.artifacts.write(run.record().artifact_uri, path, content)


@pytest.mark.usefixtures("kept")
def test_the_folder_of_a_runs_files_is_on_this_machine() -> None:
    with open_tracking() as tracking:
        folder = new_run(tracking).artifacts
    assert (folder / "data.csv").read_bytes() == DATA
    assert (folder / "model/weights").read_bytes() == b"w"
    assert (folder / "model/deep/empty").read_bytes() == b""


@pytest.mark.usefixtures("kept")
def test_a_file_or_folder_is_had_by_its_path(tmp_path: Path) -> None:
    with open_tracking() as tracking:
        run = new_run(tracking)
    assert run.download_artifacts("data.csv").read_bytes() == DATA
    assert (run.download_artifacts("model") / "weights").read_bytes() == b"w"
    there = run.download_artifacts("model/weights", to=str(tmp_path / "to"))
    assert there == tmp_path / "to/model/weights"
    assert there.read_bytes() == b"w"
    assert not (tmp_path / "to/data.csv").exists()
    assert (run.download_artifacts(to=tmp_path / "all") / "model/deep/empty").exists()


def test_what_is_kept_here_is_not_copied() -> None:
    with open_tracking() as tracking:
        run = new_run(tracking)
    assert run.download_artifacts("data.csv") == run.artifacts / "data.csv"
    assert not Path(os.environ["PROJ_CACHE"], "artifacts").exists()


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("path", ["nothing", "data.csv/below", "model/nothing"])
def test_a_file_that_is_not_there_is_said_so(path: str) -> None:
    with open_tracking() as tracking:
        run = new_run(tracking)
    with pytest.raises(NotFoundError, match=path):
        run.download_artifacts(path)


@pytest.mark.usefixtures("elsewhere")
def test_files_of_a_run_that_has_ended_are_fetched_once() -> None:
    with open_tracking() as tracking:
        run = new_run(tracking)
        assert (run.artifacts / "data.csv").read_bytes() == DATA
        overwrite(tracking, run, "data.csv", DATA[::-1])
        assert (run.artifacts / "data.csv").read_bytes() == DATA, "fetched again"
        overwrite(tracking, run, "data.csv", DATA + b"3,4\n")
        assert (run.artifacts / "data.csv").read_bytes() == DATA + b"3,4\n", "of another size"


@pytest.mark.usefixtures("elsewhere")
def test_a_run_that_is_made_again_has_its_new_files() -> None:
    with open_tracking() as tracking:
        run = new_run(tracking)
        assert run.download_artifacts("data.csv").read_bytes() == DATA
        overwrite(tracking, run, "data.csv", DATA[::-1])
        tracking.runs.update_run(run.run_id, status=RunStatus.FINISHED, ended_ms=2)
    assert run.download_artifacts("data.csv").read_bytes() == DATA[::-1]


@pytest.mark.usefixtures("elsewhere")
def test_files_of_a_run_that_is_under_way_are_fetched_anew() -> None:
    with open_tracking() as tracking:
        run = new_run(tracking, ended=False)
        assert (run.artifacts / "data.csv").read_bytes() == DATA
        overwrite(tracking, run, "data.csv", DATA[::-1])
    assert (run.artifacts / "data.csv").read_bytes() == DATA[::-1]
