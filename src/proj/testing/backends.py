"""The contract suite of backends.

A third party proves a backend by subclassing it, in a test module of its own::

    class TestMyBackend(BackendContract):
        @pytest.fixture
        def backend(self) -> Backend:
            return MyBackend()

        @pytest.fixture
        def execution(self, tmp_path: Path) -> ExecutionMaker:
            return execution_maker(tmp_path, runtime=ImageRuntime(image="python:3.12-slim"))
"""
# ruff: noqa: S101  asserts and literals as in tests

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec
import pytest

from proj.errors import BackendError, FailureCode
from proj.model import Command, Execution, HostRuntime, ImageRuntime, Outcome, RunStatus, Runtime

if TYPE_CHECKING:
    from proj.backends.base import Backend, Handle

LIMIT_S = 110.0
"""How long a condition is awaited; only a failing test takes that long."""


class ExecutionMaker(Protocol):
    """Makes the execution of a shell line."""

    def __call__(self, line: str, **changes: object) -> Execution:
        """Return the execution; `changes` replace fields of `Execution`."""


def execution_maker(
    folder: Path, *, runtime: Runtime | None = None, cwd: str | None = None
) -> ExecutionMaker:
    """Return a maker of executions.

    Args:
        folder: An empty folder for records.
        runtime: What the backend accepts; None: this machine.
        cwd: Working directory of the command where it runs; None: a folder on this machine.
    """
    count = 0

    def make(line: str, **changes: object) -> Execution:
        nonlocal count
        count += 1
        record_dir = folder / f"record-{count}"
        record_dir.mkdir()
        base = Execution(
            run_id=f"{count:032x}",
            run_name=f"contract-{count}",
            project_name="contract",
            command=Command(line=line, argv=("bash", "-c", line), cwd=cwd or str(folder)),
            runtime=runtime or HostRuntime(),
            variables={},
            record_dir=str(record_dir),
            grace_s=10.0,
            quiet=True,
        )
        return msgspec.structs.replace(base, **changes)

    return make


def stored(execution: Execution, name: str = "stdout") -> bytes:
    """Return what was stored of a stream."""
    return (Path(execution.record_dir) / f"{name}.log").read_bytes()


def await_output(execution: Execution, text: bytes) -> None:
    """Wait until the program has written something; needs `Handle.wait` in another thread."""
    log = Path(execution.record_dir) / "stdout.log"
    end = time.monotonic() + LIMIT_S
    while not (log.exists() and text in log.read_bytes()):
        assert time.monotonic() < end, f"{text!r} was never stored in {log}"
        time.sleep(0.01)


class Waiter(threading.Thread):
    """Waits for an execution in a thread of its own."""

    def __init__(self, handle: Handle) -> None:
        super().__init__()
        self._execution = handle
        self._outcome: Outcome | None = None
        self.start()

    def run(self) -> None:
        """Wait."""
        self._outcome = self._execution.wait()

    def outcome(self) -> Outcome:
        """Return the outcome once it is there."""
        self.join(LIMIT_S)
        assert self._outcome is not None, "wait() did not return"
        return self._outcome


class BackendContract:
    """What every backend guarantees."""

    keeps_streams_apart = True
    """False where stdout and stderr are one by the time they get here: both are stored as stdout then."""
    keeps_every_byte = True
    """False where output is text by the time it gets here: bytes that are no UTF-8 are replaced."""

    @pytest.fixture
    def backend(self) -> Backend:
        """The backend to prove. Override this."""
        raise NotImplementedError

    @pytest.fixture
    def execution(self, tmp_path: Path) -> ExecutionMaker:
        """Makes executions that the backend accepts. Override this unless it runs on this machine."""
        return execution_maker(tmp_path)

    def test_success_is_finished(self, backend: Backend, execution: ExecutionMaker) -> None:
        """Exit code 0 means FINISHED, with times and no message."""
        outcome = backend.submit(execution("true")).wait()
        assert (outcome.status, outcome.exit_code) == (RunStatus.FINISHED, 0)
        assert (outcome.failure, outcome.signal, outcome.message) == (None, None, None)
        assert outcome.started_ms is not None
        assert outcome.ended_ms is not None
        assert outcome.started_ms <= outcome.ended_ms

    def test_an_exit_code_is_kept(self, backend: Backend, execution: ExecutionMaker) -> None:
        """Another exit code means FAILED with `user_exit`, and the message names it."""
        outcome = backend.submit(execution("exit 37")).wait()
        assert (outcome.status, outcome.exit_code) == (RunStatus.FAILED, 37)
        assert outcome.failure is FailureCode.USER_EXIT
        assert outcome.message is not None
        assert "37" in outcome.message

    def test_waiting_again_returns_the_same(self, backend: Backend, execution: ExecutionMaker) -> None:
        """`wait` is idempotent."""
        handle = backend.submit(execution("exit 3"))
        assert handle.wait() == handle.wait()

    def test_streams_are_stored_apart_and_unchanged(
        self, backend: Backend, execution: ExecutionMaker
    ) -> None:
        """Bytes that are no text and a last line without its end arrive in the right log."""
        run = execution(r"printf 'out\000\377\r\n end'; printf 'err' >&2")
        backend.submit(run).wait()
        out = (
            b"out\0\xff\r\n end"
            if self.keeps_every_byte
            else "out\0\N{REPLACEMENT CHARACTER}\r\n end".encode()
        )
        if self.keeps_streams_apart:
            assert (stored(run), stored(run, "stderr")) == (out, b"err")
        else:
            # In which order they are read is the reader's affair; each is whole.
            assert stored(run).replace(b"err", b"", 1) == out

    def test_output_is_stored_as_it_comes(self, backend: Backend, execution: ExecutionMaker) -> None:
        """What was written can be read while the command runs."""
        run = execution("echo begun; exec sleep 600")
        handle = backend.submit(run)
        waiter = Waiter(handle)
        await_output(run, b"begun")
        handle.cancel()
        waiter.outcome()

    def test_the_last_output_is_there(self, backend: Backend, execution: ExecutionMaker) -> None:
        """A megabyte that is written at the very end is stored whole."""
        run = execution("head -c 1000000 /dev/zero | tr '\\0' x")
        backend.submit(run).wait()
        assert stored(run) == b"x" * 1_000_000

    def test_variables_reach_the_command(self, backend: Backend, execution: ExecutionMaker) -> None:
        """Values arrive byte for byte, whatever a shell would make of them."""
        value = "a 'b' \"c\" $(d) `e` \\f\nä"
        run = execution('printf %s "$CONTRACT_VALUE"', variables={"CONTRACT_VALUE": value})
        backend.submit(run).wait()
        assert stored(run) == value.encode()

    def test_cancel_from_another_thread(self, backend: Backend, execution: ExecutionMaker) -> None:
        """A cancelled execution is KILLED with `cancelled`, and cancelling again changes nothing."""
        run = execution("echo begun; exec sleep 600")
        handle = backend.submit(run)
        waiter = Waiter(handle)
        await_output(run, b"begun")
        handle.cancel()
        handle.cancel()
        outcome = waiter.outcome()
        assert (outcome.status, outcome.failure) == (RunStatus.KILLED, FailureCode.CANCELLED)
        assert outcome.message
        handle.cancel()
        assert handle.wait() == outcome

    def test_cancel_before_wait(self, backend: Backend, execution: ExecutionMaker) -> None:
        """A cancellation that comes before `wait` is not forgotten."""
        handle = backend.submit(execution("exec sleep 600"))
        handle.cancel()
        assert handle.wait().status is RunStatus.KILLED

    def test_a_time_limit_is_a_deadline(self, backend: Backend, execution: ExecutionMaker) -> None:
        """A command that takes too long is FAILED with `deadline`, and the message names the limit."""
        outcome = backend.submit(execution("exec sleep 600", timeout_s=0.5)).wait()
        assert (outcome.status, outcome.failure) == (RunStatus.FAILED, FailureCode.DEADLINE)
        assert outcome.message is not None
        assert "0.5 s" in outcome.message

    def test_metrics_are_read_from_stdout(self, backend: Backend, execution: ExecutionMaker) -> None:
        """Only if asked for, and only from stdout."""
        seen: list[tuple[str, float, int]] = []
        line = "echo 'loss: 0.5'; echo 'loss: 0.25 (step 9)'; echo 'other: 1' >&2; printf 'acc: 1'"
        run = execution(line, metrics_from_stdout=True)
        backend.submit(run, lambda key, value, step: seen.append((key, value, step))).wait()
        told = [("loss", 0.5, 0), ("loss", 0.25, 9), ("acc", 1.0, 0)]
        assert [each for each in seen if each[0] != "other"] == told
        assert self.keeps_streams_apart == (seen == told)
        seen.clear()
        backend.submit(execution(line), lambda key, value, step: seen.append((key, value, step))).wait()
        assert seen == []

    def test_a_reference_is_one_line(self, backend: Backend, execution: ExecutionMaker) -> None:
        """And holds nothing of the variables."""
        run = execution("true", variables={"CONTRACT_SECRET": "hunter2-hunter2"})
        handle = backend.submit(run)
        handle.wait()
        assert handle.reference
        assert len(handle.reference.splitlines()) == 1
        assert "hunter2" not in handle.reference

    def test_a_runtime_is_accepted_or_explained(self, backend: Backend, execution: ExecutionMaker) -> None:
        """`accepts` agrees with `submit`: what it refuses is refused with a sentence."""
        own = execution("true")
        assert backend.accepts(type(own.runtime)) is None
        for runtime in (HostRuntime(), ImageRuntime(image="contract")):
            if backend.accepts(type(runtime)) is not None:
                with pytest.raises(BackendError):
                    backend.submit(execution("true", runtime=runtime))
