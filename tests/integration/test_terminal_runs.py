"""`proj run` at a terminal, in a pipe, and on something that is neither."""

from __future__ import annotations

import shutil
import subprocess  # noqa: TID251  tmux
import sys
import uuid
from typing import TYPE_CHECKING

import pytest

from projkit import LIMIT_S, PROJ, ProjFolder, bare_repository, echo_project, eventually
from terminals import Person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHILD = """
import os, sys
# One write each: two streams keep no order between them, so a line in pieces could come torn.
print(f"tty {sys.stdin.isatty()} {sys.stdout.isatty()} {sys.stderr.isatty()}", flush=True)
print(f"columns {os.get_terminal_size(1).columns}", flush=True)
print("\\033[32mgreen\\033[0m")
for step in range(1, 4):
    print(f"\\rstep {step}/3", end="", file=sys.stderr, flush=True)
print(file=sys.stderr)
print("hello", input("name? "))
"""
PYTHON = sys.executable


@pytest.fixture
def sit(folder: ProjFolder) -> Iterator[Callable[..., Person]]:
    """Sit down at a terminal where the program runs."""
    people: list[Person] = []

    def sit_down(*argv: str, columns: int = 100, **env: str) -> Person:
        name, _, value = folder.mark.partition("=")
        variables = {name: value, **env}
        people.append(Person([PROJ, *argv], cwd=folder.path, env=variables, columns=columns))
        return people[-1]

    yield sit_down
    for person in people:
        person.close()


def test_a_person_at_a_terminal(folder: ProjFolder, sit: Callable[..., Person]) -> None:
    folder.write({"MLproject": echo_project(f"{PYTHON} child.py"), "child.py": CHILD})
    person = sit("run", ".", columns=77)
    person.sees("=== Running command")
    person.sees("tty True True True")
    person.sees("columns 77")
    # Two streams, by two ways: which of them is seen first is not said.
    person.sees_each("\x1b[32mgreen\x1b[0m", "\rstep 1/3\rstep 2/3\rstep 3/3", "name? ")
    person.type("Ada\r")
    person.sees("hello Ada")
    person.sees("succeeded")
    assert person.leaves() == 0
    assert b"hello Ada" in folder.artifact(folder.the_run(), "proj/stdout.log")
    folder.clean()


def test_ctrl_c_once(folder: ProjFolder, sit: Callable[..., Person]) -> None:
    child = "import time\ntry:\n    print('ready', flush=True); time.sleep(60)\nexcept KeyboardInterrupt:\n"
    child += "    print('saving'); raise SystemExit(5)\n"
    folder.write({"MLproject": echo_project(f"{PYTHON} child.py"), "child.py": child})
    person = sit("run", ".")
    person.sees("ready")
    person.type("\x03")
    person.sees("saving")
    assert person.leaves() == 130
    outcome = folder.outcome(folder.the_run())
    assert (outcome.status, outcome.failure, outcome.signal) == ("KILLED", "cancelled", "SIGINT")
    folder.clean()


def test_ctrl_c_again_and_again(folder: ProjFolder, sit: Callable[..., Person]) -> None:
    child = "import signal, time\n"
    for name in ("INT", "TERM"):
        child += f"signal.signal(signal.SIG{name}, lambda *_: print('ignored {name}', flush=True))\n"
    child += "print('ready', flush=True)\nwhile True: time.sleep(0.05)\n"
    folder.write({"MLproject": echo_project(f"exec {PYTHON} child.py"), "child.py": child})
    person = sit("run", ".", "--grace", "60s")
    for text in ("ready", "ignored INT", "ignored TERM"):
        person.sees(text)
        person.type("\x03")
    assert person.leaves() == 130
    assert folder.outcome(folder.the_run()).status == "KILLED"
    folder.clean()


def test_a_terminal_that_is_closed_ends_the_run(folder: ProjFolder, sit: Callable[..., Person]) -> None:
    folder.write({"MLproject": echo_project("echo ready; sleep 60")})
    person = sit("run", ".")
    person.sees("ready\r")  # the program's own word, not the line that names its command
    person.hang_up()
    eventually(lambda: not folder.processes())
    outcome = folder.outcome(folder.the_run())
    assert (outcome.status, outcome.failure, outcome.signal) == ("KILLED", "cancelled", "SIGHUP")
    folder.clean()


def test_colours_of_our_own(folder: ProjFolder, sit: Callable[..., Person]) -> None:
    folder.write({"MLproject": echo_project("true")})
    coloured = sit("run", ".")
    assert coloured.leaves() == 0
    assert b"\x1b[1m===" in coloured.screen
    plain = sit("run", ".", NO_COLOR="1")
    assert plain.leaves() == 0
    assert b"\x1b" not in plain.screen
    assert b"=== Run (ID" in plain.screen
    dumb = sit("run", ".", TERM="dumb")
    assert dumb.leaves() == 0
    assert b"\x1b" not in dumb.screen


def test_plain_lines_where_stderr_is_no_terminal(folder: ProjFolder) -> None:
    url, _ = bare_repository(folder, {"MLproject": echo_project("true")})
    result = folder.process("run", url, env={"FORCE_COLOR": None, "TERM": "xterm-256color"})
    assert result.code == 0, result
    assert b"\x1b" not in result.err
    assert b"\r" not in result.err
    assert result.out == b""
    folder.clean()


def test_a_reader_that_goes_away(folder: ProjFolder) -> None:
    """`proj run . | head -1` ends as such a pipe does, and the run is recorded to its end."""
    folder.write({"MLproject": echo_project("seq 1 100000; echo done >&2")})
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {PYTHON} {PROJ} run . | head -1"],
        cwd=folder.path, env=folder.environment(), capture_output=True, check=False, timeout=LIMIT_S,
    )  # fmt: skip
    assert done.stdout == b"1\n"
    assert b"Traceback" not in done.stderr
    folder.clean()
    assert folder.the_run().status.finished


def test_output_that_cannot_be_written(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project("seq 1 1000")})
    done = subprocess.run(
        ["bash", "-c", f"{PYTHON} {PROJ} run . > /dev/full"],
        cwd=folder.path, env=folder.environment(), capture_output=True, check=False, timeout=LIMIT_S,
    )  # fmt: skip
    assert b"Traceback" not in done.stderr
    folder.clean()
    stored = folder.artifact(folder.the_run(), "proj/stdout.log")
    assert stored == b"".join(b"%d\n" % number for number in range(1, 1001))
    for unbuffered in ("", "1"):
        environment = {**folder.environment(), "PYTHONUNBUFFERED": unbuffered}
        for words in ("runs", "runs --json", "logs latest", "--help"):
            done = subprocess.run(
                ["bash", "-c", f"{PYTHON} {PROJ} {words} > /dev/full"],
                cwd=folder.path, env=environment, capture_output=True, check=False, timeout=LIMIT_S,
            )  # fmt: skip
            assert done.stderr == b"proj: Cannot write to standard output: No space left on device.\n"
            assert done.returncode == 125


@pytest.mark.tmux
def test_a_real_terminal_emulator(folder: ProjFolder) -> None:
    tmux = shutil.which("tmux")
    assert tmux is not None, "tmux is not installed"
    folder.write({"MLproject": echo_project(f"{PYTHON} child.py"), "child.py": CHILD})
    server = f"proj-{uuid.uuid4().hex[:8]}"

    def call(*argv: str) -> str:
        done = subprocess.run(
            [tmux, "-L", server, "-f", "/dev/null", *argv],
            cwd=folder.path, env=folder.environment(), capture_output=True, text=True, check=True,
            timeout=LIMIT_S,
        )  # fmt: skip
        return done.stdout

    def screen() -> str:
        return call("capture-pane", "-p", "-e", "-t", "main")

    try:
        call("new-session", "-d", "-s", "main", "-x", "90", "-y", "30", "bash --norc --noprofile")
        call("send-keys", "-t", "main", f"{PROJ} run .", "Enter")
        eventually(lambda: all(text in screen() for text in ("name?", "step 3/3", "\x1b[32mgreen")))
        shown = screen()
        assert "tty True True True" in shown
        assert "columns 90" in shown
        assert "\x1b[32mgreen" in shown
        assert "step 3/3" in shown
        call("send-keys", "-t", "main", "Ada", "Enter")
        eventually(lambda: "hello Ada" in screen() and "succeeded" in screen())
        call("send-keys", "-t", "main", "clear", "Enter")
        eventually(lambda: "Ada" not in screen())
        call("send-keys", "-t", "main", f"{PROJ} run .", "Enter")
        eventually(lambda: "name?" in screen())
        call("send-keys", "-t", "main", "C-c", "")
        eventually(lambda: "SIGINT" in screen())
        call("send-keys", "-t", "main", "echo code $?", "Enter")
        eventually(lambda: "code 130" in screen())
    finally:
        subprocess.run([tmux, "-L", server, "kill-server"], check=False, capture_output=True)
    assert [run.status.value for run in folder.runs()] == ["KILLED", "FINISHED"]
    folder.clean()
