"""What a program of the conda family says of the packages that it has linked, and what is made of it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proj.environments.conda.declared import read_project
from proj.environments.conda.lock import CondaLock
from proj.environments.conda.messages import Locked
from proj.environments.conda.program import Program, environment_file
from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from environment_kit import RequestMaker
    from unit.environments.conda.conftest import CondaProjectMaker

CHANNEL = "https://conda.example.org/team"
PROGRAM = """#!{python}
import json, pathlib, sys
prefix = pathlib.Path(sys.argv[sys.argv.index("--prefix") + 1])
(prefix / "conda-meta").mkdir(parents=True)
(prefix / "out").symlink_to("/nowhere")
(prefix / "in").symlink_to("conda-meta")
for line in pathlib.Path(sys.argv[sys.argv.index("--file") + 1]).read_text().splitlines():
    if "://" in line:
        record = dict(name="one", url=line.partition("#")[0], **json.loads({more!r}))
        (prefix / "conda-meta" / "one-1.0-0.json").write_text(json.dumps(record))
"""


def program(folder: Path, **more: str | list[str]) -> Program:
    """A program that links nothing and says that it did."""
    path = folder / "conda-like"
    path.write_text(PROGRAM.format(python=sys.executable, more=json.dumps(more)))
    path.chmod(0o755)
    return Program(path=str(path), kind="conda")


def lock(content: bytes) -> CondaLock:
    url = f"{CHANNEL}/linux-64/one-1.0-0.conda"
    return CondaLock(
        platform="linux-64", packages=(Locked(url=url, sha256=hashlib.sha256(content).hexdigest()),)
    )


def test_a_package_without_its_hash_is_compared_by_its_file(
    tmp_path: Path, conda_project: CondaProjectMaker, request_for: RequestMaker
) -> None:
    request = request_for(conda_project("one", head=f"channels: ['{CHANNEL}', nodefaults]\n"))
    project = read_project(request, "linux-64")
    archive = tmp_path / "one-1.0-0.conda"
    archive.write_bytes(b"as locked")
    named = program(tmp_path, package_tarball_full_path=str(archive))
    named.install(lock(b"as locked"), tmp_path / "same", project, request)
    with pytest.raises(EnvironmentFailedError, match="is not the package that is locked"):
        named.install(lock(b"other"), tmp_path / "other", project, request)
    archive.unlink()
    with pytest.raises(EnvironmentFailedError, match="cannot be compared with the lock") as caught:
        named.install(lock(b"as locked"), tmp_path / "gone", project, request)
    assert "conda clean" in (caught.value.hint or "")
    program(tmp_path, sha256=hashlib.sha256(b"as locked").hexdigest()).install(
        lock(b"as locked"), tmp_path / "told", project, request
    )


def test_a_program_asks_the_mirrors(
    tmp_path: Path, conda_project: CondaProjectMaker, request_for: RequestMaker
) -> None:
    mirror = "https://mirror.example.org/t/tk-5ecret/team"
    Path(os.environ["CONDARC"]).write_text(f"mirrored_channels: {{'{CHANNEL}': ['{mirror}']}}\n")
    request = request_for(
        conda_project("one", f"{CHANNEL}::two", head=f"channels: ['{CHANNEL}', nodefaults]\n")
    )
    project = read_project(request, "linux-64")
    written = json.loads(environment_file(project))
    assert written["channels"] == [mirror]
    assert written["dependencies"] == ["one", 'two[channel="https://mirror.example.org/team"]']
    digest = hashlib.sha256(b"as locked").hexdigest()
    prefix = tmp_path / "made"
    program(tmp_path, sha256=digest).install(lock(b"as locked"), prefix, project, request)
    told = json.loads((prefix / "conda-meta" / "one-1.0-0.json").read_bytes())
    assert told["url"] == f"{mirror}/linux-64/one-1.0-0.conda"


@pytest.mark.parametrize(
    ("path", "safe"),
    [
        ("share/there", True),
        ("out", True),
        ("in/there", True),
        ("out/there", False),
        ("../there", False),
        ("/tmp/there", False),
    ],
)
def test_a_package_that_has_put_files_elsewhere(
    tmp_path: Path, conda_project: CondaProjectMaker, request_for: RequestMaker, path: str, safe: bool
) -> None:
    """Such as through a link of another package; the program has done so already, and the place is named."""
    request = request_for(conda_project("one", head=f"channels: ['{CHANNEL}', nodefaults]\n"))
    project = read_project(request, "linux-64")
    named = program(tmp_path, sha256=hashlib.sha256(b"x").hexdigest(), files=[path])
    with contextlib.nullcontext() if safe else pytest.raises(EnvironmentFailedError) as caught:
        named.install(lock(b"x"), tmp_path / "made", project, request)
    if caught is not None:
        assert f"it has written {path}, which is outside" in caught.value.message
        assert "Do not use this package" in (caught.value.hint or "")
