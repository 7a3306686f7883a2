"""Follow what runs elsewhere: threads bring its output and its end, requests to stop it go there."""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
import time
from typing import TYPE_CHECKING

import msgspec

from proj.process.demands import Demands
from proj.process.interrupts import deferred, waking
from proj.process.ladder import StopCause
from proj.process.outputs import Output, forward_to, listen, make_pipe

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from pathlib import Path


_SILENCE_S = 5.0
"""For how long output may fail to come, once all has ended, before the rest is given up."""
_NAMES = ("stdout", "stderr")


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """Why something was made to end."""

    cause: StopCause | None = None
    """None: it ended by itself."""
    asked_by: int | None = None
    """The signal that this process got, if that is why."""
    last_sent: int | None = None
    """The strongest signal that was sent."""
    output_cut: bool = False
    """Whether the end of its output never came."""


class Following:
    """Passes output on, stores it, and waits for an end. `wait` once; all else from any thread.

    Args:
        folder: Where `stdout.log` and `stderr.log` are; what they hold already is kept.
        grace_s: See `Ladder`.
        deadline: On the monotonic clock; None: it may take as long as it likes.
        quiet: Keep its output off our own streams.
        tap: See `Output`; for stdout.

    Raises:
        OSError: A log or a pipe cannot be opened; nothing stays open.
    """

    def __init__(
        self,
        folder: Path,
        *,
        grace_s: float,
        deadline: float | None = None,
        quiet: bool = False,
        tap: Callable[[bytes], None] | None = None,
    ) -> None:
        self._ended = False
        self._closed = False
        self._lock = threading.Lock()
        with contextlib.ExitStack() as undo:
            self._demands = Demands(self._send_aside, grace_s, deadline)
            undo.callback(self._demands.close)
            self._ladder = self._demands.ladder
            self._feeds: list[int] = []
            outputs: list[Output] = []
            for name in _NAMES:
                ours, theirs = make_pipe()
                undo.callback(os.close, theirs)
                with contextlib.ExitStack() as unused:
                    unused.callback(os.close, ours)
                    forward = None if quiet else forward_to(name)
                    log = folder / f"{name}.log"
                    output = Output(ours, log, forward, tap if name == "stdout" else None)
                    unused.pop_all()
                undo.callback(output.close)
                outputs.append(output)
                self._feeds.append(theirs)
            self.outputs = tuple(outputs)
            undo.pop_all()

    # --- for the threads that bring what happens ------------------------------------------------------

    def feed(self, number: int, data: bytes) -> None:
        """Take output; waits where it comes faster than it is passed on.

        Args:
            number: 1 for stdout, 2 for stderr.
            data: The bytes.
        """
        rest = memoryview(data)
        with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
            while rest:
                rest = rest[os.write(self._feeds[number - 1], rest) :]

    def end_output(self) -> None:
        """All output has come."""
        with self._lock:
            feeds, self._feeds = self._feeds, []
        for feed in feeds:
            os.close(feed)

    def end(self) -> None:
        """It has ended."""
        self._ended = True
        self._demands.wake()

    def cancel(self) -> None:
        """Ask it to end."""
        self._demands.cancel()

    # --- for who waits --------------------------------------------------------------------------------

    def wait(self, send: Callable[[signal.Signals], None]) -> Stopped:
        """Follow it to its end; INT, TERM and HUP of this process make it end.

        Args:
            send: Sends a signal to what runs; called in a thread, may take its time, must not raise.
        """
        self._send = send
        with (
            deferred() as self._demands.signals,
            selectors.DefaultSelector() as self._selector,
            waking(self._demands.wake_write),
        ):
            self._selector.register(self._demands.wake_read, selectors.EVENT_READ)
            try:
                while not self._ended:
                    self._demands.answer()
                    self._turn(self._demands.timer_s())
                self._drain()
            finally:
                self._close()
        return Stopped(
            cause=self._ladder.cause,
            asked_by=self._ladder.asked_by,
            last_sent=self._ladder.last_sent,
            output_cut=not all(output.ended for output in self.outputs),
        )

    def discard(self) -> None:
        """It never started: give everything up."""
        self.end_output()
        self._close()

    def _send_aside(self, signum: signal.Signals) -> None:
        threading.Thread(target=self._send, args=(signum,), name=f"proj-{signum.name}", daemon=True).start()

    def _turn(self, limit_s: float) -> bool:
        """Wait until something happens, and deal with it; returns whether output moved."""
        listen(self._selector, self.outputs)
        moved = False
        for key, _ in self._selector.select(limit_s):
            if key.data is None:
                self._demands.calm()
            elif key.data.blocked_fd is None:
                moved = key.data.pump() or moved
            else:
                key.data.push()
                moved = True
        return moved

    def _drain(self) -> None:
        """Take what is still on its way; a reader of ours that is slow is waited for until we are hurried."""
        quiet_since = time.monotonic()
        while not all(output.ended and output.blocked_fd is None for output in self.outputs):
            hurried = self._ladder.begun or self._demands.cancelled or self._demands.signals.waits
            blocked = any(output.blocked_fd is not None for output in self.outputs)
            if self._turn(_SILENCE_S / 10) or (blocked and not hurried):
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > _SILENCE_S:
                return

    def _close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._demands.close()
        for output in self.outputs:
            output.close()
