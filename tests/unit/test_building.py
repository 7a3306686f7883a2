from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proj import building, projectfile
from proj.environments import imaged
from proj.errors import UsageError
from proj.model import DockerBuild, DockerDeclaration, EntryPoint, EnvironmentDeclaration, Project

if TYPE_CHECKING:
    from pathlib import Path


def test_a_dockerfile_needs_the_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = DockerDeclaration(image="x", build=DockerBuild())
    project = Project(
        name="x",
        directory=tmp_path,
        file=None,
        entry_points=(EntryPoint(name="main", command="true"),),
        environment=EnvironmentDeclaration(kind="docker_env", docker=docker),
    )
    monkeypatch.setattr(projectfile, "load", lambda *_args, **_options: project)
    with pytest.raises(UsageError, match="is built by a Dockerfile") as caught:
        building.build(building.BuildRequest(uri=str(tmp_path)))
    assert "--builder daemon" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("https://host/team/x.git", "https://host/team/x"),
        ("https://user:token@host/team/x", "https://host/team/x"),
        ("git@host:team/x.git", "https://host/team/x"),
        ("ssh://git@host:22/team/x.git/", "https://host/team/x"),
        ("/srv/repositories/x", None),
        ("file:///srv/repositories/x", None),
    ],
)
def test_a_repository_has_one_name_however_it_is_reached(url: str, label: str | None) -> None:
    assert building._canonical(url) == label


@pytest.mark.parametrize(
    ("minor", "asked", "fits"),
    [("3.11", "3.11", True), ("3.11", "3.11.4", True), ("3.11", "3.1", False), ("3.9", ">=3.9,<3.12", True),
     ("3.12", ">=3.9,<3.12", False), ("3.9", ">=3.9.5", True)],
)  # fmt: skip
def test_the_minor_version_is_what_counts(minor: str, asked: str, fits: bool) -> None:
    assert imaged.fits(minor, asked) is fits
