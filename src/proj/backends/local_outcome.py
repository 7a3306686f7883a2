"""What the end of a local process means: status, failure word, sentence."""

from __future__ import annotations

import errno
import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from proj.backends.ends import SHELL_SIGNAL_BASE, exit_sentence, stopped_verdict
from proj.errors import BackendError, FailureCode
from proj.model import Execution, Outcome, RunStatus
from proj.process import signal_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.backends.ends import Verdict
    from proj.process import Ending

_COUNT = r"(?m)^oom_kill (\d+)$"
_SCARCE = {
    errno.EAGAIN: ("processes or memory", "-u"),
    errno.ENOMEM: ("processes or memory", "-u"),
    errno.EMFILE: ("open files", "-n"),
    errno.ENFILE: ("open files", "-n"),
}
"""What a start may find used up, and the option of `ulimit` for it."""


class MemoryWitness:
    """Remembers how many processes the kernel had killed for lack of memory, and tells if more were.

    The counter of our own control group is asked (cgroup v2, then v1), else the machine's.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._before = self._count()

    def saw_a_kill(self) -> bool:
        """Whether the count has grown."""
        return self._count() > self._before

    def _count(self) -> int:
        for file in self._counters():
            found = re.search(_COUNT, _content(file))
            if found is not None:
                return int(found[1])
        return 0

    def _counters(self) -> Iterator[Path]:
        groups = self._root / "sys/fs/cgroup"
        for line in _content(self._root / "proc/self/cgroup").splitlines():
            _number, controllers, path = line.split(":", 2)
            if not controllers:
                yield groups / path.lstrip("/") / "memory.events"
            elif "memory" in controllers.split(","):
                yield groups / "memory" / path.lstrip("/") / "memory.oom_control"
        yield self._root / "proc/vmstat"


def _content(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


def outcome_of(
    ending: Ending,
    execution: Execution,
    *,
    started_ms: int,
    out_of_memory: bool,
    log_errors: tuple[tuple[str, OSError], ...] = (),
) -> Outcome:
    """Say what an ending means for the run."""
    status, failure, message = _judge(ending, execution, out_of_memory=out_of_memory)
    for name, error in log_errors:
        loss = f"{name} is incomplete: {error.strerror}."
        message = f"{message} {loss}" if message else loss
    code = ending.returncode
    ended_by = ending.asked_by if ending.asked_by is not None else (-code if code < 0 else None)
    return Outcome(
        status=status,
        exit_code=code if code >= 0 else None,
        failure=failure,
        signal=None if ended_by is None else signal_name(ended_by),
        message=message,
        started_ms=started_ms,
        ended_ms=ending.ended_ms,
        peak_memory_bytes=ending.peak_memory_bytes,
    )


def _judge(ending: Ending, execution: Execution, *, out_of_memory: bool) -> Verdict:
    code = ending.returncode
    stopped = stopped_verdict(
        ending.stop_cause,
        asked_by=ending.asked_by,
        last_sent=ending.last_sent,
        timeout_s=execution.timeout_s,
    )
    if stopped is not None:
        return stopped
    if code == 0:
        return RunStatus.FINISHED, None, None
    if out_of_memory and code in (-signal.SIGKILL, SHELL_SIGNAL_BASE + signal.SIGKILL):
        return (
            RunStatus.FAILED,
            FailureCode.OOM_KILLED,
            "The kernel killed the command because memory ran out.",
        )
    if code < 0:
        return RunStatus.FAILED, FailureCode.SIGNAL, f"The command was ended by {signal_name(-code)}."
    return RunStatus.FAILED, FailureCode.USER_EXIT, exit_sentence(code, out_of_memory=out_of_memory)


def describe_start_failure(error: OSError | ValueError, execution: Execution) -> BackendError:
    """Turn what the system said when the command could not be started into our error."""
    command = execution.command
    shell = command.argv[0]
    log = error.filename if isinstance(error, OSError) else None
    if isinstance(error, ValueError):
        return BackendError(
            "The command cannot be started: it or one of its variables holds a NUL character.",
            code=FailureCode.PROJECT_INVALID,
        )
    if not Path(command.cwd).is_dir():
        return BackendError(
            f"The command cannot be started: there is no folder {command.cwd}.",
            code=FailureCode.SOURCE_FAILED,
        )
    if error.errno == errno.E2BIG:
        size = sum(len(os.fsencode(word)) for word in command.argv)
        return BackendError(
            f"The command cannot be started: with {size} bytes it is longer than the system allows.",
            code=FailureCode.PROJECT_INVALID,
            hint="Pass large values in a file and give its path as the parameter.",
        )
    if error.errno in _SCARCE:
        lacking, option = _SCARCE[error.errno]
        return BackendError(
            f"The command cannot be started: this machine is out of {lacking} ({error.strerror}).",
            code=FailureCode.UNSCHEDULABLE,
            hint=f"End something else, or raise the limit (`ulimit {option}`).",
        )
    if log is not None and Path(log).parent == Path(execution.record_dir):
        return BackendError(
            f"The command cannot be started: its output cannot be stored: {log}: {error.strerror}.",
            code=FailureCode.UNSCHEDULABLE,
            hint=f"See that files can be made in {execution.record_dir}.",
        )
    return BackendError(
        f"The command cannot be started: {shell}: {error.strerror}.",
        code=FailureCode.ENV_FAILED,
        hint=f"Install {shell}, or put it on PATH." if error.errno == errno.ENOENT else None,
    )
