"""Conda projects whose Pythons are real, and the channel that they take theirs from; a pytest plugin."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conda_kit import (
    TINYNUM,
    ChannelServer,
    CondaPackage,
    make_channel,
    module_package,
    python_package,
    shared_library,
)
from projkit import wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from projkit import ProjFolder

MINORS = ("3.9", "3.11")
ONLINE: dict[str, str | None] = {"UV_OFFLINE": None}
"""The channels of these tests are on loopback."""
PROJECT = """
name: conda-project
conda_env: conda.yaml
entry_points:
  main:
    parameters: {{n: {{type: int, default: 3}}}}
    command: "{command}"
"""
COMMAND = "python train.py {n}"
TRAIN = """
import os, ssl, sqlite3, sys
import alpha, tiny, tinynum
print(sys.version_info[:2], alpha.version, tiny.version, tinynum.total([1.0] * int(sys.argv[1])))
print(tinynum.prefix() == sys.prefix + "/share/tiny", os.environ["GREETING"], end=" ")
print(os.environ["TOOL_HOME"] == sys.prefix)
"""


def pyenv_home(minor: str) -> Path:
    """An installation of a Python that a package can be made of; skips where there is none."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = sorted(
        path for path in versions.glob(f"{minor}.*") if (path / "bin" / f"python{minor}").is_file()
    )
    if not found:
        pytest.skip(f"no Python {minor} of pyenv's to make a package of")
    return found[-1]


def write_channel(folder: Path, work: Path) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler to make a shared object with")
    library = {"lib/libtiny.so": shared_library(work)}
    module = module_package("tinynum", "1.0", ("python", "libtiny"), entry_points=["tinynum = tinynum:main"])
    module = CondaPackage(**{**vars(module), "files": {**module.files, "site-packages/tinynum.py": TINYNUM}})
    script = 'export TOOL_HOME="$CONDA_PREFIX"\n'
    packages = [
        *(python_package(pyenv_home(minor)) for minor in MINORS),
        module_package("pip", "23.0"),
        module_package("setuptools", "65.0"),
        module_package("alpha", "1.0"),
        module_package("alpha", "2.0"),
        CondaPackage(name="libtiny", files=library, suffix=".tar.bz2"),
        module,
        CondaPackage(name="tool", files={"etc/conda/activate.d/tool.sh": script}),
    ]
    return make_channel(folder, packages)


@pytest.fixture(scope="session")
def conda_channel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One channel for all workers: its Pythons take a while to pack."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "conda-channel"
    with (base.parent / "conda-channel.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "complete").exists():
            write_channel(shared, tmp_path_factory.mktemp("library"))
            (shared / "complete").touch()
    return shared


@pytest.fixture
def conda_server(conda_channel: Path) -> Iterator[ChannelServer]:
    made = ChannelServer(conda_channel)
    yield made
    made.close()


def conda_yaml(url: str, minor: str = "3.9", *more: str) -> str:
    lines = "".join(
        f"  - {line}\n" for line in (f"python={minor}", "alpha<2", "tinynum", "tool", "pip", *more)
    )
    pip = '  - pip:\n    - --no-index\n    - --find-links ./wheels\n    - "tiny"\n'
    variables = "variables:\n  GREETING: hello\n"
    return f"name: x\nchannels: ['{url}', nodefaults]\ndependencies:\n{lines}{pip}{variables}"


def write_project(folder: ProjFolder, url: str, minor: str = "3.9", command: str = COMMAND) -> None:
    folder.write({
        "MLproject": PROJECT.format(command=command), "conda.yaml": conda_yaml(url, minor), "train.py": TRAIN,
        "wheels/tiny-1.0-py3-none-any.whl": wheel("tiny", "1.0"),
    })  # fmt: skip
