"""Tiny wheels, local packages and requests: what tests of environments are made of."""

from __future__ import annotations

import time
import zipfile
from typing import TYPE_CHECKING, Protocol

from proj.model import EnvironmentRequest

if TYPE_CHECKING:
    from pathlib import Path

    from proj.environments.base import Environment
    from proj.model import PreparedEnvironment

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


def with_wheels(folder: Path, *wheels: tuple[str, str]) -> str:
    """Write wheels into a project; returns the `pip:` section that takes them."""
    (folder / "wheels").mkdir(exist_ok=True)
    names = []
    for name, version in wheels:
        write_wheel(folder / "wheels", name, version)
        names.append(f"    - {name}=={version}\n")
    return f"- pip:\n    - --no-index\n    - --find-links ./wheels\n{''.join(names)}"


class RequestMaker(Protocol):
    def __call__(self, project: Path, **changes: object) -> EnvironmentRequest: ...


def make_request(project: Path, **changes: object) -> EnvironmentRequest:
    fields: dict[str, object] = {"project_dir": project, "root": project, **changes}
    return EnvironmentRequest(**fields)  # type: ignore[arg-type]  # the tests name the fields


def age(prepared: PreparedEnvironment, seconds: int) -> None:
    """Make an environment look as if it was built and last used long ago."""
    assert prepared.directory is not None
    entry = prepared.directory.parent
    then = int(time.time()) - seconds
    marker = (entry / "complete").read_text()
    start = marker.index('"created_s":') + len('"created_s":')
    end = next(index for index in range(start, len(marker)) if not marker[index].isdigit())
    (entry / "complete").write_text(f"{marker[:start]}{then}{marker[end:]}")
    (entry / "uses").unlink(missing_ok=True)


def installed(environment: Environment, prepared: PreparedEnvironment) -> dict[str, str]:
    """Name and version of what is in an environment."""
    return {package.name: package.version for package in environment.facts(prepared).packages}
