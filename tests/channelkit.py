"""A conda channel whose Pythons are real, made once for all tests of conda, and a project that uses it."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import io
import os
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conda_kit import (
    TINYNUM,
    CondaPackage,
    make_channel,
    module_package,
    python_package,
    shared_library,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

MINORS = ("3.9", "3.11")
PROJECT = """\
name: {name}
conda_env: conda.yaml
entry_points:
  main:
    parameters: {{n: {{type: int, default: 3}}}}
    command: "{command}"
"""
COMMAND = "python train.py {n} && tinynum && greet && head -1 $(command -v tinynum) $(command -v greet)"
PIP = ("--no-index", "--find-links ./wheels", "greet")
TRAIN = """\
import os, sys
import alpha, greet, tinynum
print(sys.version_info[:2], sys.prefix, alpha.version, greet.version, tinynum.total([1.0] * int(sys.argv[1])))
print(tinynum.prefix(), os.environ["GREETING"], os.environ["TOOL_HOME"], os.environ["CONDA_PREFIX"])
print(os.environ["PATH"].split(":")[0], os.getcwd())
"""
PRINTED = """\
(3, 9) /mlflow/projects/env 1.0 1.0 3.0
/mlflow/projects/env/share/tiny hello /mlflow/projects/env /mlflow/projects/env
/mlflow/projects/env/bin /mlflow/projects/code
tinynum 4.0
greetings from /mlflow/projects/env
"""
"""What it prints in an image."""


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
        CondaPackage(
            name="tool",
            files={
                "etc/conda/activate.d/tool.sh": script,
                "etc/conda/env_vars.d/tool.json": '{"TOOL_MODE": "fast", "GREETING": "of a package"}',
            },
        ),
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


def script_wheel(name: str, version: str) -> bytes:
    """A wheel with a program of its name."""
    out = io.BytesIO()
    info = f"{name}-{version}.dist-info"
    code = f"import sys\nversion = {version!r}\ndef main():\n    print('{name}ings from', sys.prefix)\n"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    rows = []
    with zipfile.ZipFile(out, "w") as archive:
        for path, text in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            rows.append(f"{path},sha256={digest},{len(text)}\n")
            archive.writestr(zipfile.ZipInfo(path), text)
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD"), "".join([*rows, f"{info}/RECORD,,\n"]))
    return out.getvalue()


def write_conda_project(folder: Path, channel: str, command: str = COMMAND, pip: Sequence[str] = PIP) -> None:
    """Write a project with packages of `real_channel` and a `pip:` section."""
    lines = ["python=3.9", "alpha<2", "tinynum", "tool", "pip"]
    text = f"name: x\nchannels: ['{channel}', nodefaults]\ndependencies:\n"
    text += "".join(f"  - {line}\n" for line in lines)
    text += "  - pip:\n" + "".join(f"    - {line}\n" for line in pip) + "variables: {GREETING: hello}\n"
    (folder / "wheels").mkdir(parents=True, exist_ok=True)
    (folder / "wheels" / "greet-1.0-py3-none-any.whl").write_bytes(script_wheel("greet", "1.0"))
    (folder / "conda.yaml").write_text(text)
    (folder / "train.py").write_text(TRAIN)
    (folder / "MLproject").write_text(PROJECT.format(name="conda-project", command=command))
