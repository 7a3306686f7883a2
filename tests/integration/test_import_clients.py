"""Stores that stock mlflow clients of every age have filled, imported, and what these clients say of them."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from clients import CLIENTS, FOLDER, NEWEST, QUIET, mlflow_server, proj_server
from proj import process
from projkit import PROJ

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.clients, pytest.mark.timeout(1200)]

VARIABLES = {**QUIET, "MLFLOW_ALLOW_FILE_STORE": "true"}

every_client = pytest.mark.parametrize("name", CLIENTS)
every_kind = pytest.mark.parametrize("kind", ["mlruns", "sqlite"])


def fill(python: Path, uri: str, folder: Path) -> None:
    scratch = folder / "scratch"
    scratch.mkdir()
    argv = [str(python), str(FOLDER / "fill_store.py"), uri, str(scratch)]
    process.run(argv, cwd=folder, env=VARIABLES, timeout_s=600)


def report(python: Path, uri: str, folder: Path) -> dict[str, Any]:
    argv = [str(python), str(FOLDER / "store_report.py"), uri]
    done = process.run(argv, cwd=folder, env=VARIABLES, timeout_s=600)
    loaded: dict[str, Any] = json.loads(done.stdout)
    return loaded


def import_(source: str, home: Path, code: int = 0) -> dict[str, Any]:
    done = process.run(
        [PROJ, "import", f"mlflow:{source}", "--json"],
        env={"PROJ_HOME": str(home)},
        check=False,
        timeout_s=600,
    )
    assert done.returncode == code, (done.stdout, done.stderr)
    data: dict[str, Any] = json.loads(done.stdout)["data"]
    return data


def compare(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    """See that all is as it was, but for what `docs/how-to/import-mlflow.md` says is not."""
    for name, experiment in theirs["experiments"].items():
        mine = ours["experiments"][name]
        assert (mine["tags"], mine["lifecycle"]) == (experiment["tags"], experiment["lifecycle"])
        if name != "Default":  # it was here before, and is older
            assert experiment["created"] in (None, mine["created"])
    assert set(ours["runs"]) == set(theirs["runs"])
    for run_id, run in theirs["runs"].items():
        if theirs["experiments"][run["experiment"]]["lifecycle"] == "deleted":
            run["lifecycle"] = "deleted"  # before 2.0, a folder store left the runs as they were
            run.pop("files", None)
        assert ours["runs"][run_id] == run
    for part in ("models", "logged"):
        if part in theirs:  # the oldest client's file store has no registry
            assert ours[part] == theirs[part]


def new_points(theirs: dict[str, Any]) -> int:
    return sum(len(points) for run in theirs["runs"].values() for points in run["histories"].values())


@every_kind
@every_client
def test_a_store_of_a_client(client: Callable[[str], Path], tmp_path: Path, name: str, kind: str) -> None:
    python = client(name)
    place = tmp_path / "mlruns" if kind == "mlruns" else tmp_path / "mlflow.db"
    uri = place.as_uri() if kind == "mlruns" else f"sqlite:///{place}"
    fill(python, uri, tmp_path)
    theirs = report(python, uri, tmp_path)
    before = sorted((str(path), path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    served = tmp_path / "served"
    home = served / "home"
    done = import_(str(place), home)
    assert done["runs"] == {"new": 7, "changed": 0, "there": 0}
    assert done["points"] == new_points(theirs)
    assert before == sorted(
        (str(path), path.stat().st_mtime_ns)
        for path in tmp_path.rglob("*")
        if served not in (path, *path.parents)
    ), "the import wrote into what it reads"
    again = import_(str(place), home)
    counts = [again[kind] for kind in ("experiments", "runs", "logged_models", "registered_models", "files")]
    assert [(each["new"], each["changed"]) for each in counts] == [(0, 0)] * 5
    assert (again["points"], again["versions"]) == (0, 0)
    with proj_server(served) as url:
        compare(theirs, report(python, url, tmp_path))


@pytest.mark.parametrize("name", CLIENTS[1:])  # the oldest one's server has another protocol for experiments
def test_a_server_of_mlflow(client: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    python = client(name)
    served = tmp_path / "served"
    with mlflow_server(python, tmp_path / "theirs") as url:
        fill(python, url, tmp_path)
        theirs = report(python, url, tmp_path)
        assert import_(url, served / "home")["runs"]["new"] == 7
        again = import_(url, served / "home")
        assert again["runs"] == {"new": 0, "changed": 0, "there": 7}
    with proj_server(served) as url:
        compare(theirs, report(python, url, tmp_path))


def test_a_database_while_its_server_goes_on(client: Callable[[str], Path], tmp_path: Path) -> None:
    python = client(NEWEST)
    with mlflow_server(python, tmp_path / "theirs") as url:
        fill(python, url, tmp_path)
        done = import_(str(tmp_path / "theirs" / "mlflow.db"), tmp_path / "home")
        assert done["runs"]["new"] == 7
        assert done["files"]["new"] == 3, "its artifacts are beside the database"
        report(python, url, tmp_path)


def test_a_folder_that_was_moved(client: Callable[[str], Path], tmp_path: Path) -> None:
    python = client(NEWEST)
    fill(python, (tmp_path / "mlruns").as_uri(), tmp_path)
    shutil.move(tmp_path / "mlruns", tmp_path / "elsewhere")
    served = tmp_path / "served"
    done = import_(str(tmp_path / "elsewhere"), served / "home")
    assert done["files"]["new"] == 3
    load = "import mlflow, sys; print(open(mlflow.artifacts.download_artifacts(sys.argv[1])).read())"
    with proj_server(served) as url:
        env = {**VARIABLES, "MLFLOW_TRACKING_URI": url}
        for uri, content in (
            ("models:/grapes/3/deep/hello.txt", "hello"),
            ("models:/grapes/6/MLmodel", "flavors"),
        ):
            said = process.run([str(python), "-c", load, uri], env=env, timeout_s=600).stdout
            assert content in said
