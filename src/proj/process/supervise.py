"""Follow a command from its start to the end of all that it started."""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import signal
import sys
import time
from typing import TYPE_CHECKING

import msgspec

from proj.process.demands import Demands
from proj.process.exits import ExitWatch
from proj.process.group import Straggler, end_stragglers, group_members, marked_stragglers, signal_group
from proj.process.guard import release_group
from proj.process.interrupts import deferred, waking
from proj.process.ladder import StopCause
from proj.process.outputs import listen

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
        # Linux counts our own memory as the child's, up to its `exec`.
        self._own_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self._exited = False
        self._failure: BaseException | None = None
        with contextlib.ExitStack() as undo:
            undo.callback(self._kill, process.wait)
            self._demands = Demands(self._send, grace_s, deadline)
            undo.callback(self._demands.close)
            self._ladder = self._demands.ladder
            self._selector = undo.enter_context(selectors.DefaultSelector())
            self._watch = ExitWatch(process.pid, stops=terminal is not None)
            undo.pop_all()

    def cancel(self) -> None:
        """Ask the command to end."""
        self._demands.cancel()

    def wait(self) -> Ending:
        """Follow the command to its end; INT, TERM and HUP of this process make it end.

        Raises:
            BaseException: Any error of ours; each later call raises it again.
        """
        if self._failure is not None:
            raise self._failure
        terminal = self._terminal
        attached = terminal.attached(self._process.pid) if terminal else contextlib.nullcontext()
        with deferred() as self._demands.signals:
            try:
                with waking(self._demands.wake_write), attached:
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
        self._selector.register(self._demands.wake_read, selectors.EVENT_READ)
        while not self._exited:
            self._answer_requests()  # one may be older than our wake-up
            self._turn(self._until_next_timer())
        ended_ms = time.time_ns() // 1_000_000
        return self._finish(ended_ms)

    # --- while it runs --------------------------------------------------------------------------------

    def _turn(self, limit_s: float | None) -> None:
        """Wait until something happens, and deal with it."""
        listen(self._selector, self._outputs)
        for key, _events in self._selector.select(limit_s):
            if key.fileobj is self._watch:
                self._on_child_change()
            elif key.fileobj == self._demands.wake_read:
                self._demands.calm()
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

    def _until_next_timer(self) -> float:
        limit_s = self._demands.timer_s()
        poll_s = self._terminal.poll_s if self._terminal else None
        return limit_s if poll_s is None else min(limit_s, poll_s)

    def _answer_requests(self) -> None:
        self._demands.answer()
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
        if self._demands.signals.take():
            self._demands.cancelled = True
        return self._demands.cancelled and not self._ladder.begun

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
                hurry=lambda: bool(self._demands.signals.take()) or self._impatient(),
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
        self._selector.close()
        self._demands.close()
        self._watch.close()
        for output in self._outputs:
            output.close()


def signal_name(signum: int) -> str:
    """`SIGTERM` for 15; real-time signals get their number."""
    try:
        return signal.Signals(signum).name
    except ValueError:
        return f"signal {signum}"
