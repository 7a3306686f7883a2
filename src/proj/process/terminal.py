"""A command at a terminal: it sees terminals, it can read the keyboard, Ctrl-Z stops it along with us.

Its output goes through pseudo-terminals of ours, one for each stream, so that it can be stored and still
looks as it would without us. Its input is the real terminal. A group in the background that reads it is
stopped by the kernel (SIGTTIN); like a shell, we then put it in the foreground and let it go on. From then
on Ctrl-C and Ctrl-Z reach the command alone, and we see what became of it.

Imported only where there is a terminal.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import termios
from pathlib import Path
from typing import TYPE_CHECKING

from proj.process.group import signal_group

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

_SIZE_POLL_S = 0.5
_SHELL_INTERRUPTED = 130
_OUTPUT_FLAGS = 1
_LOCAL_FLAGS = 3
_SIZE_BYTES = 8


def make_terminal(like_fd: int) -> tuple[int, int]:
    """Return the ends (ours, the command's) of a new pseudo-terminal of the size of another terminal.

    It changes nothing of what is written: the real terminal turns line feeds into new lines, once.
    """
    ours, theirs = os.openpty()
    attributes = termios.tcgetattr(theirs)
    attributes[_OUTPUT_FLAGS] &= ~termios.OPOST
    attributes[_LOCAL_FLAGS] &= ~termios.ECHO
    termios.tcsetattr(theirs, termios.TCSANOW, attributes)
    _copy_size(like_fd, ours)
    return ours, theirs


def _size(fd: int) -> bytes:
    with contextlib.suppress(OSError):
        return fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(_SIZE_BYTES))
    return b""


def _copy_size(from_fd: int, to_fd: int) -> bool:
    """Returns whether the size differed."""
    size = _size(from_fd)
    if not size or size == _size(to_fd):
        return False
    with contextlib.suppress(OSError):
        fcntl.ioctl(to_fd, termios.TIOCSWINSZ, size)
    return True


def _pending(pid: int, signum: signal.Signals) -> bool:
    """Whether a signal waits for a process; False where the system does not tell."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_bytes().splitlines():
            if line.startswith(b"ShdPnd:"):  # what was sent to it as a whole: a mask, proc(5)
                return bool(int(line.split()[1], 16) >> (signum - 1) & 1)
    return False


def controlling_terminal() -> int | None:
    """The standard stream that is our controlling terminal; None where none is."""
    for fd in (0, 2, 1):
        with contextlib.suppress(OSError):
            if os.isatty(fd) and os.tcgetpgrp(fd) > 0:
                return fd
    return None


class Terminal:
    """Job control for one command. Made and used in the main thread, where signals arrive.

    Args:
        fd: Our controlling terminal.
        pairs: For each pseudo-terminal of the command: ours, and the real one whose size it has.
    """

    def __init__(self, fd: int, pairs: Sequence[tuple[int, int]] = ()) -> None:
        self._fd = fd
        self._pairs = pairs
        self._group = 0
        self._attributes = termios.tcgetattr(fd)
        self._lent = False
        self._suspend_asked = False
        self._resized = False
        self._continued = False

    @property
    def poll_s(self) -> float | None:
        """How often to look for a new size: the kernel tells only the group in the foreground of one."""
        return _SIZE_POLL_S if self._lent and self._pairs else None

    @contextlib.contextmanager
    def attached(self, group: int) -> Iterator[None]:
        """Look after the terminal while the group runs; afterwards all is as before."""
        self._group = group
        watched = {signal.SIGTSTP: self._on_suspend, signal.SIGCONT: self._on_continue}
        watched[signal.SIGWINCH] = self._on_resize
        previous = {
            signum: signal.signal(signum, handler)
            for signum, handler in watched.items()
            if signal.getsignal(signum) in (signal.SIG_DFL, None)
        }
        # In the background we may still write, and take the terminal back.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        try:
            yield
        finally:
            self._take_back()
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            for signum, handler in previous.items():
                signal.signal(signum, handler)

    def on_wake(self) -> None:
        """Answer the signals that arrived."""
        if self._suspend_asked:
            self._suspend_asked = False
            self._suspend_both()
        if self._resized or self._lent:
            self._resized = False
            if any([_copy_size(real, ours) for ours, real in self._pairs]):  # noqa: C419  all of them
                signal_group(self._group, signal.SIGWINCH)

    def on_stop(self, signum: int) -> None:
        """The command was stopped: lend it the terminal if that is why, stop too if the user asked for it."""
        if signum in (signal.SIGTTIN, signal.SIGTTOU):
            self._lend()
        elif signum == signal.SIGTSTP and self._lent:
            self._take_back()
            self._stop_own_group(signal.SIGTSTP)
            self._lend()

    def interrupted(self, returncode: int) -> bool:
        """Whether this end means that the user pressed Ctrl-C while the command had the terminal."""
        return self._lent and returncode in (-signal.SIGINT, _SHELL_INTERRUPTED)

    def _lend(self) -> None:
        while not self._in_foreground():
            if not self._stop_own_group(signal.SIGTTIN):
                # Nobody could ever bring us to the foreground. What the kernel does to such a group:
                signal_group(self._group, signal.SIGHUP)
                signal_group(self._group, signal.SIGCONT)
                return
        with contextlib.suppress(OSError):
            os.tcsetpgrp(self._fd, self._group)
            self._lent = True
        if self._lent and _pending(self._group, signal.SIGTSTP):
            # Ctrl-Z reached the command while it was still stopped; letting it go on would drop that.
            self._take_back()
            self._stop_own_group(signal.SIGTSTP)
        signal_group(self._group, signal.SIGCONT)

    def _take_back(self) -> None:
        if self._lent:
            with contextlib.suppress(OSError, termios.error):
                if os.tcgetpgrp(self._fd) == self._group:
                    os.tcsetpgrp(self._fd, os.getpgrp())
                    termios.tcsetattr(self._fd, termios.TCSADRAIN, self._attributes)
            self._lent = False

    def _in_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._fd) in (os.getpgrp(), self._group)
        except OSError:
            return True

    def _stop_own_group(self, signum: signal.Signals) -> bool:
        """Stop as a shell's job does; returns once continued, False if the kernel did not stop us."""
        self._continued = False
        handler = signal.signal(signum, signal.SIG_DFL)
        os.killpg(os.getpgrp(), signum)
        signal.signal(signum, handler)
        return self._continued

    def _suspend_both(self) -> None:
        """Ctrl-Z reached us: our group has been told already, the command's has not.

        If the command needs the terminal after that it is stopped anew, and gets it then; lending it at once
        would make its stop here look like a Ctrl-Z of its own.
        """
        self._take_back()
        signal_group(self._group, signal.SIGTSTP)
        handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, handler)
        signal_group(self._group, signal.SIGCONT)

    def _on_suspend(self, _signum: int, _frame: FrameType | None) -> None:
        self._suspend_asked = True

    def _on_continue(self, _signum: int, _frame: FrameType | None) -> None:
        self._continued = True

    def _on_resize(self, _signum: int, _frame: FrameType | None) -> None:
        self._resized = True
