"""A conda channel whose Pythons are real, made once for all tests behind the marker `conda`."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from conda_kit import (
    TINYNUM,
    CondaPackage,
    make_channel,
    module_package,
    python_package,
    shared_library,
)

MINORS = ("3.9", "3.11")


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
def real_channel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One channel for all workers: its Pythons take a while to pack."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "conda-channel"
    with (base.parent / "conda-channel.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "complete").exists():
            write_channel(shared, tmp_path_factory.mktemp("library"))
            (shared / "complete").touch()
    return shared
