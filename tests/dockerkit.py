"""A real engine, and an image for it that needs no registry: this machine's shell and core utilities."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess  # noqa: TID251  asks the linker what programs need
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from proj import files
from proj.errors import ProjError
from proj.images.daemon import connected
from proj.images.engine import Engine, EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
    return _shared_image(engine, SHELL_IMAGE, None)


@pytest.fixture(scope="session")
def python_image(engine: Engine) -> str:
    """The name of an image with a Python: this one's, moved into it as it is."""
    name = f"proj-test/python-here:{sys.version_info.major}.{sys.version_info.minor}"
    return _shared_image(engine, name, Path(sys.base_prefix).resolve())


@pytest.fixture(scope="session")
def library_image(engine: Engine) -> str:
    """The name of an image with a shell and the libraries that this machine's Pythons need, and no Python."""
    return _shared_image(engine, "proj-test/libraries:1", None, libraries_of=_pythons())


def _pythons() -> list[Path]:
    """The Pythons that packages are made of (`channelkit`), with their modules."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    programs = [path for path in versions.glob("3.*/bin/python3.*") if "-" not in path.name]
    return [*programs, *versions.glob("3.*/lib/python3.*/lib-dynload/*.so")]


def _shared_image(engine: Engine, name: str, python: Path | None, libraries_of: Sequence[Path] = ()) -> str:
    """Have an image that all of pytest's workers use; made once, for a second one takes the name away."""
    descriptor = files.lock(Path(tempfile.gettempdir()) / "proj-test-images.lock")
    try:
        engine.ask("GET", f"/images/{name}/json")
    except EngineError:
        import_image(name, _filesystem(python, libraries_of))
    finally:
        os.close(descriptor)
    return name


def import_image(name: str, filesystem: bytes) -> None:
    """Give the engine an image of one layer."""
    with connected() as client:
        client.import_image_from_data(filesystem, *name.split(":"))  # type: ignore[attr-defined]


def new_image(name: str) -> None:
    """Give the engine an image with a shell that has no other name, and so can be removed."""
    import_image(name, _filesystem())


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


def _filesystem(python: Path | None = None, libraries_of: Sequence[Path] = ()) -> bytes:
    """A root file system with a shell, and perhaps with a Python, as tar."""
    files: dict[str, Path] = {}
    for name in _PROGRAMS:
        program = shutil.which(name)
        assert program is not None, name
        files[f"bin/{name}"] = Path(program).resolve()
        files |= _libraries(program)
    own = ((name, path) for shared in libraries_of for name, path in _libraries(str(shared)).items())
    files |= {name: path for name, path in own if "pyenv" not in name}
    if python is not None:
        executable = python / f"bin/python{sys.version_info.major}.{sys.version_info.minor}"
        for shared in (executable, *python.glob("lib/python3.*/lib-dynload/*.so")):
            files |= _libraries(str(shared))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for folder, mode in (("tmp", 0o1777), ("root", 0o700), ("etc", 0o755)):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, mode
            archive.addfile(info)
        taken = f"{str(python)[1:]}/" if python is not None else "\0"
        for name, file in sorted(files.items()):
            if not name.startswith(taken):
                archive.add(file, arcname=name)
        if python is not None:
            for folder in ("bin", "lib"):
                archive.add(python / folder, arcname=f"{str(python)[1:]}/{folder}", filter=_needed)
            for name in ("python", "python3"):
                link = tarfile.TarInfo(f"usr/bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, str(executable)
                archive.addfile(link)
    return out.getvalue()


def _libraries(program: str) -> dict[str, Path]:
    """The shared objects that a program is linked with, by their place in a file system."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return {path.lstrip("/"): Path(path).resolve() for path in re.findall(r"(/\S+) \(0x", listed)}


def _needed(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    parts = member.name.split("/")
    unneeded = {"__pycache__", "test", "tests", "site-packages", "idlelib", "tkinter", "ensurepip"}
    return None if unneeded & set(parts) or member.name.endswith((".a", ".o")) else member
