"""Conda environments when things go wrong: kills at every phase, a worker that dies, full disks."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from typing import TYPE_CHECKING

import pytest

from conda_kit import PLACEHOLDER, ChannelServer, CondaPackage, make_channel
from condarunkit import ONLINE, conda_yaml, write_project
from disks import mounted, mounts, resize
from projkit import ProjFolder, eventually, wheel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

pytestmark = [pytest.mark.conda, pytest.mark.timeout(300)]

_PYTHON_HOOK = """
import os, sys, time
if {place!r} in sys.prefix and os.path.exists({slow!r}):
    open({arrived!r}, "w").close()
    time.sleep(60)
"""
_LINK_HOOK = """#!/bin/sh
case $PREFIX in *{place}*) if [ -e {slow} ]; then touch {arrived}; sleep 60; fi;; esac
"""
_TRIED, _BUILT = "/work/", "/environments/"
"""Where packages are linked to find out what pip has to add, and where the environment is built."""
HELD = {"solving": "repodata", "downloading": "python-3.9"}
"""Phase -> part of the path of what the channel sends one half of, and no more."""
HOOKS = {
    "linking": ("bin/.hook-post-link.sh", _LINK_HOOK, _BUILT),
    "resolving pip": ("lib/python3.9/site-packages/sitecustomize.py", _PYTHON_HOOK, _TRIED),
    "installing pip": ("lib/python3.9/site-packages/sitecustomize.py", _PYTHON_HOOK, _BUILT),
}
"""Phase -> the file of a package that holds the run there, and the folder in which it does."""


class Phase:
    """Holds a run at one phase of making its environment."""

    def __init__(self, name: str, folder: ProjFolder, server: ChannelServer) -> None:
        self._server = server
        self._arrived, self._slow = folder.base / "arrived", folder.base / "slow"
        write_project(folder, server.url)
        server.held = HELD.get(name, "")
        if name in HOOKS:
            self._slow.touch()
            path, content, place = HOOKS[name]
            content = content.format(place=place, slow=str(self._slow), arrived=str(self._arrived))
            hook = CondaPackage(name="hook", depends=("python",), files={path: content})
            server.folder = make_channel(shutil.copytree(server.folder, folder.base / "channel"), [hook])
            (folder.path / "conda.yaml").write_text(conda_yaml(server.url, "3.9", "hook"))

    def is_there(self) -> bool:
        return self._server.arrived.is_set() or self._arrived.exists()

    def go_on(self) -> None:
        self._server.held = ""
        self._server.released.set()
        with contextlib.suppress(FileNotFoundError):
            self._slow.unlink()


def works_now(folder: ProjFolder, env: Mapping[str, str | None] = ONLINE) -> None:
    """See that the next run has a whole environment, whatever was left of earlier ones."""
    again = folder.process("run", ".", env=env)
    assert again.code == 0, again
    assert again.stdout.endswith("True hello True\n")
    verified = folder.process("env", "verify", env=env)
    assert verified.code == 0, verified
    assert verified.stdout.count("as locked") == 1, verified
    folder.clean()


@pytest.mark.parametrize("name", ["KILL", "TERM", "INT"])
@pytest.mark.parametrize("at", [*HELD, *HOOKS])
def test_a_run_that_is_stopped_at_any_phase(
    folder: ProjFolder, conda_server: ChannelServer, at: str, name: str
) -> None:
    phase = Phase(at, folder, conda_server)
    started = folder.start("run", ".", env=ONLINE)
    eventually(lambda: phase.is_there() or started.process.poll() is not None, says=at)
    assert started.process.poll() is None, started.finish()
    assert [line for line in folder.processes().values() if "conda.worker" in line or "uv" in line]
    started.signal(getattr(signal, f"SIG{name}"))
    result = started.finish()
    eventually(lambda: not folder.processes(), says=f"the end of {folder.processes()}")
    assert "Traceback" not in result.stderr, result
    assert not list(folder.cache.glob("environments/*/complete"))
    phase.go_on()
    works_now(folder)
    assert [run.status.value for run in folder.runs()] == ["FINISHED", "KILLED"]


MOMENTS = 24
MOMENT_S = 0.05


@pytest.mark.faults
def test_a_kill_at_any_moment(folder: ProjFolder, conda_server: ChannelServer) -> None:
    """From the first request to the end of the run, the package cache as the kills before have left it."""
    write_project(folder, conda_server.url)
    killed = 0
    for moment in range(MOMENTS):
        started = folder.start("run", ".", env=ONLINE)
        time.sleep(0.3 + moment * MOMENT_S)
        killed += started.process.poll() is None
        started.signal(signal.SIGKILL)
        result = started.finish()
        eventually(lambda: not folder.processes(), says=f"the end of {folder.processes()}")
        assert "Traceback" not in result.stderr, result
        if moment % 4 == 3:
            works_now(folder)
            shutil.rmtree(folder.cache)
        elif moment % 4 == 1:
            shutil.rmtree(folder.cache / "environments", ignore_errors=True)
            shutil.rmtree(folder.cache / "locks", ignore_errors=True)
    assert killed > MOMENTS / 2
    works_now(folder)


@pytest.mark.parametrize("at", ["downloading", "linking"])
def test_a_worker_that_is_killed(folder: ProjFolder, conda_server: ChannelServer, at: str) -> None:
    """As the kernel does where memory runs out: the run fails and says so, nothing half-made counts."""
    phase = Phase(at, folder, conda_server)
    started = folder.start("run", ".", env=ONLINE)
    eventually(lambda: phase.is_there() or started.process.poll() is not None, says=at)
    (worker,) = (pid for pid, line in folder.processes().items() if "conda.worker" in line)
    os.kill(worker, signal.SIGKILL)
    result = started.finish()
    assert result.code == 125, result
    assert "the solver's process ended with signal 9" in result.stderr
    assert folder.the_run().tags["proj.failure"] == "env_failed"
    phase.go_on()
    works_now(folder)


# --- disks ------------------------------------------------------------------------------------------------

_MIB = 2**20
FULL = {"downloading": "1m", "linking": "70m", "pip": "70m"}
"""What does not fit -> the size of the disk below the caches."""


@mounts
@pytest.mark.parametrize("at", FULL)
def test_a_full_disk(
    folder: ProjFolder, real_channel: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    write_project(folder, real_channel.as_uri())
    if at == "linking":  # what has its prefix in it cannot be a hard link
        big = CondaPackage(name="big", files={"share/big": f"{PLACEHOLDER}\n" + "x" * 20 * _MIB})
        own = make_channel(shutil.copytree(real_channel, folder.base / "channel"), [big])
        (folder.path / "conda.yaml").write_text(conda_yaml(own.as_uri(), "3.9", "big"))
    elif at == "pip":
        folder.write({"wheels/tiny-1.0-py3-none-any.whl": wheel("tiny", "1.0", padding_bytes=40 * _MIB)})
    env = {**ONLINE, "UV_CACHE_DIR": str(folder.base / "uv")}
    with mounted(folder.base / "disk", f"size={FULL[at]}") as disk:
        monkeypatch.setenv("PROJ_CACHE", str(disk / "cache"))
        folder.cache = disk / "cache"
        result = folder.process("run", ".", env=env)
        assert (result.code, result.out) == (125, b""), result
        assert "Traceback" not in result.stderr
        assert "disk is full" in result.stderr, result
        assert str(folder.cache) in result.stderr, result
        assert folder.the_run().tags["proj.failure"] == "env_failed"
        folder.clean()
        resize(disk, "300m")
        works_now(folder, env)
