"""The scripts that bring code to a pod, and away from it what it made."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess  # noqa: TID251  a pod's shell, with nothing of ours around it
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from uv import find_uv_bin

from proj.kube import manifest
from proj.kube.blueprint import Blueprint, Names
from proj.kube.inpod import script
from proj.kube.parts import bundled
from proj.kube.settings import Settings
from proj.model import CODE_DIR, Command, Execution, RecipeRuntime

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeapi import Asked, FakeApi

PREFIX = "/api/2.0/mlflow-artifacts/artifacts/1/2/artifacts/"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A program's folder, with its artifacts beside it."""
    for path in ("artifacts/model/a.txt", "artifacts/proj/stdout.log", "artifacts/project.txt",
                 "work/out/b.csv", "work/proj/command.txt", "work/proj.txt"):  # fmt: skip
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    (tmp_path / "work/out/away").symlink_to("/etc/hostname")
    return tmp_path / "work"


def ran(
    api: FakeApi, work: Path, *argv: str, outputs: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    env = {
        "PATH": os.environ["PATH"], "MLFLOW_TRACKING_URI": api.url, "MLFLOW_RUN_ID": "2",
        "MLFLOW_TRACKING_TOKEN": "t", "PROJ_ARTIFACTS": str(work.parent / "artifacts"),
        "PROJ_OUTPUTS": json.dumps(outputs),
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-c", script("artifacts.py"), *argv],
        cwd=work, env=env, check=False, timeout=110, capture_output=True, text=True,
    )  # fmt: skip


class Server:
    """A tracking server that refuses some paths, and has a bad moment at its first requests."""

    def __init__(self, *, bad: int = 0, refused: str | None = None) -> None:
        self.kept: dict[str, bytes] = {}
        self._bad = bad
        self._refused = refused

    def __call__(self, asked: Asked) -> None:
        if self._bad:
            self._bad -= 1
            asked.answer({"error": "not now"}, 503)
        elif asked.method == "GET" and asked.path.endswith("/runs/get"):
            asked.answer({"run": {"info": {"artifact_uri": "mlflow-artifacts:/1/2/artifacts"}}})
        elif self._refused is not None and asked.path.endswith(self._refused):
            asked.answer({"error": "too large"}, 413)
        elif asked.method == "PUT":
            self.kept[asked.path.removeprefix(PREFIX)] = asked.body
            asked.answer({})
        else:
            asked.answer(b"packed")


@pytest.mark.parametrize("pattern", ["**", "./**", "./proj/*", "out/../proj/*", "out/*"])
def test_nothing_stands_for_the_record_itself(
    serve: Callable[[Server], FakeApi], work: Path, pattern: str
) -> None:
    server = Server()
    done = ran(serve(server), work, "send", outputs=(pattern,))
    assert (done.returncode, done.stderr) == (0, "")
    expected = {"model/a.txt": b"artifacts/model/a.txt", "project.txt": b"artifacts/project.txt"}
    if "out/" in pattern and "proj" not in pattern:
        expected |= {"out/b.csv": b"work/out/b.csv"}
    if pattern.endswith("**"):
        expected |= {"out/b.csv": b"work/out/b.csv", "proj.txt": b"work/proj.txt"}
    assert server.kept == expected


@pytest.mark.parametrize("outputs", [(), ("nothing/*",)])
def test_who_has_nothing_to_send_asks_no_server(
    serve: Callable[[Server], FakeApi], work: Path, outputs: tuple[str, ...]
) -> None:
    """One that keeps no artifacts for others, say, has nothing to be told of."""
    shutil.rmtree(work.parent / "artifacts")
    (work.parent / "artifacts" / "empty").mkdir(parents=True)
    api = serve(Server(bad=100))
    done = ran(api, work, "send", outputs=outputs)
    assert (done.returncode, done.stdout, done.stderr, api.asked) == (0, "", "", [])


def test_a_bad_moment_of_the_server_loses_nothing(serve: Callable[[Server], FakeApi], work: Path) -> None:
    server = Server(bad=2)
    done = ran(serve(server), work, "send")
    assert (done.returncode, done.stderr) == (0, "")
    assert set(server.kept) == {"model/a.txt", "project.txt"}


def test_code_is_fetched_when_a_bad_moment_is_over(serve: Callable[[Server], FakeApi], work: Path) -> None:
    done = ran(serve(Server(bad=1)), work, "fetch", "proj/code.tar.gz", "code")
    assert (done.returncode, (work / "code").read_bytes()) == (0, b"packed")


def test_one_file_that_is_refused_costs_no_other(serve: Callable[[Server], FakeApi], work: Path) -> None:
    server = Server(refused="a.txt")
    api = serve(server)
    done = ran(api, work, "send")
    assert done.returncode == 1
    assert "does not take model/a.txt (HTTP Error 413" in done.stderr
    assert set(server.kept) == {"project.txt"}
    assert sum(asked.path.endswith("a.txt") for asked in api.asked) == 1


@pytest.mark.parametrize("there", [True, False])
def test_code_is_unpacked_at_its_place_or_nothing_runs(tmp_path: Path, *, there: bool) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("file.txt")
        entry.size = 2
        archive.addfile(entry, io.BytesIO(b"x\n"))
    bundle = bundled(buffer.getvalue(), {})
    top = tmp_path / "projects"
    for folder in ("bundle", "work", "elsewhere", *(["code"] if there else [])):
        (top / folder).mkdir(parents=True)
    for each in bundle.maps:
        for name, content in each.files.items():
            (top / "bundle" / name).write_bytes(content)
    execution = Execution(
        run_id="0" * 32, run_name="a", project_name="p", runtime=RecipeRuntime(image="i"), variables={},
        record_dir="/x", command=Command(line="x", argv=("cat", "file.txt"), cwd=CODE_DIR),
    )  # fmt: skip
    made = manifest.job(
        Blueprint(execution=execution, settings=Settings(), image="i", bundle=bundle),
        Names(job="j", namespace="n", session="s"),
    )
    argv = made["spec"]["template"]["spec"]["containers"][0]["command"]
    here = [word.replace("$$", "$").replace(str(Path(CODE_DIR).parent), str(top)) for word in argv]
    done = subprocess.run(
        here, cwd=top / "elsewhere", check=False, timeout=110, capture_output=True, text=True
    )
    assert not (top / "elsewhere" / "file.txt").exists()
    assert (done.returncode == 0, done.stdout) == (there, "x\n" if there else "")
    assert there or "elsewhere" not in done.stderr
    assert there or "that was sent" not in done.stderr


@pytest.mark.parametrize("shared", [True, False])
def test_an_environment_that_is_only_read_is_compiled(tmp_path: Path, *, shared: bool) -> None:
    for folder in ("bundle", "project", "work"):
        (tmp_path / folder).mkdir()
    wheel = tmp_path / "project" / "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("tiny.py", "ONE = 1\n")
        file.writestr("tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n")
        file.writestr(
            "tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr("tiny-1.dist-info/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (tmp_path / "bundle" / "requirements.txt").write_text(f"./{wheel.name} --hash=sha256:{digest}\n")
    target = tmp_path / "envs" / "one"
    env = {
        "PATH": f"{Path(find_uv_bin()).parent}:{os.environ['PATH']}", "UV_OFFLINE": "1",
        "UV_CACHE_DIR": str(tmp_path / "cache"), "PROJ_BUNDLE_DIR": str(tmp_path / "bundle"),
        "PROJ_PROJECT_DIR": str(tmp_path / "project"), "PROJ_WORK_DIR": str(tmp_path / "work"),
        "PROJ_ENVIRONMENT_DIR": str(target), "PROJ_ENVIRONMENT_SHARED": "1" if shared else "",
    }  # fmt: skip
    subprocess.run([sys.executable, "-c", script("prepare.py")], env=env, check=True, timeout=110)
    assert (target / ".proj-complete").exists()
    assert len(list(target.rglob("tiny.py"))) == 1
    assert bool(list(target.rglob("tiny*.pyc"))) is shared
