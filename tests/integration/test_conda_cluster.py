"""Conda projects on a real cluster: in an image that is pushed, and made in the pod."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from channelkit import PRINTED, write_conda_project
from clusterkit import IMAGE, Namespace
from conda_kit import ChannelServer
from projkit import git

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from projkit import ProjFolder

pytestmark = [pytest.mark.cluster, pytest.mark.conda, pytest.mark.slow, pytest.mark.timeout(400)]

REGISTRY = "127.0.0.1:5000"
HOST = "172.17.0.1"
"""Where pods of the test cluster reach this machine."""
ENV = "/mlflow/projects/env"
IN_POD = f"{ENV}/venv"
ONLINE: dict[str, str | None] = {"UV_OFFLINE": None, "PIP_NO_INDEX": None}
TOLD = """\
import os, sys, alpha
from importlib.metadata import version
said = [os.environ[name] for name in ("GREETING", "TOOL_HOME", "CONDA_PREFIX")]
said += [os.environ["PATH"].split(":")[0], os.environ["TOOL_MODE"]]
print(sys.version_info[:2], sys.prefix, alpha.version, version("tabulate"), *said)
"""


def options(namespace: Namespace, **settings: object) -> list[str]:
    return ["--backend", "kubernetes", "-c", namespace.config(**settings), "--grace", "1s"]


@pytest.fixture
def server(real_channel: Path) -> Iterator[ChannelServer]:
    """The channel, where pods reach it."""
    made = ChannelServer(real_channel, host=HOST)
    yield made
    made.close()


def packages(folder: ProjFolder) -> dict[str, str]:
    environment = json.loads(folder.artifact(folder.runs()[0], "proj/environment.json"))
    return {each["name"]: each["version"] for each in environment["facts"]["packages"]}


def test_an_image_with_the_environment_is_pushed(
    folder: ProjFolder, namespace: Namespace, real_channel: Path
) -> None:
    write_conda_project(folder.path, real_channel.as_uri())
    repository = f"{REGISTRY}/proj-test/conda-project"
    words = options(namespace, repository_uri=repository, base_image=f"{REGISTRY}/{IMAGE}")
    done = folder.process("run", ".", "--delivery", "image", *words)
    assert done.code == 0, done
    assert done.stdout.startswith(PRINTED), done
    assert done.stdout.count(f"#!{ENV}/bin/python") == 2
    assert (packages(folder)["alpha"], packages(folder)["greet"]) == ("1.0", "1.0")
    lock = folder.artifact(folder.the_run(), "proj/environment/conda-linux-64.lock").decode()
    assert "/linux-64/python-3.9." in lock
    second = folder.process("run", ".", "-P", "n=4", "--delivery", "image", *words)
    assert second.code == 0, second
    assert "Installing" not in second.stderr


@pytest.mark.network
def test_the_environment_is_made_in_the_pod(
    folder: ProjFolder, namespace: Namespace, server: ChannelServer
) -> None:
    command = "python -c 'import pod' && tinynum && head -1 $(command -v tinynum) $(command -v tabulate)"
    write_conda_project(folder.path, server.url, command, ["tabulate==0.9.0"])
    folder.write({"pod.py": TOLD})
    words = [*options(namespace), "--base-image", IMAGE]
    done = folder.process("run", ".", *words, env=ONLINE)
    assert done.code == 0, done
    told = f"(3, 9) {IN_POD} 1.0 0.9.0 hello {IN_POD} {IN_POD} {IN_POD}/bin fast\ntinynum 4.0\n"
    assert done.stdout.startswith(told), done
    heads = [line for line in done.stdout.splitlines() if line.startswith("#!")]
    assert len(heads) == 2
    assert all(head.startswith(f"#!{IN_POD}/bin/python") for head in heads), heads
    assert (packages(folder)["alpha"], packages(folder)["tabulate"]) == ("1.0", "0.9.0")
    assert folder.the_run().tags["proj.lock"].startswith("sha256:")
    again = folder.process("reproduce", "latest", "--verify", env=ONLINE)
    assert again.code == 0, again


@pytest.mark.network
def test_a_package_that_is_another_than_the_locked_one_is_refused_in_the_pod(
    folder: ProjFolder, namespace: Namespace, server: ChannelServer
) -> None:
    write_conda_project(folder.path / "sub", server.url, "greet")
    folder.write({"README.md": "the project is in a folder of it\n"})
    git(folder.path, "init", "-q")
    words = ["run", ".#sub", *options(namespace), "--base-image", IMAGE]
    done = folder.process(*words, env=ONLINE)
    assert (done.code, done.stdout) == (0, f"greetings from {IN_POD}\n"), "its own wheel is installed"
    server.corrupt = {"libtiny-1.0-0.tar.bz2"}
    bad = folder.process(*words, env=ONLINE)
    assert bad.code == 125, bad
    assert "libtiny-1.0-0.tar.bz2 is not the package that is locked" in bad.stderr
    assert folder.runs()[0].tags["proj.failure"] == "env_failed"


def test_an_image_that_cannot_make_it_says_what_to_do(
    folder: ProjFolder, namespace: Namespace, server: ChannelServer
) -> None:
    write_conda_project(folder.path, server.url)
    words = options(namespace, environment={"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0"})
    done = folder.process("run", ".", *words, "--base-image", IMAGE, env=ONLINE)
    assert done.code == 125, done
    assert "--delivery image needs none of these" in done.stderr
    assert folder.the_run().tags["proj.failure"] == "env_failed"


@pytest.mark.network
def test_an_environment_of_a_cache_is_made_once(
    folder: ProjFolder, namespace: Namespace, server: ChannelServer, claim: str
) -> None:
    write_conda_project(folder.path, server.url, "greet && echo $TOOL_HOME")
    words = ["run", ".", *options(namespace, cache_claim=claim), "--base-image", IMAGE]
    first = folder.process(*words, env=ONLINE)
    assert first.code == 0, first
    server.asked.clear()
    second = folder.process(*words, env=ONLINE)
    assert (second.code, second.stdout) == (0, first.stdout), second
    assert "link.py" not in second.stderr
    assert server.asked == []
