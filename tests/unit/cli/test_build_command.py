"""`proj build`, on base images that need neither network nor daemon."""

from __future__ import annotations

import json
import re
import signal
import socket
from typing import TYPE_CHECKING, Any

import pytest

from imagekit import PYTHON_FILES, Sample, names, tar
from proj.images.blobs import BlobCache
from projkit import bare_repository, git, local_environment, wheel

if TYPE_CHECKING:
    from pathlib import Path

    from projkit import ProjFolder
    from registrykit import FakeRegistry

PROJECT = """\
name: demo
python_env: python_env.yaml
entry_points:
  main:
    command: echo {x}
    parameters: {x: {default: d}}
"""
SHELL_PROJECT = "name: demo\ndocker_env: {image: nowhere/x}\nentry_points: {main: {command: echo}}\n"
PLATFORM = ("--platform", "linux/amd64")


@pytest.fixture
def base(tmp_path: Path) -> str:
    return f"oci:{Sample().write(tmp_path / 'base')}"


@pytest.fixture
def project(folder: ProjFolder) -> ProjFolder:
    return folder.write({"MLproject": PROJECT, **local_environment(python='"3.11"')})


def build(project: ProjFolder, base: str, *words: str) -> dict[str, Any]:
    done = project.run("build", ".", "--base-image", base, *PLATFORM, *words, "--json")
    assert done.code == 0, done
    data: dict[str, Any] = done.json["data"]
    return data


def config(said: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(BlobCache().path(said["images"][0]["image_id"]).read_bytes())
    return content


def layer(said: dict[str, Any], kind: str) -> bytes:
    found = next(each for each in said["images"][0]["layers"] if each["kind"] == kind)
    return BlobCache().path(found["digest"]).read_bytes()


def test_a_project_becomes_an_image(project: ProjFolder, base: str) -> None:
    said = build(project, base)
    kinds = [each["kind"] for each in said["images"][0]["layers"]]
    assert kinds == ["base", "packages", "code", "launcher"]
    assert said["images"][0]["python"] == "3.11"
    assert "mlflow/projects/env/lib/python3.11/site-packages/tiny.py" in names(layer(said, "packages"))
    assert "mlflow/projects/code/MLproject" in names(layer(said, "code"))
    assert build(project, base)["digest"] == said["digest"]


def test_the_text_says_what_and_where(project: ProjFolder, base: str, tmp_path: Path) -> None:
    out = f"oci:{tmp_path / 'out'}"
    said = project.run("build", ".", "--base-image", base, *PLATFORM, "-o", out, "-t", "team/demo:1").stdout
    assert re.match(r"sha256:[0-9a-f]{64} \(linux/amd64, Python 3\.11, ", said)
    assert f"base      {base} (1 layer, " in said
    assert f"wrote   {out}" in said
    assert "in the cache only" in project.run("build", ".", "--base-image", base, *PLATFORM).stdout


def test_the_commit_is_in_the_labels_and_gives_the_time(project: ProjFolder, base: str) -> None:
    git(project.path, "init", "-q", "-b", "main")
    git(project.path, "remote", "add", "origin", "git@host.example:team/demo.git")
    git(project.path, "add", ".")
    git(project.path, "commit", "-q", "-m", "x", "--date", "2020-01-02T03:04:05Z")
    commit = git(project.path, "rev-parse", "HEAD")
    # Wheels without upload dates count as of today; a commit's date would have nothing to say of them.
    said = build(project, base, "--as-of", "now")
    labels = config(said)["config"]["Labels"]
    assert labels["org.opencontainers.image.revision"] == commit
    assert labels["org.opencontainers.image.source"] == "https://host.example/team/demo"
    assert labels["org.opencontainers.image.title"] == "demo"
    assert labels["org.opencontainers.image.created"] == config(said)["created"]
    git(project.path, "remote", "set-url", "origin", "https://user:canary-token@host.example/team/demo")
    assert build(project, base, "--as-of", "now")["digest"] == said["digest"]
    project.write({"new.py": ""})
    dirty = config(build(project, base, "--as-of", "now"))["config"]["Labels"]
    assert dirty["org.opencontainers.image.revision"] == f"{commit}-dirty"
    assert project.run("build", ".", "--require-clean", "--base-image", base).code == 125


def test_a_repository_is_built_from_its_url(folder: ProjFolder, base: str) -> None:
    url, commit = bare_repository(folder, {"sub/MLproject": SHELL_PROJECT, "top.txt": "x"})
    done = folder.run("build", f"{url}#sub", "-v", commit, "--base-image", base, *PLATFORM, "--json")
    said = done.json["data"]
    assert config(said)["config"]["WorkingDir"] == "/mlflow/projects/code/sub"
    assert [each["kind"] for each in said["images"][0]["layers"]] == ["base", "code", "launcher"]
    assert "mlflow/projects/code/top.txt" in names(layer(said, "code"))
    folder.clean()


def test_options_are_in_the_image(project: ProjFolder, base: str) -> None:
    said = build(project, base, "--env", "A=b=c", "--label", "team=x", "--user", "1000:1000", "-e", "main")
    found = config(said)["config"]
    assert "A=b=c" in found["Env"]
    assert found["Labels"]["team"] == "x"
    assert found["User"] == "1000:1000"


def test_a_canary_is_nowhere(
    project: ProjFolder, base: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CANARY_TOKEN", "canary-55731")
    monkeypatch.setenv("UV_EXTRA_INDEX_URL", "https://user:canary-55731@host.example/simple")
    project.write({".env": "TOKEN=canary-55731\n"})
    said = project.run("build", ".", "--base-image", base, *PLATFORM, "-o", f"oci:{tmp_path / 'out'}")
    assert said.code == 0, said
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(written) > 5
    assert not [path for path in written if b"canary-55731" in path.read_bytes()]
    assert b"canary-55731" not in said.out + said.err
    kept = [path for path in project.cache.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"canary-55731" in path.read_bytes()]


def test_several_platforms_are_one_index(folder: ProjFolder, tmp_path: Path) -> None:
    folder.write({"MLproject": SHELL_PROJECT})
    both = Sample().write(tmp_path / "both", Sample(tar(PYTHON_FILES), architecture="arm64"))
    out = tmp_path / "out"
    words = ("--platform", "linux/amd64,linux/arm64", "-o", f"oci:{out}", "--json")
    said = folder.run("build", "--base-image", f"oci:{both}", *words).json["data"]
    assert [each["platform"] for each in said["images"]] == ["linux/amd64", "linux/arm64"]
    (entry,) = json.loads((out / "index.json").read_bytes())["manifests"]
    assert entry["digest"] == said["digest"]


def test_it_is_pushed(folder: ProjFolder, base: str, fake_registry: FakeRegistry) -> None:
    folder.write({"MLproject": SHELL_PROJECT})
    said = build(folder, base, "-t", f"{fake_registry.host}/team/demo:1", "--push")
    assert said["pushed"] == f"{fake_registry.host}/team/demo@{said['digest']}"
    assert ("team/demo", "1") in fake_registry.manifests


def test_an_interrupt_ends_it_though_the_registry_is_silent(folder: ProjFolder, base: str) -> None:
    folder.write({"MLproject": SHELL_PROJECT})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        words = ("--base-image", base, *PLATFORM, "-t", f"{host}/x:1", "--push")
        started = folder.start("build", *words)
        connection, _ = silent.accept()
        with connection:
            started.signal(signal.SIGINT)
            done = started.finish()
    assert done.code == 130
    assert done.stderr.endswith("proj: stopped by SIGINT\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--push"], "--push needs a name"),
        (["-t", "Not A Name"], "Not the name of an image"),
        (["-o", "image.tar"], "Not an output"),
        (["-o", "oci:"], "Not an output"),
        (["-o", "docker-archive:x.tar"], "needs a name"),
        (["-o", "docker-archive:x.tar", "-t", "x", "--platform", "amd64,arm64"], "takes one platform"),
        (["-t", "x", "--platform", "amd64,arm64"], "takes one platform"),
        (["--platform", "windows/amd64"], "Linux only"),
        (["--platform", "a/b/c/d"], "Not a platform"),
        (["--locked", "--upgrade"], "Give one of"),
        (["--env", "x"], "Invalid format for --env"),
        (["-e", "none"], "none"),
        (["--env-manager", "system"], "Known: conda, local, uv, virtualenv."),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(
    project: ProjFolder, base: str, words: list[str], said: str
) -> None:
    done = project.run("build", ".", "--base-image", base, *words)
    assert done.code in (2, 125)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_another_python_than_the_image_has_is_refused(folder: ProjFolder, base: str) -> None:
    folder.write({"MLproject": PROJECT, **local_environment(python='"3.9"')})
    done = folder.run("build", ".", "--base-image", base, *PLATFORM)
    assert done.code == 125
    assert "asks for Python 3.9, and oci:" in done.stderr
    assert "--python 3.11" in done.stderr
    assert folder.run("build", ".", "--base-image", base, *PLATFORM, "--python", "3.11").code == 0


def test_without_a_daemon_a_name_alone_is_an_error_with_a_way_out(
    folder: ProjFolder, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    folder.write({"MLproject": SHELL_PROJECT})
    done = folder.run("build", ".", "--base-image", base, *PLATFORM, "-t", "x:1")
    assert (done.code, done.lines[0]) == (
        125,
        "proj: No docker daemon answers at /nowhere/docker.sock: there is no such socket.",
    )
    assert "--push and -o oci:DIR need none" in done.stderr


def test_packages_from_folders_are_refused_with_a_way_out(folder: ProjFolder, base: str) -> None:
    folder.write(
        {
            "MLproject": PROJECT,
            **local_environment("./pkg", python='"3.11"'),
            "pkg/pyproject.toml": '[project]\nname = "pkg"\nversion = "1"\n',
        }
    )
    done = folder.run("build", ".", "--base-image", base, *PLATFORM)
    assert done.code == 125
    assert "as a package, which is not done in an image" in done.stderr


def test_what_pypi_has_not_of_condas_packages_is_left_out(folder: ProjFolder, base: str) -> None:
    conda = "dependencies: [python=3.11, cudatoolkit, {pip: [--no-index, --find-links ./wheels, tiny]}]\n"
    files = {**local_environment(), "conda.yaml": conda}
    files |= {f"wheels/{name}-1.0-py3-none-any.whl": wheel(name, "1.0") for name in ("pip", "wheel")}
    del files["python_env.yaml"]
    folder.write({"MLproject": PROJECT.replace("python_env: python_env", "conda_env: conda"), **files})
    words = ("build", ".", "--base-image", base, *PLATFORM, "--env-manager", "uv")
    refused = folder.run(*words)
    assert refused.code == 125, refused
    assert "cudatoolkit" in refused.stderr
    assert "--drop-missing" in refused.stderr
    said = build(folder, base, "--env-manager", "uv", "--drop-missing")
    assert "mlflow/projects/env/lib/python3.11/site-packages/tiny.py" in names(layer(said, "packages"))
