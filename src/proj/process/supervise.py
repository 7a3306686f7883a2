"""Follow a command from its start to the end of all that it started."""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

import msgspec

from proj.process.exits import ExitWatch
from proj.process.group import Straggler, end_stragglers, group_members, marked_stragglers, signal_group
from proj.process.guard import release_group
from proj.process.interrupts import Pending, deferred, waking
from proj.process.ladder import Ladder, StopCause

if TYPE_CHECKING:
    import subprocess  # noqa: TID251  this package is the one that may
    from collections.abc import Callable, Sequence

    from proj.process.outputs import Output
    from proj.process.terminal import Terminal

_DRAIN_S = 1.0
"""How long output is awaited from processes that hold a stream open after the command has ended."""
_SETTLE_S = 0.2
"""How long processes that the command left in its group may take to end by themselves."""
_SWEEP_CHUNKS = 64
_LONGEST_WAIT_S = 3600.0
"""A `select` takes no more than some weeks; those who wait longer wait again."""


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a command ended, as the kernel tells it."""

    returncode: int
    """Exit code; negative for the number of the signal that ended it."""
    ended_ms: int
    peak_memory_bytes: int | None
    """Largest process of the run; None when it stayed below what the kernel can tell apart from ours."""
    stop_cause: StopCause | None = None
    """Why it was made to end; None if it ended by itself."""
    asked_by: int | None = None
    """The signal that this process got, if that is why."""
    last_sent: int | None = None
    """The strongest signal that the command was sent."""
    stragglers: tuple[Straggler, ...] = ()
    """Processes that were left over and had to be ended."""
    output_held: bool = False
    """Whether somebody outside of the group still holds the output open; what they write is not kept."""


class Supervision:
    """A started command that is looked after. `wait` once, from any thread; `cancel` from any other.

    Should we fail at it, here or in `wait`, the command and all that it started are killed.

    Args:
        process: From `spawn`; nobody else may wait for it.
        outputs: Its streams.
        token: The one it was given at `spawn`, by which processes that left its group are found.
        grace_s: See `Ladder`.
        deadline: On the monotonic clock; None: it may take as long as it likes.
        terminal: The terminal that it may read from; then `wait` belongs in the main thread.

    Raises:
        OSError: No descriptors are left to look after it with; the outputs stay open.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        outputs: Sequence[Output],
        *,
        token: str,
        grace_s: float,
        deadline: float | None = None,
        terminal: Terminal | None = None,
    ) -> None:
        self._terminal = terminal
        self._process = process
        self._outputs = outputs
        self._token = token
        self._grace_s = grace_s
        self._deadline = deadline
        self._ladder = Ladder(self._send, grace_s)
        self._cancelled = False
        self._lock = threading.Lock()
        # Linux counts our own memory as the child's, up to its `exec`.
        self._own_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self._signals = Pending()
        self._exited = False
        self._closed = False
        self._failure: BaseException | None = None
        with contextlib.ExitStack() as undo:
            undo.callback(self._kill, process.wait)
            self._wake_read, self._wake_write = os.pipe()
            undo.callback(os.close, self._wake_read)
            undo.callback(os.close, self._wake_write)
            os.set_blocking(self._wake_read, False)
            os.set_blocking(self._wake_write, False)
            self._selector = undo.enter_context(selectors.DefaultSelector())
            self._watch = ExitWatch(process.pid, stops=terminal is not None)
            undo.pop_all()

    def cancel(self) -> None:
        """Ask the command to end."""
        self._cancelled = True
        with self._lock:
            if not self._closed:
                with contextlib.suppress(BlockingIOError):  # full of wake-ups: one is enough
                    os.write(self._wake_write, b"c")

    def wait(self) -> Ending:
        """Follow the command to its end; INT, TERM and HUP of this process make it end.

        Raises:
            BaseException: Any error of ours; each later call raises it again.
        """
        if self._failure is not None:
            raise self._failure
        terminal = self._terminal
        attached = terminal.attached(self._process.pid) if terminal else contextlib.nullcontext()
        with deferred() as self._signals:
            try:
                with waking(self._wake_write), attached:
                    return self._follow()
            except BaseException as error:
                self._failure = error
                self._kill(self._reap)
                raise
            finally:
                self._close()

    def _send(self, signum: signal.Signals) -> None:
        signal_group(self._process.pid, signum)
        signal_group(self._process.pid, signal.SIGCONT)  # a stopped process takes neither INT nor TERM

    def _follow(self) -> Ending:
        self._selector.register(self._watch, selectors.EVENT_READ)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        while not self._exited:
            self._answer_requests()  # one may be older than our wake-up
            self._turn(self._until_next_timer())
        ended_ms = time.time_ns() // 1_000_000
        return self._finish(ended_ms)

    # --- while it runs --------------------------------------------------------------------------------

    def _turn(self, limit_s: float | None) -> None:
        """Wait until something happens, and deal with it."""
        self._subscribe()
        for key, _events in self._selector.select(limit_s):
            if key.fileobj is self._watch:
                self._on_child_change()
            elif key.fileobj == self._wake_read:
                os.read(self._wake_read, 4096)
            else:
                output: Output = key.data
                if output.blocked_fd is None:
                    output.pump()
                else:
                    output.push()

    def _on_child_change(self) -> None:
        stop_signal = self._watch.stop_signal()
        if stop_signal is None:
            self._exited = True
            self._selector.unregister(self._watch)
        elif self._terminal is not None and not self._ladder.begun:
            self._terminal.on_stop(stop_signal)

    def _subscribe(self) -> None:
        """Listen to each output's source, or to its reader on our side if that has to catch up first."""
        registered = {id(key.data): key for key in self._selector.get_map().values() if key.data is not None}
        for output in self._outputs:
            blocked = output.blocked_fd
            wanted = (
                None if output.ended and blocked is None else (output.source if blocked is None else blocked)
            )
            key = registered.get(id(output))
            if key is not None and key.fd == wanted:
                continue
            if key is not None:
                self._selector.unregister(key.fileobj)
            if wanted is not None:
                events = selectors.EVENT_READ if blocked is None else selectors.EVENT_WRITE
                self._selector.register(wanted, events, output)

    def _until_next_timer(self) -> float:
        times = [self._ladder.remaining_s(), self._terminal.poll_s if self._terminal else None]
        if self._deadline is not None and not self._ladder.begun:
            times.append(max(0.0, self._deadline - time.monotonic()))
        return min([_LONGEST_WAIT_S, *(limit for limit in times if limit is not None)])

    def _answer_requests(self) -> None:
        for signum in self._signals.take():
            self._ladder.on_signal(signum)
        if self._cancelled:
            self._ladder.stop("cancelled")
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self._ladder.stop("deadline")
        self._ladder.climb_if_due()
        if self._terminal is not None:
            self._terminal.on_wake()

    # --- after its end --------------------------------------------------------------------------------

    def _finish(self, ended_ms: int) -> Ending:
        stopped = self._ladder.begun
        settle_s = _SETTLE_S if stopped else min(_SETTLE_S, self._drain())
        returncode, usage = self._reap()
        if self._terminal is not None and self._terminal.interrupted(returncode):
            self._ladder.note_signal(signal.SIGINT)
        stragglers = self._end_stragglers(settle_s)
        if stopped:
            self._drain()
        self._sweep()
        return Ending(
            returncode=returncode,
            ended_ms=ended_ms,
            peak_memory_bytes=self._peak_memory(usage.ru_maxrss),
            stop_cause=self._ladder.cause,
            asked_by=self._ladder.asked_by,
            last_sent=self._ladder.last_sent,
            stragglers=stragglers,
            output_held=not all(output.ended for output in self._outputs),
        )

    def _reap(self) -> tuple[int, resource.struct_rusage]:
        """Take the command's exit code; from here on its number and its group's may be somebody else's."""
        release_group(self._process.pid)
        status, usage = self._watch.reap()
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return self._process.returncode, usage

    def _kill(self, reap: Callable[[], object]) -> None:
        """We failed: end the command and all that it started, at once."""
        group = self._process.pid
        if self._process.returncode is None:
            signal_group(group, signal.SIGKILL)
            reap()
            release_group(group)
        for find in (lambda: group_members(group), lambda: marked_stragglers(self._token)):
            with contextlib.suppress(OSError):  # no descriptor is left to look for them with
                end_stragglers(find, settle_s=0, grace_s=0)

    def _peak_memory(self, ru_maxrss: int) -> int | None:
        if ru_maxrss <= self._own_peak:
            return None
        return ru_maxrss if sys.platform == "darwin" else ru_maxrss * 1024

    def _drain(self) -> float:
        """Read what is left; returns what is left of the time allowed for it.

        As long as our own reader makes us wait the clock stands still, unless the command is being stopped.
        """
        budget_s = _DRAIN_S
        while budget_s > 0 and not all(o.ended and o.blocked_fd is None for o in self._outputs):
            began = time.monotonic()
            blocked = any(output.blocked_fd is not None for output in self._outputs)
            self._turn(None if blocked and not self._hurry() else budget_s)
            if not blocked or self._hurry():
                budget_s -= time.monotonic() - began
        for output in self._outputs:
            if output.blocked_fd is not None:
                output.stop_forwarding()
        return max(0.0, budget_s)

    def _hurry(self) -> bool:
        """Whether somebody wants this to be over."""
        return self._ladder.begun or self._impatient()

    def _impatient(self) -> bool:
        """Whether a signal or a cancellation came after the command's own end."""
        if self._signals.take():
            self._cancelled = True
        return self._cancelled and not self._ladder.begun

    def _end_stragglers(self, settle_s: float) -> tuple[Straggler, ...]:
        """End what is left in the group; if the command was stopped, also what has left the group."""
        group = self._process.pid
        seekers = [lambda: group_members(group)]
        if self._ladder.begun:
            seekers.append(lambda: marked_stragglers(self._token))
        found: tuple[Straggler, ...] = ()
        for find in seekers:
            found += end_stragglers(
                find,
                settle_s=settle_s,
                grace_s=self._grace_s,
                hurry=lambda: bool(self._signals.take()) or self._impatient(),
                pause=self._turn,
            )
            settle_s = 0
        return found

    def _sweep(self) -> None:
        """Take what the stragglers wrote while they ended, without waiting for more."""
        for output in self._outputs:
            for _ in range(_SWEEP_CHUNKS):
                if output.ended or not output.pump():
                    break

    def _close(self) -> None:
        with self._lock:
            self._closed = True
            self._selector.close()
            os.close(self._wake_read)
            os.close(self._wake_write)
        self._watch.close()
        for output in self._outputs:
            output.close()


def signal_name(signum: int) -> str:
    """`SIGTERM` for 15; real-time signals get their number."""
    try:
        return signal.Signals(signum).name
    except ValueError:
        return f"signal {signum}"
