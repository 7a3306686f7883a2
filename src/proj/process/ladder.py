"""How what runs is made to end: INT, then TERM, then KILL, with time between."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

_RUNGS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)

StopCause = Literal["cancelled", "deadline"]


class Ladder:
    """Climbs from one signal to the next as time passes, or at once when asked again.

    Args:
        send: Sends a signal to all that is to end.
        grace_s: How long it may take after INT, and again after TERM.
    """

    def __init__(self, send: Callable[[signal.Signals], None], grace_s: float) -> None:
        self._send = send
        self._grace_s = grace_s
        self._rung = -1
        self._due: float | None = None
        self.cause: StopCause | None = None
        self.asked_by: int | None = None
        """The signal that this process got first; None if the stop was asked for in another way."""

    @property
    def last_sent(self) -> signal.Signals | None:
        """The strongest signal sent so far."""
        return _RUNGS[self._rung] if self._rung >= 0 else None

    @property
    def begun(self) -> bool:
        """Whether a stop has been asked for."""
        return self.cause is not None

    def stop(self, cause: StopCause) -> None:
        """Begin, unless that was done already."""
        if not self.begun:
            self.cause = cause
            self._climb()

    def on_signal(self, signum: int) -> None:
        """This process was asked to end: begin (TERM and HUP skip INT), or go one step further."""
        if not self.begun:
            self.note_signal(signum)
            if signum != signal.SIGINT:
                self._rung = 0
        self._climb()

    def note_signal(self, signum: int) -> None:
        """A signal that the group got without us is why it ended."""
        if not self.begun:
            self.cause = "cancelled"
            self.asked_by = signum

    def remaining_s(self) -> float | None:
        """Time until the next step; None when there is none."""
        return None if self._due is None else max(0.0, self._due - time.monotonic())

    def climb_if_due(self) -> None:
        """Take the next step if its time has come."""
        if self._due is not None and time.monotonic() >= self._due:
            self._climb()

    def _climb(self) -> None:
        self._rung = min(self._rung + 1, len(_RUNGS) - 1)
        self._send(_RUNGS[self._rung])
        last = self._rung == len(_RUNGS) - 1
        self._due = None if last else time.monotonic() + self._grace_s
