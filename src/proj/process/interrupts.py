"""INT, TERM and HUP as an exception that unwinds, and as something that can be held back for a moment."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that ask a process to end."""

_AGAIN_S = 0.01


class Interrupted(BaseException):
    """This process was asked to end by a signal.

    No `Exception`, as `KeyboardInterrupt` is none: code that survives errors must not survive this.

    Args:
        signum: The signal that arrived.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum

    def __str__(self) -> str:
        return signal.Signals(self.signum).name


class Pending:
    """The signals that `deferred` holds back."""

    @property
    def waits(self) -> bool:
        """Whether one has arrived that was not taken; from any thread."""
        return bool(_state.pending)

    def take(self) -> tuple[int, ...]:
        """Return those that arrived since the last call, oldest first; they are not raised any more."""
        taken = tuple(_state.pending)
        del _state.pending[: len(taken)]
        return taken


class _State:
    """What the one handler needs; the main thread alone changes it."""

    def __init__(self) -> None:
        self.installed: dict[int, signal.Handlers | object] = {}
        self.deferred = 0
        self.pending: list[int] = []
        self.former_hook = sys.unraisablehook


_state = _State()
_PENDING = Pending()


def _on_signal(signum: int, _frame: FrameType | None) -> None:
    if _state.deferred:
        _state.pending.append(signum)
    else:
        _state.pending.clear()
        raise Interrupted(signum)


def _install() -> None:
    for signum in STOP_SIGNALS:
        previous = signal.getsignal(signum)
        # Ignored stays ignored (nohup; a shell's background jobs); None is a handler that is not Python's.
        if previous is not signal.SIG_IGN and previous is not None:
            _state.installed[signum] = previous
            signal.signal(signum, _on_signal)
    _state.former_hook, sys.unraisablehook = sys.unraisablehook, _send_again


def _restore() -> None:
    for signum, previous in _state.installed.items():
        signal.signal(signum, previous)  # type: ignore[arg-type]  # what getsignal returned
    _state.installed.clear()
    sys.unraisablehook = _state.former_hook


def _send_again(dropped: sys.UnraisableHookArgs) -> None:
    """Send a signal again whose exception Python dropped, as it does in finalizers and callbacks."""
    if not isinstance(dropped.exc_value, Interrupted):
        _state.former_hook(dropped)
        return
    again = threading.Timer(_AGAIN_S, os.kill, (os.getpid(), dropped.exc_value.signum))
    again.daemon = True
    again.start()


def _in_charge() -> bool:
    """Whether this call may install handlers: in the main thread, and nobody further out has."""
    return threading.current_thread() is threading.main_thread() and not _state.installed


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Interrupted` in the main thread for each INT, TERM or HUP that arrives inside.

    A signal that was ignored stays ignored. Outside of the main thread, and inside of another
    `interruptible`, this does nothing. The former handlers are back afterwards.
    """
    if not _in_charge():
        yield
        return
    try:
        with _held():
            _install()
        _redeliver()
        yield
    finally:
        with _held():
            _restore()
        _redeliver()


@contextlib.contextmanager
def deferred() -> Iterator[Pending]:
    """Hold back INT, TERM and HUP; the first that arrived is raised at the end, unless it was taken.

    Outside of `interruptible` they go to whichever handlers were there before. Outside of the main thread
    this does nothing, since signals are only ever raised in the main thread.

    Yields:
        What has arrived. Nested blocks share it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield Pending()
        return
    ours = _in_charge()
    try:
        with _held():
            if ours:
                _install()
            try:
                yield _PENDING
            finally:
                if ours:
                    _restore()
    finally:
        if not _state.deferred:
            _redeliver()


@contextlib.contextmanager
def _held() -> Iterator[None]:
    _state.deferred += 1
    try:
        yield
    finally:
        _state.deferred -= 1


def _redeliver() -> None:
    """Hand the first signal that was held back to the handler that is there now."""
    if _state.pending:
        first = _state.pending[0]
        _state.pending.clear()
        signal.raise_signal(first)


@contextlib.contextmanager
def waking(write_fd: int) -> Iterator[None]:
    """Have each signal write a byte to `write_fd`, so that a `select` on its other end never misses one.

    A handler alone leaves a gap: a signal between the check and the wait would be seen only after the wait.
    Outside of the main thread this does nothing.

    Args:
        write_fd: A non-blocking file descriptor.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous)
