from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from drivers import SCRIPT, driver_argv, until
from proj.errors import FailureCode
from proj.model import Outcome, RunStatus
from terminals import Person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ASK = """python3 -S -c 'print("hello", input("name? "))'"""

LENDS_SLOWLY = f"""
import os, pathlib, runpy, time
give = os.tcsetpgrp
def give_slowly(fd, group):
    give(fd, group)
    if group != os.getpgrp():
        pathlib.Path("lent").touch()
        while not pathlib.Path("go").exists():
            time.sleep(0.01)
os.tcsetpgrp = give_slowly
runpy.run_path({SCRIPT!r}, run_name="__main__")
"""
"""A driver that takes its time between lending the terminal and letting the command go on."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "driven"
    folder.mkdir()
    return folder


@pytest.fixture
def sit(folder: Path) -> Iterator[Callable[..., Person]]:
    """Seats a person at a terminal where a command runs, or at a shell where they type it."""
    persons: list[Person] = []

    def start(line: str, *, typed: bool = False, prefix: str = "") -> Person:
        argv = driver_argv(folder, line)
        if typed:
            person = Person(["bash", "--norc", "-i"], cwd=folder, env={"PS1": "READY> "})
            persons.append(person)
            person.sees("READY>")
            person.type(f"clear; {shlex.join(argv)}\n")
            person.sees("\x1b[2J")
        else:
            person = Person(["bash", "-c", prefix + shlex.join(argv)], cwd=folder, env={})
            persons.append(person)
        return person

    yield start
    for person in persons:
        person.close()


def outcome(folder: Path) -> Outcome:
    file = folder / "outcome.json"
    until(file.exists, "the outcome is written")
    return msgspec.json.decode(file.read_bytes(), type=Outcome)


def test_a_terminal_stays_a_terminal(sit: Callable[..., Person], folder: Path) -> None:
    program = (
        "import os, sys; print(os.isatty(0), os.isatty(1), os.isatty(2), os.get_terminal_size().columns)"
    )
    person = sit(f"python3 -S -c '{program}'; echo error >&2")
    assert person.leaves() == 0
    # Two streams, by two ways: which of them is seen first is not said.
    assert sorted(person.screen.splitlines()) == [b"True True True 100", b"error"]
    assert (folder / "stdout.log").read_bytes() == b"True True True 100\n"
    assert (folder / "stderr.log").read_bytes() == b"error\n"


def test_what_is_written_is_stored_unchanged(sit: Callable[..., Person], folder: Path) -> None:
    person = sit(r"printf '10%%\r20%%\t\033[1mdone\033[0m\r\n\n'")
    person.leaves()
    assert (folder / "stdout.log").read_bytes() == b"10%\r20%\t\x1b[1mdone\x1b[0m\r\n\n"
    assert person.screen == b"10%\r20%\t\x1b[1mdone\x1b[0m\r\r\n\r\n"


def test_much_output_arrives_whole(sit: Callable[..., Person], folder: Path) -> None:
    person = sit("seq 200000")
    person.leaves()
    expected = b"".join(b"%d\n" % number for number in range(1, 200_001))
    assert (folder / "stdout.log").read_bytes() == expected
    assert person.screen.replace(b"\r\n", b"\n") == expected


def test_a_command_can_ask(sit: Callable[..., Person], folder: Path) -> None:
    person = sit(f"{ASK}; echo done")
    person.sees("name?")
    person.type("bob\n")
    person.sees("hello bob")
    person.sees("done")
    person.leaves()
    assert outcome(folder).status is RunStatus.FINISHED


def test_ctrl_c_stops_a_command_that_asks(sit: Callable[..., Person], folder: Path) -> None:
    person = sit(f"{ASK}; echo never")
    person.sees("name?")
    person.type("\x03")
    person.leaves()
    ended = outcome(folder)
    assert (ended.status, ended.failure, ended.signal) == (RunStatus.KILLED, FailureCode.CANCELLED, "SIGINT")
    assert (folder / "stdout.log").read_bytes() == b""


def test_ctrl_c_stops_a_command_that_works(sit: Callable[..., Person], folder: Path) -> None:
    person = sit("echo working; exec sleep 600")
    person.sees("working")
    person.type("\x03")
    person.leaves()
    assert (outcome(folder).failure, outcome(folder).signal) == (FailureCode.CANCELLED, "SIGINT")


def test_a_password_is_read_from_the_terminal_beside_a_pipe(sit: Callable[..., Person], folder: Path) -> None:
    program = 'import getpass; print("got", getpass.getpass())'
    person = sit(f"python3 -S -c '{program}'", prefix="echo ignored | ")
    person.sees("Password:")
    person.type("pw\n")
    person.sees("got pw")
    person.leaves()
    assert outcome(folder).status is RunStatus.FINISHED


def test_a_new_window_size_is_passed_on(sit: Callable[..., Person]) -> None:
    person = sit("trap 'stty size <&1; exit' WINCH; echo ready; while :; do sleep 0.02; done")
    person.sees("ready")
    person.resize(77)
    person.sees("77")
    person.leaves()


def test_ctrl_z_suspends_both(sit: Callable[..., Person], folder: Path) -> None:
    person = sit("echo working; until [ -e go ]; do sleep 0.02; done; echo done", typed=True)
    person.sees("working")
    person.type("\x1a")
    person.sees("Stopped")
    (folder / "go").touch()
    person.sees("READY>")
    assert b"done" not in (folder / "stdout.log").read_bytes()
    person.type("fg\n")
    person.sees("done\r")
    assert outcome(folder).status is RunStatus.FINISHED


def test_ctrl_z_suspends_a_command_that_asks(sit: Callable[..., Person], folder: Path) -> None:
    person = sit(f"{ASK}", typed=True)
    person.sees("name?")
    person.type("\x1a")
    person.sees("Stopped")
    person.type("fg\n")
    person.sees("fg")
    person.type("amy\n")
    person.sees("hello amy")
    assert outcome(folder).status is RunStatus.FINISHED


def test_ctrl_z_holds_while_the_command_is_given_the_terminal(folder: Path) -> None:
    person = Person(["bash", "--norc", "-i"], cwd=folder, env={"PS1": "READY> "})
    try:
        person.sees("READY>")
        person.type(f"{shlex.join([sys.executable, '-c', LENDS_SLOWLY, str(folder), ASK])}\n")
        until((folder / "lent").exists, "the command is given the terminal")
        person.sees("name?")
        person.type("\x1a")
        person.sees("^Z")
        (folder / "go").touch()
        person.sees("Stopped")
        person.type("fg\n")
        person.sees("fg")
        person.type("amy\n")
        person.sees("hello amy")
        assert outcome(folder).status is RunStatus.FINISHED
    finally:
        person.close()


def test_the_terminal_is_given_back_as_it_was(sit: Callable[..., Person], folder: Path) -> None:
    person = sit("stty -echo < /dev/tty; kill -KILL $$", typed=True)
    assert outcome(folder).signal == "SIGKILL"
    person.type("echo now:$(stty -a | tr ' ' '\\n' | grep -x -e echo -e -echo):\n")
    person.sees("now:echo:")
