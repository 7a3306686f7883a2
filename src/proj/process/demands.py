"""What is asked of something that runs, by signals to us, by other threads, by the clock: to end."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING

from proj.process.interrupts import Pending
from proj.process.ladder import Ladder

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

_LONGEST_WAIT_S = 3600.0
"""A `select` takes no more than some weeks; those who wait longer wait again."""


class Demands:
    """Takes them from any thread, wakes up who waits for what runs, and climbs the ladder.

    Args:
        send: See `Ladder`.
        grace_s: See `Ladder`.
        deadline: On the monotonic clock; None: it may take as long as it likes.

    Raises:
        OSError: No descriptors are left.
    """

    def __init__(
        self, send: Callable[[signal.Signals], None], grace_s: float, deadline: float | None
    ) -> None:
        self.ladder = Ladder(send, grace_s)
        self.signals = Pending()
        """Those that have come to this process."""
        self.cancelled = False
        self._deadline = deadline
        self._closed = False
        self._lock = threading.Lock()
        self.wake_read, self.wake_write = os.pipe()
        """A pipe that is readable when who waits is to look here."""
        os.set_blocking(self.wake_read, False)
        os.set_blocking(self.wake_write, False)

    def cancel(self) -> None:
        """Ask it to end."""
        self.cancelled = True
        self.wake()

    def wake(self) -> None:
        """Wake up who waits."""
        with self._lock:
            if not self._closed:
                with contextlib.suppress(BlockingIOError):  # full of wake-ups: one is enough
                    os.write(self.wake_write, b"w")

    def calm(self) -> None:
        """Who waits is awake."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.wake_read, 4096)

    def answer(self) -> None:
        """Do what is due."""
        for signum in self.signals.take():
            self.ladder.on_signal(signum)
        if self.cancelled:
            self.ladder.stop("cancelled")
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self.ladder.stop("deadline")
        self.ladder.climb_if_due()

    def timer_s(self) -> float:
        """How long there is nothing to do by the clock."""
        times = [self.ladder.remaining_s()]
        if self._deadline is not None and not self.ladder.begun:
            times.append(max(0.0, self._deadline - time.monotonic()))
        return min([_LONGEST_WAIT_S, *(limit for limit in times if limit is not None)])

    def close(self) -> None:
        """Release the descriptors; whoever asks from now on is not heard."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self.wake_read)
                os.close(self.wake_write)
