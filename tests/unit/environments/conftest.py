"""A folder of tiny wheels: the only index that the unit tests know."""

from __future__ import annotations

import os
import sys
import zipfile
from typing import TYPE_CHECKING, Protocol

import pytest

from proj import events
from proj.model import EnvironmentRequest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BACKEND = '''"""A build backend that needs nothing installed."""
import zipfile

NAME, VERSION, MODULE = "local_package", "1.0", "local_module"


def _wheel(folder, files):
    name = f"{NAME}-{VERSION}-py3-none-any.whl"
    info = f"{NAME}-{VERSION}.dist-info"
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\\nName: {NAME}\\nVersion: {VERSION}\\n"
    files[f"{info}/METADATA"] += "Requires-Dist: alpha\\n"
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    files[f"{info}/RECORD"] = "".join(f"{path},,\\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(f"{folder}/{name}", "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return name


def build_wheel(folder, config_settings=None, metadata_directory=None):
    with open(f"{MODULE}.py") as file:
        return _wheel(folder, {f"{MODULE}.py": file.read()})


def build_editable(folder, config_settings=None, metadata_directory=None):
    import os

    return _wheel(folder, {"local_package.pth": os.getcwd() + "\\n"})
'''


class WheelMaker(Protocol):
    def __call__(self, name: str, version: str = "1.0", *requires: str) -> Path: ...


@pytest.fixture
def make_wheel(links: Path) -> WheelMaker:
    """Adds a wheel to the links; its module has the version."""
    return lambda name, version="1.0", *requires: write_wheel(links, name, version, *requires)


def write_wheel(folder: Path, name: str, version: str, *requires: str) -> Path:
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + "".join(f"Requires-Dist: {line}\n" for line in requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for name_in_archive, content in files.items():
            archive.writestr(zipfile.ZipInfo(name_in_archive), content)
    return path


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


class RequestMaker(Protocol):
    def __call__(self, project: Path, **changes: object) -> EnvironmentRequest: ...


def make_request(project: Path, **changes: object) -> EnvironmentRequest:
    fields: dict[str, object] = {"project_dir": project, "root": project, **changes}
    return EnvironmentRequest(**fields)  # type: ignore[arg-type]  # the tests name the fields


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
