"""What ends of commands mean for their runs, wherever they ran: being stopped, and exit codes."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from proj.errors import FailureCode
from proj.model import RunStatus
from proj.process import signal_name

if TYPE_CHECKING:
    from proj.process import StopCause

    Verdict = tuple[RunStatus, FailureCode | None, str | None]
    """Status, failure word, sentence."""

SHELL_SIGNAL_BASE = 128
_FATAL = frozenset(
    (
        signal.SIGILL,
        signal.SIGABRT,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGKILL,
        signal.SIGSEGV,
        signal.SIGPIPE,
        signal.SIGTERM,
    )
)


def stopped_verdict(
    cause: StopCause | None, *, asked_by: int | None, last_sent: int | None, timeout_s: float | None
) -> Verdict | None:
    """What it means that a command was made to end; None: it ended by itself.

    Args:
        cause: Why.
        asked_by: The signal that this process got, if that is why.
        last_sent: The strongest signal that was sent.
        timeout_s: How long it was allowed to take.
    """
    forced = "; it did not end by itself and was killed" if last_sent == signal.SIGKILL else ""
    if cause == "deadline":
        sentence = f"The command took longer than {timeout_s:g} s and was stopped{forced}."
        return RunStatus.FAILED, FailureCode.DEADLINE, sentence
    if cause == "cancelled":
        asked = f"interrupted by {signal_name(asked_by)}" if asked_by else "cancelled"
        return RunStatus.KILLED, FailureCode.CANCELLED, f"The run was {asked}{forced}."
    return None


def exit_sentence(code: int, *, out_of_memory: bool = False) -> str:
    """The message for an exit code other than 0."""
    likely = ""
    if code - SHELL_SIGNAL_BASE in _FATAL:
        likely = f" (likely {signal_name(code - SHELL_SIGNAL_BASE)})"
    sentence = f"The command ended with exit code {code}{likely}."
    if out_of_memory:
        sentence += " Meanwhile the kernel killed a process because memory ran out."
    return sentence
