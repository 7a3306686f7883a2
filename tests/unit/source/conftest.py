from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from proj import events
from source_repositories import GitServer, Repo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def _templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once and copied: a test costs no processes before it begins."""
    folder = tmp_path_factory.mktemp("repositories")
    repo = Repo(folder / "iris")
    repo.write("sub/train.py", "print(1)\n")
    repo.commit()
    repo.git("tag", "--annotate", "--message", "one", "v1")
    repo.commit("sub/train.py", "print(2)\n")
    repo.git("clone", "--quiet", "--bare", "--template=", str(repo.path), str(folder / "iris.git"))
    return folder


@pytest.fixture
def repo(tmp_path: Path, _templates: Path) -> Repo:
    """A repository with two commits: tag `v1` on the first, a folder `sub` in both."""
    shutil.copytree(_templates / "iris", tmp_path / "work" / "iris", symlinks=True)
    return Repo(tmp_path / "work" / "iris")


@pytest.fixture
def served(tmp_path: Path, repo: Repo, _templates: Path) -> Repo:
    """The same repository with a remote `origin`, which a server gives out as `iris.git`."""
    shutil.copytree(_templates / "iris.git", tmp_path / "served" / "iris.git", symlinks=True)
    with (repo.path / ".git/config").open("a", encoding="utf-8") as config:
        config.write(f'[remote "origin"]\n\turl = {tmp_path}/served/iris.git\n')
    return repo


@pytest.fixture
def server(tmp_path: Path, served: Repo) -> Iterator[GitServer]:
    server = GitServer(tmp_path / "served")
    yield server
    server.close()


@pytest.fixture
def private_server(tmp_path: Path, served: Repo) -> Iterator[GitServer]:
    server = GitServer(tmp_path / "served", login=("ada", "s3cr3t/tok@n"))
    yield server
    server.close()


@pytest.fixture
def said() -> Iterator[list[events.Event]]:
    """All events of the test."""
    heard: list[events.Event] = []
    with events.listening(heard.append):
        yield heard
