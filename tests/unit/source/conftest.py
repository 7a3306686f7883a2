from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from source_repositories import GitServer, Repo

from proj import events

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A repository with two commits: tag `v1` on the first, a folder `sub` in both."""
    repo = Repo(tmp_path / "work" / "iris")
    repo.write("sub/train.py", "print(1)\n")
    repo.commit()
    repo.git("tag", "--annotate", "--message", "one", "v1")
    repo.commit("sub/train.py", "print(2)\n")
    return repo


@pytest.fixture
def served(tmp_path: Path, repo: Repo) -> Repo:
    """The same repository with a remote `origin`, which a server gives out as `iris.git`."""
    (tmp_path / "served").mkdir()
    repo.git("clone", "--quiet", "--bare", str(repo.path), str(tmp_path / "served" / "iris.git"))
    repo.git("remote", "add", "origin", str(tmp_path / "served" / "iris.git"))
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
