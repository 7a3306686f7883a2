from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from drivers import alive, left_open, longer, opened, until
from proj import process
from proj.errors import ToolFailedError, ToolMissingError
from proj.process.interrupts import Interrupted, interruptible

if TYPE_CHECKING:
    from pathlib import Path


def test_what_it_wrote_is_returned() -> None:
    completed = process.run(["sh", "-c", "echo out; echo err >&2"])
    assert (completed.returncode, completed.stdout, completed.stderr) == (0, "out\n", "err\n")


def test_input_is_fed_and_otherwise_empty() -> None:
    text = "ä" * 1_000_000
    assert process.run(["cat"], stdin=text).stdout == text
    assert process.run(["cat"]).stdout == ""


def test_input_that_nobody_reads_is_no_error() -> None:
    assert process.run(["true"], stdin="x" * 1_000_000).returncode == 0


def test_bytes_that_are_no_text_survive() -> None:
    assert os.fsencode(process.run(["printf", r"\377"]).stdout) == b"\xff"


def test_two_full_streams_do_not_deadlock() -> None:
    line = "head -c 50000000 /dev/zero >&2 & head -c 50000000 /dev/zero; wait"
    completed = process.run(["sh", "-c", line])
    assert len(completed.stdout) == len(completed.stderr) == 50_000_000


def test_variables_are_added_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GONE", "here")
    line = 'printf "%s %s" "$NEW" "${GONE-gone}"'
    assert process.run(["sh", "-c", line], env={"NEW": "new", "GONE": None}).stdout == "new gone"


def test_lines_of_stderr_come_as_they_are_written() -> None:
    lines: list[str] = []
    threads: set[int] = set()

    def take(line: str) -> None:
        lines.append(line)
        threads.add(threading.get_ident())

    process.run(["printf", r"%b", r"10%\r20%\r\ndone"], on_stderr=take)
    assert lines == []
    process.run(["sh", "-c", r"printf '10%%\r20%%\r\ndone' >&2"], on_stderr=take)
    assert lines == ["10%", "20%", "done"]
    assert threads == {threading.get_ident()}


def test_a_failure_shows_the_last_lines() -> None:
    with pytest.raises(ToolFailedError, match=r"^sh ended with exit code 3\.$") as caught:
        process.run(["sh", "-c", "seq 100 >&2; exit 3"])
    assert caught.value.returncode == 3
    assert caught.value.details[-1] == "100"
    assert len(caught.value.details) == 12


def test_a_failure_can_be_looked_at() -> None:
    assert process.run(["sh", "-c", "exit 3"], check=False).returncode == 3
    assert process.run(["sh", "-c", "kill -TERM $$"], check=False).returncode == -signal.SIGTERM


def test_a_failure_holds_no_secrets() -> None:
    line = "echo https://me:hunter2@host/x deadbeef >&2; exit 1"
    with pytest.raises(ToolFailedError) as caught:
        process.run(["sh", "-c", line], secrets=["deadbeef"])
    assert caught.value.details == ("https://***@host/x ***",)


def test_a_missing_program_is_named() -> None:
    with pytest.raises(ToolMissingError, match="no-such-tool"):
        process.run(["no-such-tool"])


@pytest.mark.parametrize(
    ("argv", "cwd", "message"),
    [
        (["true"], "/no/such/folder", "no folder /no/such/folder"),
        (["true", "\0"], None, "null byte"),
        (["true", "x" * 3_000_000], None, "too long"),
        (["/"], None, "Permission denied"),
    ],
)
def test_what_cannot_be_started_is_explained(argv: list[str], cwd: str | None, message: str) -> None:
    with pytest.raises(ToolFailedError, match=message):
        process.run(argv, cwd=cwd)


def test_a_time_limit_ends_the_whole_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["proj.process.run"], "_GRACE_S", 0.2)
    line = "trap '' TERM; sleep 600 & echo $! > new; mv new child; wait"
    for timeout_s in longer(0.5):
        with pytest.raises(ToolFailedError, match=rf"longer than {timeout_s:g} s"):
            process.run(["sh", "-c", line], cwd=tmp_path, timeout_s=timeout_s)
        if (tmp_path / "child").exists():
            break
    assert not alive(int((tmp_path / "child").read_text()))


def test_a_signal_ends_the_tool_before_it_goes_on(tmp_path: Path) -> None:
    pids: list[int] = []

    def interrupt(line: str) -> None:
        pids.append(int(line))
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted), interruptible():
        process.run(["sh", "-c", "sleep 600 & echo $! >&2; wait"], on_stderr=interrupt)
    assert not alive(pids[0])


def test_a_helper_that_holds_the_output_does_not_hold_us(tmp_path: Path) -> None:
    completed = process.run(["sh", "-c", "setsid sleep 600 & echo $! > pid; echo out"], cwd=tmp_path)
    pid = int((tmp_path / "pid").read_text())
    assert completed.stdout == "out\n"
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid), "the helper is gone")


def test_it_has_no_terminal_to_prompt_on() -> None:
    program = "open('/dev/tty')"
    completed = process.run([sys.executable, "-S", "-c", program], check=False)
    assert "OSError" in completed.stderr


def test_nothing_is_left_open() -> None:
    process.run(["true"])
    before = opened()
    for _ in range(3):
        process.run(["cat"], stdin="x")
    with pytest.raises(ToolMissingError):
        process.run(["no-such-tool"], stdin="x")
    assert not left_open(before)
