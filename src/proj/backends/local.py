"""The local backend: the command runs on this machine, as a child of this process."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from proj import events, process
from proj.backends.local_outcome import MemoryWitness, describe_start_failure, outcome_of
from proj.backends.metrics_tap import metrics_tap
from proj.errors import BackendError, FailureCode
from proj.model import Execution, HostRuntime, Outcome, Reach, Runtime

if TYPE_CHECKING:
    from proj.backends.base import Backend, Handle, MetricSink


class LocalHandle:
    """A command that runs on this machine.

    Args:
        execution: What runs.
        supervision: Who looks after it.
        outputs: Its streams.
        started_ms: When it was started.
        witness: Knows whether the kernel ran out of memory meanwhile.
    """

    def __init__(
        self,
        execution: Execution,
        pid: int,
        supervision: process.Supervision,
        outputs: tuple[process.Output, ...],
        started_ms: int,
        witness: MemoryWitness,
    ) -> None:
        self._execution = execution
        self._pid = pid
        self._supervision = supervision
        self._outputs = outputs
        self._started_ms = started_ms
        self._witness = witness
        self._outcome: Outcome | None = None

    @property
    def reference(self) -> str:
        """The process number, for people; nothing can be attached to by it."""
        return f"pid {self._pid}"

    def wait(self) -> Outcome:
        """Follow the command to its end; see `Handle.wait`."""
        if self._outcome is None:
            # An interrupt between the end and its being noted would lose how it ended.
            with process.deferred():
                ending = self._supervision.wait()
                self._outcome = outcome_of(
                    ending,
                    self._execution,
                    started_ms=self._started_ms,
                    out_of_memory=self._witness.saw_a_kill(),
                    log_errors=tuple((o.log.name, o.log_error) for o in self._outputs if o.log_error),
                )
                self._tell(ending)
        return self._outcome

    def cancel(self) -> None:
        """Ask the command to stop; see `Handle.cancel`."""
        self._supervision.cancel()

    def _tell(self, ending: process.Ending) -> None:
        if ending.stragglers:
            names = ", ".join(f"{straggler.name} ({abs(straggler.pid)})" for straggler in ending.stragglers)
            events.note(f"Ended what the command had left running: {names}.")
        if ending.output_held:
            events.note(
                "A process outside of the run still holds its output; what it writes from now on is not kept."
            )


class LocalBackend:
    """Runs commands on this machine."""

    def accepts(self, runtime: type[Runtime]) -> str | None:
        """None for an environment on this machine; see `Backend.accepts`."""
        if runtime is HostRuntime:
            return None
        return "The environment is an image: use `--backend docker` or `--backend kubernetes`."

    def submit(self, execution: Execution, on_metric: MetricSink | None = None) -> Handle:
        """Start the command; see `Backend.submit`."""
        runtime = execution.runtime
        if not isinstance(runtime, HostRuntime):
            raise BackendError(
                "The local backend cannot run an image.",
                code=FailureCode.PROJECT_INVALID,
                hint=self.accepts(type(runtime)),
            )
        tap = metrics_tap(execution, on_metric)
        witness = MemoryWitness()
        token = process.new_token()
        started_ms = time.time_ns() // 1_000_000
        deadline = None if execution.timeout_s is None else time.monotonic() + execution.timeout_s
        with contextlib.ExitStack() as undo:
            try:
                streams = process.Streams(Path(execution.record_dir), quiet=execution.quiet, tap=tap)
                undo.callback(streams.close)
                child = process.spawn(
                    execution.command.argv,
                    cwd=execution.command.cwd,
                    env=_environment(execution, runtime),
                    stdin=streams.stdin,
                    stdout=streams.stdout,
                    stderr=streams.stderr,
                    tokens=(token,),
                )
                streams.started()
                supervision = process.Supervision(
                    child,
                    streams.outputs,
                    token=token,
                    grace_s=execution.grace_s,
                    deadline=deadline,
                    terminal=streams.terminal,
                )
            except (OSError, ValueError) as error:
                raise describe_start_failure(error, execution) from error
            undo.pop_all()
        return LocalHandle(execution, child.pid, supervision, streams.outputs, started_ms, witness)

    def attach(self, execution: Execution, reference: str) -> Handle | None:  # noqa: ARG002  the interface's
        """None: a command dies with the process that started it."""
        return None

    def reach(self, execution: Execution) -> Reach | None:  # noqa: ARG002  the interface's
        """Loopback."""
        return Reach()


def _environment(execution: Execution, runtime: HostRuntime) -> dict[str, str]:
    callers = os.environ.get("PATH", os.defpath).split(os.pathsep)
    kept = [folder for folder in callers if folder.rstrip("/") not in runtime.hidden]
    path = os.pathsep.join([*runtime.path, *kept])
    return process.merged_environment(
        {"PATH": path} if runtime.path or runtime.hidden else {}, runtime.variables, execution.variables
    )


if TYPE_CHECKING:
    _backend: Backend = LocalBackend()
    _handle: type[Handle] = LocalHandle
