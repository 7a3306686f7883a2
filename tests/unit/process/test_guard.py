from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from drivers import alive, until
from proj import process
from proj.process.guard import VARIABLE, guard_environment, marked_processes, new_token

if TYPE_CHECKING:
    import subprocess  # noqa: TID251  the type alone
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROLOGUE = """
import os, signal, sys, time
from pathlib import Path
from proj import process
from proj.process.detached import spawn_detached

def write(name, pid):
    Path(name + ".new").write_text(f"{pid}\\n")
    os.rename(name + ".new", name)

def start(argv, **options):
    return process.spawn(argv, cwd=None, env=os.environ, **options).pid

"""


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Starts a Python program that guards others."""
    started: list[subprocess.Popen[bytes]] = []

    def start(program: str) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-c", PROLOGUE + program]
        started.append(process.spawn(argv, cwd=tmp_path, env=os.environ, new_session=True))
        return started[-1]

    yield start
    for child in started:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        child.wait()


def written(folder: Path, name: str) -> int:
    until((folder / name).exists, f"{name} is written")
    return int((folder / name).read_text())


def gone(*pids: int) -> None:
    until(lambda: not any(alive(pid) for pid in pids), "all are gone")


def test_what_others_started_with_our_variables_dies_too(
    parent: Callable[[str], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    """As git does that GitPython starts: no group of ours, only the variable."""
    child = parent("""
import subprocess
variables = {**os.environ, **process.guard_environment()}
other = subprocess.Popen(["sleep", "600"], env=variables, start_new_session=True)
write("other", other.pid)
time.sleep(600)
""")
    pid = written(tmp_path, "other")
    child.kill()
    gone(pid)


def test_a_nested_guard_is_told_by_the_outer_ones_end(
    parent: Callable[[str], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    inner = f"""{PROLOGUE}
write("innermost", start(["sleep", "600"], new_session=True))
time.sleep(600)
"""
    child = parent(f"""
write("inner", start([sys.executable, "-c", {inner!r}], new_session=True))
time.sleep(600)
""")
    pids = [written(tmp_path, name) for name in ("inner", "innermost")]
    child.kill()
    gone(*pids)


def test_the_inner_ones_end_spares_the_outer(
    parent: Callable[[str], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    inner = f"""{PROLOGUE}
write("innermost", start(["sleep", "600"], new_session=True))
os.kill(os.getpid(), signal.SIGKILL)
"""
    parent(f"""
write("sibling", start(["sleep", "600"]))
write("inner", start([sys.executable, "-c", {inner!r}], new_session=True))
time.sleep(600)
""")
    gone(written(tmp_path, "inner"), written(tmp_path, "innermost"))
    assert alive(written(tmp_path, "sibling"))


def test_what_is_detached_lives_on(parent: Callable[[str], subprocess.Popen[bytes]], tmp_path: Path) -> None:
    child = parent("""
write("guarded", start(["sleep", "600"]))
with open(os.devnull) as nothing:
    ends = {"stdin": b"", "pass_fds": (nothing.fileno(),), "log": Path("log"), "cwd": Path()}
    detached = spawn_detached(["sleep", "600"], **ends)
write("detached", detached)
time.sleep(600)
""")
    guarded, detached = written(tmp_path, "guarded"), written(tmp_path, "detached")
    child.kill()
    gone(guarded)
    assert alive(detached)
    os.kill(detached, signal.SIGKILL)
    gone(detached)


def test_a_normal_end_harms_nobody(parent: Callable[[str], subprocess.Popen[bytes]], tmp_path: Path) -> None:
    child = parent("""
write("left", start(["sleep", "600"]))
write("watchdog", next(p for p in os.popen("ps -o pid= --ppid %d" % os.getpid()).read().split()))
os.kill(int(Path("left").read_text()), 0)
sys.exit(0)
""")
    assert child.wait() == 0
    left, watchdog = written(tmp_path, "left"), written(tmp_path, "watchdog")
    gone(watchdog)
    assert alive(left)
    os.kill(left, signal.SIGKILL)
    gone(left)


def test_a_fork_does_not_keep_the_watchdog_waiting(
    parent: Callable[[str], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    child = parent("""
pid = start(["sleep", "600"])
write("guarded", pid)
fork = os.fork()
if fork:
    write("fork", fork)
time.sleep(600)
""")
    guarded, fork = written(tmp_path, "guarded"), written(tmp_path, "fork")
    child.kill()
    gone(guarded)
    with contextlib.suppress(ProcessLookupError):
        os.kill(fork, signal.SIGKILL)


def test_tokens_are_joined_to_those_that_were_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "outer")
    outer, ours, extra = guard_environment("extra")[VARIABLE].split(":")
    assert (outer, extra) == ("outer", "extra")
    assert guard_environment()[VARIABLE] == f"outer:{ours}"


def test_a_token_finds_its_processes() -> None:
    token = new_token()
    child = process.spawn(["sleep", "600"], cwd=None, env=os.environ, new_session=True, tokens=[token])
    until(lambda: marked_processes(token) == (child.pid,), "the one process is found")
    child.kill()
    child.wait()
    assert marked_processes(token) == ()
