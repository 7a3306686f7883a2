"""A folder of tiny wheels: the only index that the unit tests know."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from environment_kit import BACKEND, make_request, write_wheel
from proj import events

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from environment_kit import RequestMaker, WheelMaker


@pytest.fixture
def make_wheel(links: Path) -> WheelMaker:
    """Adds a wheel to the links; its module has the version."""
    return lambda name, version="1.0", *requires: write_wheel(links, name, version, *requires)


@pytest.fixture
def links(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("links")
    for name, version in (("pip", "23.0"), ("setuptools", "65.0"), ("wheel", "0.40")):
        write_wheel(folder, name, version)
    write_wheel(folder, "alpha", "1.0", "beta")
    write_wheel(folder, "alpha", "2.0", "beta")
    write_wheel(folder, "beta", "1.0")
    return folder


@pytest.fixture(autouse=True)
def _only_links(
    links: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for name in list(os.environ):
        if name.startswith(("UV_", "PIP_")) and name not in ("UV_OFFLINE", "PIP_NO_INDEX"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project's folder; its environment's file is for the test to write."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def request_for() -> RequestMaker:
    return make_request


@pytest.fixture
def current() -> str:
    """The version of the Python that runs the tests: it is surely here."""
    return ".".join(map(str, sys.version_info[:2]))


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """What the stages say, as `kind: message`."""
    lines: list[str] = []
    with events.listening(lambda event: lines.append(f"{event.kind}: {event.message}")):
        yield lines


@pytest.fixture
def local_package(tmp_path: Path) -> Path:
    """A package that builds without an index; it depends on alpha."""
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "backend.py").write_text(BACKEND)
    (folder / "local_module.py").write_text("value = 1\n")
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "local-package"\nversion = "1.0"\ndependencies = ["alpha"]\n'
    )
    return folder
