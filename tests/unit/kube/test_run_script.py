"""The script that starts a program in a pod, under each shell that is here, as first process and not."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess  # noqa: TID251  the script has to be first in a space of processes of its own
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proj.kube.inpod import script
from projkit import LIMIT_S, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

SHELLS = {"bash": ("bash",), "dash": ("dash",), "busybox": ("busybox", "sh"), "mksh": ("mksh",)}
NEW_SPACE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
CAREFUL = """\
import os, signal, sys, time
def end(*_):
    time.sleep(0.4)
    open("cleaned", "w").close()
    os._exit(3)
signal.signal(signal.SIGTERM, end)
open("up", "w").close()
time.sleep(600)
"""
STUBBORN = """\
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: open("asked", "w").close())
open("up", "w").close()
while not os.path.exists("enough"):
    time.sleep(0.02)
"""


def _can_be_first() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*NEW_SPACE, "true"], check=False, capture_output=True).returncode == 0


@pytest.fixture(params=list(SHELLS))
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    found: tuple[str, ...] = SHELLS[request.param]
    if shutil.which(found[0]) is None:
        pytest.skip(f"no {found[0]} here")
    return found


@pytest.fixture(params=["first", "later"])
def begin(
    request: pytest.FixtureRequest, shell: tuple[str, ...], tmp_path: Path
) -> Callable[[str], subprocess.Popen[bytes]]:
    """Start a line in the way of pods."""
    if request.param == "first" and not _can_be_first():
        pytest.skip("no space of processes can be made here")
    before = NEW_SPACE if request.param == "first" else ()
    (tmp_path / "artifacts").mkdir()
    for name, text in (("careful.py", CAREFUL), ("stubborn.py", STUBBORN)):
        (tmp_path / name).write_text(text)

    def start(line: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*before, *shell, "-c", script("run.sh"), "sh", "bash", "-c", line],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
            env={**os.environ, "PROJ_ARTIFACTS": "artifacts", "PYTHON": sys.executable},
        )  # fmt: skip

    return start


def _ask_to_end(process: subprocess.Popen[bytes]) -> None:
    """As a node does: TERM, to the first process alone."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    is_first = b"unshare" in Path(f"/proc/{process.pid}/cmdline").read_bytes()
    os.kill(int(children[0]) if is_first else process.pid, signal.SIGTERM)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("$PYTHON careful.py", 3),
        ("$PYTHON careful.py && echo next", 143),
        ("echo | $PYTHON careful.py; echo next", 143),
        ("$PYTHON careful.py & wait", 143),
        ("trap '' TERM; $PYTHON careful.py; exit 7", 7),
    ],
)
def test_all_of_a_program_gets_its_grace(
    begin: Callable[[str], subprocess.Popen[bytes]], tmp_path: Path, line: str, code: int
) -> None:
    process = begin(line)
    eventually((tmp_path / "up").exists)
    _ask_to_end(process)
    said = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, *said) == (code, b"", b"")
    assert (tmp_path / "cleaned").exists()


@pytest.mark.parametrize(
    ("line", "code"), [("exit 5", 5), ("kill -KILL $$", 137), ("kill -TERM $$", 143), ("no-such 2>&-", 127)]
)
def test_exit_codes_are_the_programs_own(
    begin: Callable[[str], subprocess.Popen[bytes]], line: str, code: int
) -> None:
    process = begin(line)
    assert process.communicate(timeout=LIMIT_S) == (b"", b"")
    assert process.returncode == code


def test_what_a_program_leaves_behind_keeps_nothing_up(
    begin: Callable[[str], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    process = begin("while ! [ -e enough ]; do sleep 0.1; done >&- 2>&- & exit 4")
    assert process.communicate(timeout=LIMIT_S) == (b"", b"")
    assert process.returncode == 4
    (tmp_path / "enough").touch()


def test_who_does_not_end_is_waited_for(
    begin: Callable[[str], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    process = begin("$PYTHON stubborn.py; echo next")
    eventually((tmp_path / "up").exists)
    _ask_to_end(process)
    eventually((tmp_path / "asked").exists)
    with pytest.raises(subprocess.TimeoutExpired):  # the node ends it, when the grace is over
        process.wait(0.5)
    (tmp_path / "enough").touch()
    assert process.communicate(timeout=LIMIT_S) == (b"", b"")
    assert process.returncode == 143


def test_an_interrupt_is_as_it_is_everywhere(begin: Callable[[str], subprocess.Popen[bytes]]) -> None:
    handled = "s.getsignal(s.SIGINT) is s.default_int_handler"
    line = f"$PYTHON -c 'import signal as s; print({handled}, +s.getsignal(s.SIGQUIT))'"
    process = begin(line)
    out, said = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, out, said) == (0, b"True 0\n", b"")
