from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest
from msgspec import structs

from proj.environments.inputs import ORDER, read_input
from proj.environments.select import select
from proj.errors import EnvironmentFailedError, UsageError
from proj.model import DockerDeclaration, EnvironmentDeclaration

if TYPE_CHECKING:
    from pathlib import Path

    from environment_kit import RequestMaker

CONTENT = {
    "python_env.yaml": "dependencies: [alpha]\n",
    "conda.yaml": "dependencies: [pip: [alpha]]\n",
    "conda.yml": "dependencies: [pip: [alpha]]\n",
    "uv.lock": "version = 1\n",
    "pyproject.toml": '[project]\nname = "p"\nversion = "1"\ndependencies = ["alpha"]\n',
    "requirements.txt": "alpha\n",
    "setup.py": "from setuptools import setup\nsetup()\n",
    "environment.yml": "dependencies: [pip: [alpha]]\n",
    "environment.yaml": "dependencies: [pip: [alpha]]\n",
    "conda-lock.yml": "version: 1\npackage: []\n",
    "pixi.lock": "version: 6\n",
    "pylock.toml": 'lock-version = "1.0"\n',
}


def test_the_order_is_the_documented_one(project: Path, request_for: RequestMaker) -> None:
    for name, content in CONTENT.items():
        (project / name).write_text(content)
    for name in ORDER:
        found = read_input(request_for(project))
        assert found is not None
        assert found.origin == name
        (project / name).unlink()
    assert read_input(request_for(project)) is None


def test_settings_of_tools_are_no_environment(project: Path, request_for: RequestMaker) -> None:
    (project / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")
    assert read_input(request_for(project)) is None


def test_nothing_declared_means_the_current_environment(
    project: Path, request_for: RequestMaker, heard: list[str]
) -> None:
    assert select(request_for(project)) == "system"
    assert heard[0].startswith("note: The project declares no environment")


@pytest.mark.parametrize("manager", [None, "uv", "virtualenv"])
def test_a_python_environment(project: Path, request_for: RequestMaker, manager: str | None) -> None:
    (project / "requirements.txt").write_text("alpha\n")
    assert select(request_for(project, manager=manager)) == "python"


def test_local_wins_over_everything(project: Path, request_for: RequestMaker) -> None:
    docker = EnvironmentDeclaration(kind="docker_env", docker=DockerDeclaration(image="i"))
    assert select(request_for(project, manager="local", declaration=docker)) == "system"


def test_docker_needs_its_backend(project: Path, request_for: RequestMaker) -> None:
    docker = EnvironmentDeclaration(kind="docker_env", docker=DockerDeclaration(image="team/image"))
    with pytest.raises(EnvironmentFailedError, match="team/image") as caught:
        select(request_for(project, declaration=docker))
    assert "docker backend" in (caught.value.hint or "")


def test_python_env_by_conda(project: Path, request_for: RequestMaker) -> None:
    (project / "python_env.yaml").write_text("dependencies: []\n")
    declared = EnvironmentDeclaration(kind="python_env", file="python_env.yaml")
    with pytest.raises(UsageError, match="python_env"):
        select(request_for(project, declaration=declared, manager="conda"))
    with pytest.raises(UsageError, match="no conda file"):
        select(request_for(project, manager="conda"))


def test_conda_packages_are_made_by_conda(project: Path, request_for: RequestMaker) -> None:
    (project / "conda.yaml").write_text("dependencies: [python=3.9, numpy=1.2=py39_0, pip, pip: [alpha]]\n")
    for manager in (None, "conda"):
        assert select(request_for(project, manager=manager)) == "conda"
    for manager in ("uv", "virtualenv"):
        assert select(request_for(project, manager=manager)) == "python"


def test_a_conda_file_of_pip_packages_needs_no_conda(project: Path, request_for: RequestMaker) -> None:
    (project / "conda.yaml").write_text("dependencies: [python=3.9, pip, pip: [alpha]]\n")
    assert select(request_for(project)) == "python"
    assert select(request_for(project, manager="conda")) == "conda"


def test_a_list_of_conda_packages(project: Path, request_for: RequestMaker) -> None:
    (project / "spec-file.txt").write_text(
        "# platform: linux-64\n@EXPLICIT\nhttps://h/c/noarch/a-1-0.conda\n"
    )
    declared = EnvironmentDeclaration(kind="conda_env", file="spec-file.txt")
    assert select(request_for(project, declaration=declared)) == "conda"
    with pytest.raises(UsageError, match=r"spec-file\.txt is a list of conda packages"):
        select(request_for(project, declaration=declared, manager="uv"))


def test_nothing_here_installs_conda_packages(
    project: Path, request_for: RequestMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "conda.yaml").write_text("dependencies: [python=3.9, numpy]\n")
    monkeypatch.setattr("proj.environments.conda.program.is_installed", lambda: False)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EnvironmentFailedError, match="nothing here that installs conda") as caught:
        select(request_for(project))
    assert "proj[conda]" in (caught.value.hint or "")
    assert "--env-manager uv" in (caught.value.hint or "")


@pytest.mark.parametrize("target", ["host", "engine", "cluster"])
@pytest.mark.parametrize(
    "manager", ["poetry", "system", "python", "delegated", "recipe", "image", "container", "Conda"]
)
def test_an_unknown_manager(
    project: Path, request_for: RequestMaker, manager: str, target: Literal["host", "engine", "cluster"]
) -> None:
    request = structs.replace(request_for(project, manager=manager), target=target)
    with pytest.raises(UsageError, match=repr(manager)) as caught:
        select(request)
    hint = (caught.value.hint or "").removeprefix("Did you mean 'conda'? ")
    assert hint == "Known: conda, local, uv, virtualenv."
