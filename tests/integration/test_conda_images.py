"""Conda projects in containers: a base without Python, a real channel, `pip:` packages, activation."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from channelkit import PRINTED, PROJECT, pyenv_home, write_conda_project
from proj import building, images
from proj.building import BuildRequest
from proj.images.daemon import connected
from proj.images.engine import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dockerkit import Containers
    from proj.images.engine import Engine
    from projkit import ProjFolder

pytestmark = [pytest.mark.conda, pytest.mark.docker, pytest.mark.timeout(300)]

ENV = "/mlflow/projects/env"


@pytest.fixture
def project(folder: ProjFolder, real_channel: Path) -> ProjFolder:
    write_conda_project(folder.path, real_channel.as_uri())
    return folder


@pytest.fixture(autouse=True)
def _without_images(engine: Engine) -> Iterator[None]:
    yield
    with contextlib.suppress(EngineError):
        engine.ask("DELETE", "/images/proj/project:code", {"force": "1"})


def shown(folder: ProjFolder) -> dict[str, Any]:
    found: dict[str, Any] = folder.process("show", "latest", "--json").json["data"]
    return found


def options(image: str) -> list[str]:
    return ["--backend", "docker", "--base-image", image]


def test_a_conda_project_runs_in_a_container(
    project: ProjFolder, library_image: str, containers: Containers
) -> None:
    done = project.process("run", ".", *options(library_image))
    assert done.code == 0, done
    assert done.stdout.startswith(PRINTED), done
    heads = re.findall(r"(?m)^#!(.*)$", done.stdout)
    assert len(heads) == 2
    assert all(head.startswith(f"{ENV}/bin/python") for head in heads), heads
    assert "Solving 5 packages of conda.yaml for linux-64" in done.stderr
    run = project.the_run()
    lock = project.artifact(run, "proj/environment/conda-linux-64.lock").decode()
    assert "/linux-64/python-3.9." in lock
    assert '# | name = "greet"' in lock
    environment = json.loads(project.artifact(run, "proj/environment.json"))
    packages = {each["name"]: each["version"] for each in environment["facts"]["packages"]}
    assert (packages["alpha"], packages["greet"], packages["libtiny"]) == ("1.0", "1.0", "1.0")
    assert environment["facts"]["python_version"] == pyenv_home("3.9").name
    assert environment["kind"] == "container"
    assert run.tags["proj.lock"] == environment["lock_digest"]
    second = project.process("run", ".", "-P", "n=4", *options(library_image))
    assert second.code == 0, second
    assert "1.0 1.0 4.0" in second.stdout
    assert "Solving" not in second.stderr
    assert "Installing" not in second.stderr
    assert containers.all() == []


def test_exit_codes_and_values_go_through_the_activation(project: ProjFolder, library_image: str) -> None:
    write = {"MLproject": PROJECT.format(name="x", command="echo $TOOL_HOME && exit {n}")}
    project.write(write)
    done = project.process("run", ".", "-P", "n=7", *options(library_image))
    assert (done.code, done.stdout) == (7, f"{ENV}\n"), done


@pytest.mark.parametrize("gone", ["nothing", "the image", "the image and the cache"])
def test_the_run_is_made_again(project: ProjFolder, library_image: str, engine: Engine, gone: str) -> None:
    ran = project.process("run", ".", *options(library_image))
    assert ran.code == 0, ran
    first = shown(project)["environment"]["image"]["image_id"]
    if gone != "nothing":
        engine.ask("DELETE", f"/images/{first}", {"force": "1"})
    if gone == "the image and the cache":
        shutil.rmtree(project.cache)
    again = project.process("reproduce", "latest", "--verify")
    assert again.code == 0, again
    assert "came out the same" in again.stdout
    assert shown(project)["environment"]["image"]["image_id"] == first, "made of the same, it is the same"


def test_an_image_of_the_project(
    project: ProjFolder, library_image: str, engine: Engine, tmp_path: Path
) -> None:
    request = BuildRequest(uri=str(project.path), base_image=f"docker:{library_image}")
    (image,) = building.build(request)
    shutil.copytree(project.path, tmp_path / "copy")
    (other,) = building.build(BuildRequest(uri=str(tmp_path / "copy"), base_image=request.base_image))
    assert other.manifest_digest == image.manifest_digest
    name = "proj-test/conda-built:1"
    images.load(image, name)
    try:
        code, said = ran(name, "n=3")
    finally:
        engine.ask("DELETE", f"/images/{name}", {"force": "1"})
    assert code == 0, said
    assert said.startswith(PRINTED)


def ran(image: str, *words: str) -> tuple[int, str]:
    """What a container of an image comes to, as `docker run` starts it."""
    with connected() as client:
        made = client.create_container(image, list(words), network_disabled=True)  # type: ignore[attr-defined]
        try:
            client.start(made)  # type: ignore[attr-defined]
            code = client.wait(made)["StatusCode"]  # type: ignore[attr-defined]
            return code, client.logs(made).decode()  # type: ignore[attr-defined]
        finally:
            client.remove_container(made, force=True)  # type: ignore[attr-defined]


def test_a_base_that_is_not_there_is_named(project: ProjFolder) -> None:
    done = project.process("run", ".", *options("proj-test/none:1"), "--pull", "never")
    assert done.code == 125, done
    assert "no image proj-test/none:1" in done.stderr
    assert "Traceback" not in done.stderr
