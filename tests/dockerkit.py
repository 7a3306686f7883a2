"""A real engine, and an image for it that needs no registry: this machine's shell and core utilities."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess  # noqa: TID251  asks the linker what programs need
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from proj.errors import ProjError
from proj.images.daemon import connected
from proj.images.engine import Engine, EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROGRAMS = (
    "bash", "cat", "chmod", "dd", "env", "head", "id", "ls", "mkdir", "rm", "sh", "sleep", "stat", "tr",
    "true", "wc",
)  # fmt: skip
SHELL_IMAGE = "proj-test/shell:2"


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The engine; the test fails where it is not there, for its marker says that it is."""
    found = Engine()
    try:
        found.ask("GET", "/version")
    except ProjError as error:
        pytest.fail(error.message)
    return found


@pytest.fixture(scope="session")
def shell_image(engine: Engine) -> str:
    """The name of an image with a shell."""
    try:
        engine.ask("GET", f"/images/{SHELL_IMAGE}/json")
    except EngineError:
        import_image(SHELL_IMAGE, _filesystem())
    return SHELL_IMAGE


def import_image(name: str, filesystem: bytes) -> None:
    """Give the engine an image of one layer."""
    with connected() as client:
        client.import_image_from_data(filesystem, *name.split(":"))  # type: ignore[attr-defined]


@pytest.fixture
def containers(engine: Engine) -> Iterator[Containers]:
    """What containers of proj there are; those that a test left behind are removed."""
    found = Containers(engine)
    yield found
    for each in found.all():
        engine.ask("DELETE", f"/containers/{each['Id']}", {"force": "1"})


class Containers:
    """The engine's containers that belong to the runs of one test."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self) -> list[dict[str, Any]]:
        query = {"all": "1", "filters": '{"label": ["proj.run"]}'}
        listed = self._engine.ask("GET", "/containers/json", query)
        here = os.environ["PROJ_HOME"]
        return [each for each in listed if each["Labels"].get("proj.home") == here]

    def inspect(self, container: str) -> dict[str, Any]:
        found: dict[str, Any] = self._engine.ask("GET", f"/containers/{container}/json")
        return found


def _filesystem() -> bytes:
    """A root file system with a shell, as tar."""
    files: dict[str, Path] = {}
    for name in _PROGRAMS:
        program = shutil.which(name)
        assert program is not None, name
        files[f"bin/{name}"] = Path(program).resolve()
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        for path in re.findall(r"(/\S+) \(0x", listed):
            files[path.lstrip("/")] = Path(path).resolve()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for folder, mode in (("tmp", 0o1777), ("root", 0o700), ("etc", 0o755)):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, mode
            archive.addfile(info)
        for name, file in sorted(files.items()):
            archive.add(file, arcname=name)
    return out.getvalue()
