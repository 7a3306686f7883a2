"""Conda environments made by conda, mamba and micromamba: a stand-in for each, and a real one if it is named.

The real ones come from channels that tests cannot rely on: `PROJ_TEST_CONDA=/path/to/conda` names one that is
there (or a mamba or micromamba), and the tests run with it besides.
"""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from conda_kit import ChannelServer
from conda_stand_in import write_stand_in
from condarunkit import ONLINE, write_project
from projkit import ProjFolder, eventually

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.conda, pytest.mark.timeout(300)]

REAL = os.environ.get("PROJ_TEST_CONDA")
PROGRAMS = ("conda", "mamba", "micromamba", *([REAL] if REAL else []))


@pytest.fixture
def stand_in(folder: ProjFolder) -> Path:
    path = folder.base / "home" / "bin" / "conda"
    path.parent.mkdir(parents=True)
    for name in ("conda", "mamba", "micromamba"):
        write_stand_in(path.with_name(name), folder.base)
    return path


@pytest.mark.parametrize(
    "named", ["--conda-exe", "MLFLOW_CONDA_HOME", "CONDA_EXE", "MLFLOW_CONDA_CREATE_ENV_CMD"]
)
def test_a_conda_program(folder: ProjFolder, real_channel: Path, stand_in: Path, named: str) -> None:
    write_project(folder, real_channel.as_uri())
    options = ["--env-manager", "conda"]
    env: dict[str, str | None] = {"CONDA_EXE": str(stand_in)}
    if named == "--conda-exe":
        options, env = ["--conda-exe", str(stand_in)], {}
    elif named == "MLFLOW_CONDA_HOME":
        env = {"MLFLOW_CONDA_HOME": str(stand_in.parent.parent), "CONDA_EXE": "/nowhere/conda"}
    elif named == "MLFLOW_CONDA_CREATE_ENV_CMD":
        env |= {"MLFLOW_CONDA_CREATE_ENV_CMD": "mamba"}
    done = folder.process("run", ".", *options, env={**ONLINE, **env})
    assert done.code == 0, done
    assert done.stdout.endswith("True hello True\n")
    calls = (folder.base / "log").read_text().splitlines()
    assert len(calls) == 2, "it solves, and installs; the `pip:` section is resolved around what it solved"
    assert '"env", "create"' in calls[0]
    assert '["create"' in calls[1]
    program = "mamba" if named == "MLFLOW_CONDA_CREATE_ENV_CMD" else "conda"
    assert f"Solving 5 packages of conda.yaml by {program}" in done.stderr
    assert folder.process("run", ".", *options, env={**ONLINE, **env}).code == 0
    assert len((folder.base / "log").read_text().splitlines()) == 2, "a warm run needs no program"


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_kind_of_program(folder: ProjFolder, real_channel: Path, stand_in: Path, name: str) -> None:
    """The environment is as locked, and another one is made of the lock without the program."""
    write_project(folder, real_channel.as_uri())
    program = name if os.sep in name else str(stand_in.with_name(name))
    done = folder.process("run", ".", "--conda-exe", program, env={**ONLINE, **_packages_below(folder)})
    assert done.code == 0, done
    assert done.stdout.endswith("True hello True\n")
    assert folder.process("env", "verify").code == 0
    shutil.rmtree(folder.cache)
    again = folder.process("reproduce", "latest", "--verify", env=ONLINE)
    assert again.code == 0, again
    assert "came out the same" in again.stdout
    folder.clean()


def test_a_program_and_a_mirror(folder: ProjFolder, real_channel: Path, stand_in: Path) -> None:
    """What is locked has the channel's own URL, and is installed from the mirror."""
    own = "https://conda.example.org/team"
    server = ChannelServer(real_channel, token="tk-5ecret")
    try:
        write_project(folder, own)
        condarc = folder.base / "mirrors"
        mirror = server.url.replace("/channel", "/t/tk-5ecret/channel")
        condarc.write_text(f"mirrored_channels: {{'{own}': ['{mirror}']}}\n")
        done = folder.process(
            "run", ".", "--conda-exe", str(stand_in), env={**ONLINE, "CONDARC": str(condarc)}
        )
    finally:
        server.close()
    assert done.code == 0, done
    assert done.stdout.endswith("True hello True\n")
    lock = folder.artifact(folder.the_run(), "proj/environment/conda-linux-64.lock").decode()
    assert f"{own}/noarch/alpha-1.0-py_0.conda" in lock
    assert server.address not in lock
    assert "5ecret" not in done.stderr
    folder.clean()


@pytest.fixture
def without_rattler(folder: ProjFolder) -> dict[str, str | None]:
    """Variables with which Python has no rattler."""
    folder.base.joinpath("sitecustomize.py").write_text("import sys\nsys.modules['rattler'] = None\n")
    return {**ONLINE, "PYTHONPATH": str(folder.base)}


def test_a_program_does_without_rattler(
    folder: ProjFolder, real_channel: Path, stand_in: Path, without_rattler: dict[str, str | None]
) -> None:
    write_project(folder, real_channel.as_uri())
    env = {**without_rattler, "PATH": f"{stand_in.parent}{os.pathsep}{os.environ['PATH']}"}
    done = folder.process("run", ".", env=env)
    assert done.code == 0, done
    assert "of conda.yaml by conda" in done.stderr
    assert done.stdout.endswith("True hello True\n")
    locked = folder.process("env", "lock", env=env)
    assert locked.code == 0, locked
    assert folder.process("run", ".", "--locked", env=env).code == 0
    folder.clean()


def test_what_only_rattler_reads(
    folder: ProjFolder, real_channel: Path, stand_in: Path, without_rattler: dict[str, str | None]
) -> None:
    write_project(folder, real_channel.as_uri())
    (folder.path / "conda.yaml").unlink()
    folder.write({"MLproject": "conda_env: pixi.lock\nentry_points: {main: {command: 'true'}}\n"})
    (folder.path / "pixi.lock").write_text("version: 6\nenvironments: {}\npackages: []\n")
    done = folder.process("run", ".", "--conda-exe", str(stand_in), env=without_rattler)
    assert done.code == 125, done
    assert "Cannot use pixi.lock: rattler is not installed" in done.stderr
    assert "pip install 'proj[conda]'" in done.stderr
    folder.clean()


def _packages_below(folder: ProjFolder) -> dict[str, str | None]:
    """Variables with which a real conda keeps nothing elsewhere."""
    return {"CONDA_PKGS_DIRS": str(folder.base / "real-pkgs"), "HOME": str(folder.base)}


@pytest.mark.parametrize("name", ["KILL", "INT"])
@pytest.mark.parametrize("program", ["conda", *([REAL] if REAL else [])])
def test_a_run_that_is_stopped_while_a_program_downloads(
    folder: ProjFolder, conda_server: ChannelServer, stand_in: Path, program: str, name: str
) -> None:
    write_project(folder, conda_server.url)
    conda_server.held = "python-3.9"
    options = ("run", ".", "--conda-exe", program if os.sep in program else str(stand_in))
    env = {**ONLINE, **_packages_below(folder)}
    started = folder.start(*options, env=env)
    eventually(conda_server.arrived.is_set)
    started.signal(getattr(signal, f"SIG{name}"))
    result = started.finish()
    eventually(lambda: not folder.processes(), says=f"the end of {folder.processes()}")
    assert "Traceback" not in result.stderr, result
    conda_server.held = ""
    conda_server.released.set()
    assert folder.process(*options, env=env).stdout.endswith("True hello True\n")
    assert folder.process("env", "verify").code == 0
    folder.clean()


def test_a_conda_program_that_fails(folder: ProjFolder, real_channel: Path) -> None:
    write_project(folder, real_channel.as_uri())
    program = folder.base / "conda"
    bar = "Examining alpha:  86%|######    | 6/7 [00:00<00:00, 9023.24it/s]"
    said = f"echo '{bar}' >&2; echo PackagesNotFoundError: alpha >&2"
    program.write_text(f"#!/bin/sh\n{said}\nexit 1\n")
    program.chmod(0o755)
    done = folder.process("run", ".", "--conda-exe", str(program), env=ONLINE)
    assert done.code == 125, done
    assert "conda ended with exit code 1" in done.stderr
    assert "PackagesNotFoundError: alpha" in done.stderr
    assert "Examining" not in done.stderr, "progress bars are no reason"
    assert folder.the_run().tags["proj.failure"] == "env_failed"
    missing = folder.process("run", ".", "--conda-exe", "/nowhere/conda", env=ONLINE)
    assert missing.code == 2, missing
    folder.clean()
