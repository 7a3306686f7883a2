from __future__ import annotations

import os
import resource
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from drivers import Driver, alive, few_descriptors, left_open, longer, opened, until
from proj import events, process
from proj.backends.local import LocalBackend
from proj.errors import BackendError, FailureCode
from proj.model import Command, HostRuntime, Outcome, RunStatus
from proj.process import supervise
from proj.testing.backends import ExecutionMaker, execution_maker, stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def execution(tmp_path: Path) -> ExecutionMaker:
    return execution_maker(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "driven"
    folder.mkdir()
    return folder


@pytest.fixture
def drive(folder: Path) -> Iterator[Callable[..., Driver]]:
    drivers: list[Driver] = []

    def start(line: str, **options: Any) -> Driver:
        drivers.append(Driver(folder, line, **options))
        return drivers[-1]

    yield start
    for driver in drivers:
        driver.close()


def children() -> list[str]:
    """The processes that this one started and has not reaped."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def run(execution: ExecutionMaker, line: str, **changes: object) -> Outcome:
    return LocalBackend().submit(execution(line, **changes)).wait()


# --- what the end means -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL", "SIGABRT", "SIGTERM", "SIGINT"])
def test_a_signal_death_is_named(execution: ExecutionMaker, name: str) -> None:
    outcome = run(execution, f"kill -{name[3:]} $$")
    assert (outcome.status, outcome.failure) == (RunStatus.FAILED, FailureCode.SIGNAL)
    assert (outcome.exit_code, outcome.signal) == (None, name)
    assert name in (outcome.message or "")


def test_a_shell_that_reports_a_signal_death_is_explained(execution: ExecutionMaker) -> None:
    outcome = run(execution, "bash -c 'ulimit -c 0; kill -SEGV $$'; exit $?")
    assert (outcome.failure, outcome.exit_code, outcome.signal) == (FailureCode.USER_EXIT, 139, None)
    assert outcome.message == "The command ended with exit code 139 (likely SIGSEGV)."


def test_peak_memory_is_the_commands_own(execution: ExecutionMaker) -> None:
    assert run(execution, "true").peak_memory_bytes is None
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # below that, nothing can be told
    size = max(300_000_000, ours + 50_000_000)
    peak = run(execution, f"{sys.executable} -S -c 'b = bytes([1]) * {size}'").peak_memory_bytes
    assert peak is not None
    assert size < peak < size + 100_000_000


def test_hidden_folders_are_not_on_the_path(
    execution: ExecutionMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("mine", "theirs"):
        (tmp_path / folder).mkdir()
        program = tmp_path / folder / "which-one"
        program.write_text(f"#!/bin/sh\n[ {folder} = mine ]\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/theirs/:{os.environ['PATH']}:{tmp_path}/mine")
    runtime = HostRuntime(hidden=(f"{tmp_path}/theirs",))
    assert run(execution, "which-one", runtime=runtime).exit_code == 0
    assert run(execution, "which-one").exit_code == 1


# --- what cannot be started ---------------------------------------------------------------------------


def test_a_missing_shell_is_refused(execution: ExecutionMaker, tmp_path: Path) -> None:
    command = Command(line="x", argv=("no-such-shell", "-c", "x"), cwd=str(tmp_path))
    with pytest.raises(BackendError, match="no-such-shell") as caught:
        run(execution, "x", command=command)
    assert caught.value.code == FailureCode.ENV_FAILED.value


def test_a_missing_folder_is_refused(execution: ExecutionMaker, tmp_path: Path) -> None:
    command = Command(line="x", argv=("bash", "-c", "x"), cwd=str(tmp_path / "gone"))
    with pytest.raises(BackendError, match="no folder") as caught:
        run(execution, "x", command=command)
    assert caught.value.code == FailureCode.SOURCE_FAILED.value


def test_too_long_a_command_is_refused(execution: ExecutionMaker) -> None:
    with pytest.raises(BackendError, match="longer than the system allows") as caught:
        run(execution, "true " + "x" * 3_000_000)
    assert caught.value.code == FailureCode.PROJECT_INVALID.value
    assert caught.value.hint


def test_a_nul_character_is_refused(execution: ExecutionMaker) -> None:
    with pytest.raises(BackendError, match="NUL"):
        run(execution, "true \0")


def test_a_refusal_leaves_no_descriptor(execution: ExecutionMaker) -> None:
    process.guard_environment()  # the watchdog's pipe stays
    before = opened()
    with pytest.raises(BackendError):
        run(execution, "true \0")
    run(execution, "true")
    assert not left_open(before)


@pytest.mark.parametrize("name", ["stdout.log", "stderr.log"])
def test_a_log_that_cannot_be_opened_is_refused_before_anything_runs(
    execution: ExecutionMaker, tmp_path: Path, name: str
) -> None:
    process.guard_environment()
    before = opened()
    made = execution("touch ran")
    (Path(made.record_dir) / name).mkdir()
    with pytest.raises(BackendError, match=rf"{name}: Is a directory") as caught:
        LocalBackend().submit(made)
    assert isinstance(caught.value.__cause__, IsADirectoryError)
    assert not left_open(before)
    assert not (tmp_path / "ran").exists()


def test_a_lack_of_descriptors_is_refused_and_leaves_nothing(execution: ExecutionMaker) -> None:
    process.guard_environment()
    before, ours = opened(), children()
    refused: set[str] = set()
    for free in range(16):
        made = execution("exec sleep 600")
        try:
            with few_descriptors(free):
                handle = LocalBackend().submit(made)
        except BackendError as error:
            refused.add(f"{error.code}: {error.message}")
        else:
            handle.cancel()
            handle.wait()
        assert (left_open(before), children()) == (set(), ours)
    (told,) = refused
    assert told.startswith("unschedulable: ")
    assert "this machine is out of open files (Too many open files)" in told


# --- variables ----------------------------------------------------------------------------------------


def test_variables_come_in_layers(execution: ExecutionMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KEPT", "REMOVED", "REPLACED"):
        monkeypatch.setenv(name, "ours")
    made = execution(
        'echo "$KEPT ${REMOVED-gone} $REPLACED $SET"; echo "$PATH"',
        runtime=HostRuntime(path=("/one", "/two"), variables={"REMOVED": None, "REPLACED": "runtime"}),
        variables={"REPLACED": "run", "SET": "run"},
    )
    LocalBackend().submit(made).wait()
    assert stored(made).decode().splitlines() == ["ours gone run run", f"/one:/two:{os.environ['PATH']}"]


# --- being asked to stop ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_to_us_stops_the_command(drive: Callable[..., Driver], folder: Path, name: str) -> None:
    driver = drive("echo ready; exec sleep 600")
    driver.writes("ready")
    driver.send(signal.Signals[name])
    outcome = driver.outcome()
    assert (outcome.status, outcome.failure) == (RunStatus.KILLED, FailureCode.CANCELLED)
    assert (outcome.signal, outcome.message) == (name, f"The run was interrupted by {name}.")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [("SIGINT", ["INT", "TERM"]), ("SIGTERM", ["TERM"]), ("SIGHUP", ["TERM"])],
)
def test_a_stubborn_command_climbs_the_ladder(
    drive: Callable[..., Driver], folder: Path, sent: str, expected: list[str]
) -> None:
    line = "trap 'echo INT' INT; trap 'echo TERM' TERM; echo ready; while :; do sleep 0.01; done"
    for grace_s in longer(0.3):  # within which it has to have heard the signal
        driver = drive(line, grace_s=grace_s)
        driver.writes("ready")
        driver.send(signal.Signals[sent])
        assert "was killed" in (driver.outcome().message or "")
        heard = (folder / "stdout.log").read_text().split()
        if len(heard) > len(expected):
            break
        for name in ("stdout.log", "stderr.log", "outcome.json"):
            (folder / name).unlink()
    assert heard == ["ready", *expected]


def test_a_second_signal_escalates_at_once(drive: Callable[..., Driver], folder: Path) -> None:
    driver = drive(
        "trap 'echo INT' INT; trap 'echo TERM' TERM; echo ready; while :; do sleep 0.01; done", grace_s=600.0
    )
    driver.writes("ready")
    driver.send(signal.SIGINT)
    driver.writes("INT")
    driver.send(signal.SIGINT)
    driver.writes("TERM")
    driver.send(signal.SIGINT)
    assert driver.outcome().signal == "SIGINT"


def test_a_command_may_end_well_within_its_grace(drive: Callable[..., Driver], folder: Path) -> None:
    driver = drive("trap 'sleep 0.2; echo saved; exit 0' INT; echo ready; while :; do sleep 0.01; done")
    driver.writes("ready")
    driver.send(signal.SIGINT)
    assert driver.outcome().exit_code == 0
    assert (folder / "stdout.log").read_text() == "ready\nsaved\n"


def test_a_signal_before_wait_is_not_lost(execution: ExecutionMaker) -> None:
    with process.interruptible(), process.deferred():
        handle = LocalBackend().submit(execution("exec sleep 600"))
        signal.raise_signal(signal.SIGINT)
        outcome = handle.wait()
    assert (outcome.failure, outcome.signal) == (FailureCode.CANCELLED, "SIGINT")


def test_a_stopped_command_can_be_stopped_for_good(drive: Callable[..., Driver], folder: Path) -> None:
    driver = drive("echo $$ > pid; exec sleep 600")
    os.kill(driver.pid("pid"), signal.SIGSTOP)
    driver.send(signal.SIGTERM)
    assert driver.outcome().signal == "SIGTERM"


def test_a_time_limit_ends_all_that_was_started(execution: ExecutionMaker, tmp_path: Path) -> None:
    line = "setsid bash -c 'echo $$ > away; exec sleep 600' & bash -c 'echo $$ > near; exec sleep 600' & wait"
    files = (tmp_path / "away", tmp_path / "near")
    for timeout_s in longer(1.0):
        outcome = run(execution, line, timeout_s=timeout_s, grace_s=0.2)
        assert outcome.message == f"The command took longer than {timeout_s:g} s and was stopped."
        if all(file.exists() and file.read_text() for file in files):
            break
    assert not any(alive(int(file.read_text())) for file in files)


# --- kill -9 ------------------------------------------------------------------------------------------


def test_kill_9_takes_everything_along(drive: Callable[..., Driver], folder: Path) -> None:
    driver = drive(
        "setsid bash -c 'echo $$ > away; exec sleep 600' &"
        "bash -c 'echo $$ > near; exec sleep 600' &"
        "env -i bash -c 'echo $$ > bare; exec sleep 600' &"
        "echo $$ > leader; wait",
    )
    pids = [driver.pid(name) for name in ("leader", "near", "away", "bare")]
    assert all(alive(pid) for pid in pids)
    driver.send(signal.SIGKILL)
    driver.process.wait()
    until(lambda: not any(alive(pid) for pid in pids), "all processes of the run are gone")


# --- after the end ------------------------------------------------------------------------------------


def test_what_is_left_in_the_group_is_ended_and_told(execution: ExecutionMaker, tmp_path: Path) -> None:
    told: list[events.Event] = []
    with events.listening(told.append):
        outcome = run(execution, "sleep 600 >/dev/null 2>&1 & echo $! > pid")
    pid = int((tmp_path / "pid").read_text())
    assert outcome.status is RunStatus.FINISHED
    assert not alive(pid)
    assert [event.message for event in told] == [f"Ended what the command had left running: sleep ({pid})."]


def test_a_helper_that_finishes_quickly_is_left_to_it(
    execution: ExecutionMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_DRAIN_S", "_SETTLE_S"):  # the machine may be slow
        monkeypatch.setattr(supervise, name, 60.0)
    told: list[events.Event] = []
    made = execution("(sleep 0.05; echo late) & echo early")
    with events.listening(told.append):
        LocalBackend().submit(made).wait()
    assert stored(made) == b"early\nlate\n"
    assert told == []


def test_a_daemon_that_holds_the_output_does_not_hold_us(execution: ExecutionMaker, tmp_path: Path) -> None:
    told: list[events.Event] = []
    made = execution(
        "setsid bash -c 'echo $$ > pid; exec sleep 600' & until [ -s pid ]; do :; done; echo out"
    )
    with events.listening(told.append):
        outcome = LocalBackend().submit(made).wait()
    pid = int((tmp_path / "pid").read_text())
    assert outcome.status is RunStatus.FINISHED
    assert stored(made) == b"out\n"
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)
    assert "still holds its output" in told[0].message


def test_nothing_is_left_behind(execution: ExecutionMaker) -> None:
    run(execution, "true")
    before, ours, threads = opened(), children(), set(threading.enumerate())
    handlers = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    for _ in range(3):
        run(execution, "echo x; exit 1")
    assert not left_open(before)
    assert not set(threading.enumerate()) - threads
    assert handlers == [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert children() == ours, "a zombie is left"


# --- output -------------------------------------------------------------------------------------------


def test_output_is_passed_on_unchanged(
    execution: ExecutionMaker, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    run(execution, r"printf 'a\000\377\r\n'; printf b >&2", quiet=False)
    captured = capfdbinary.readouterr()
    assert (captured.out, captured.err) == (b"a\0\xff\r\n", b"b")


def test_output_goes_where_python_prints(
    execution: ExecutionMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    run(execution, "printf 'ä'; printf b >&2", quiet=False)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("ä", "b")


def test_quiet_keeps_it_back(execution: ExecutionMaker, capfd: pytest.CaptureFixture[str]) -> None:
    run(execution, "echo a; echo b >&2")
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_a_hundred_megabytes_in_flat_memory(drive: Callable[..., Driver], folder: Path) -> None:
    drive("true").wait()
    little = int((folder / "peak_kib").read_text())
    read_fd, write_fd = os.pipe()
    driver = drive("yes 0123456789abcde | head -c 100000000", stdout=write_fd)
    os.close(write_fd)
    passed_on = 0
    with os.fdopen(read_fd, "rb", buffering=0) as stream:
        while data := stream.read(1 << 20):
            passed_on += len(data)
    assert driver.outcome().status is RunStatus.FINISHED
    assert (folder / "stdout.log").stat().st_size == 100_000_000
    assert passed_on == 100_000_000
    assert driver.number("peak_kib") - little < 20 * 1024


def test_a_reader_that_leaves_stops_neither_run_nor_log(drive: Callable[..., Driver], folder: Path) -> None:
    read_fd, write_fd = os.pipe()
    driver = drive("yes | head -c 1000000", stdout=write_fd)
    os.close(write_fd)
    os.read(read_fd, 1)
    os.close(read_fd)
    assert driver.outcome().status is RunStatus.FINISHED
    assert (folder / "stdout.log").stat().st_size == 1_000_000


def test_a_reader_that_sleeps_does_not_hinder_ctrl_c(drive: Callable[..., Driver], folder: Path) -> None:
    read_fd, write_fd = os.pipe()
    driver = drive("yes", stdout=write_fd)
    os.close(write_fd)
    driver.writes("y\n" * 32_768)  # what our pipe holds: now it is full
    driver.send(signal.SIGINT)
    assert driver.outcome().failure is FailureCode.CANCELLED
    os.close(read_fd)


def test_a_log_that_cannot_be_written_is_told(
    execution: ExecutionMaker, capfd: pytest.CaptureFixture[str]
) -> None:
    made = execution("echo seen; echo err >&2; exit 4", quiet=False)
    (Path(made.record_dir) / "stdout.log").symlink_to("/dev/full")
    outcome = LocalBackend().submit(made).wait()
    assert outcome.message == (
        "The command ended with exit code 4. stdout.log is incomplete: No space left on device."
    )
    assert capfd.readouterr().out == "seen\n"
    assert stored(made, "stderr") == b"err\n"
