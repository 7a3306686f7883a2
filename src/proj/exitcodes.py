"""The exit code of `proj` for each way a run can end."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from proj.errors import EXIT_CANNOT_RUN, FailureCode
from proj.model import RunStatus

if TYPE_CHECKING:
    from proj.model import Outcome

EXIT_DEADLINE = 124
"""`--timeout` went by; the convention of `timeout(1)`."""

_SIGNAL_BASE = 128


def exit_code(outcome: Outcome) -> int:
    """Return the exit code that tells an outcome.

    The entry point's own code when it ran and failed, 128 + n for signal n, 124 for a deadline, 130 for a
    cancelled run where no signal is known, 1 when the program itself marked its run as failed, 125 when it
    never ran.
    """
    if outcome.status is RunStatus.FINISHED:
        return 0
    if outcome.failure is FailureCode.DEADLINE:
        return EXIT_DEADLINE
    if outcome.failure is FailureCode.OOM_KILLED:
        return _SIGNAL_BASE + signal.SIGKILL
    if outcome.failure in (FailureCode.SIGNAL, FailureCode.CANCELLED):
        number = getattr(signal, outcome.signal or "", signal.SIGINT)
        return _SIGNAL_BASE + int(number)
    if outcome.exit_code == 0:  # the program ended well, but marked its run as failed
        return 1
    return outcome.exit_code or EXIT_CANNOT_RUN
