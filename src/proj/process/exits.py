"""Learn that a child has ended or stopped through a file descriptor, and reap it when its number may go."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import resource

_EXITED = b"\0"


class ExitWatch:
    """Becomes readable when a child has ended, or, if asked to, has been stopped.

    The child is not reaped until `reap`, so that its number and its group's stay taken (on systems without
    `waitid`, macOS before Python 3.13, it is reaped at once).

    Args:
        pid: A child of this process that nobody else waits for.
        stops: Whether to tell stops too. That takes a thread; a mere exit needs none where there are pidfds.
    """

    def __init__(self, pid: int, *, stops: bool = False) -> None:
        self._pid = pid
        self._reaped: tuple[int, resource.struct_rusage] | None = None
        self._thread: threading.Thread | None = None
        self._is_pidfd = False
        if not stops and hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):  # a kernel before 5.3, or a sandbox that refuses the call
                self._fd = os.pidfd_open(pid)
                self._is_pidfd = True
        if not self._is_pidfd:
            self._fd, self._write_fd = os.pipe()
            self._thread = threading.Thread(target=self._follow, name=f"wait-{pid}", daemon=True)
            self._thread.start()

    def fileno(self) -> int:
        """The descriptor to select on."""
        return self._fd

    def stop_signal(self) -> int | None:
        """After the descriptor became readable: the signal that stopped the child; None if it has ended."""
        if self._is_pidfd:
            return None
        told = os.read(self._fd, 1)
        return None if told in (_EXITED, b"") else told[0]

    def poll(self, limit_s: float) -> bool:
        """Wait until there is something to tell, at most `limit_s`; returns whether there is."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(limit_s * 1000))

    def reap(self) -> tuple[int, resource.struct_rusage]:
        """Wait for the child's end; returns its wait status and what it used."""
        if self._thread is not None:
            self._thread.join()
        if self._reaped is None:
            _pid, status, usage = os.wait4(self._pid, 0)
            self._reaped = status, usage
        return self._reaped

    def close(self) -> None:
        """Release the descriptors; the child must have been reaped."""
        os.close(self._fd)
        if not self._is_pidfd:
            os.close(self._write_fd)

    def _follow(self) -> None:
        while True:
            signum = self._next_stop_waitid() if hasattr(os, "waitid") else self._next_stop_wait4()
            os.write(self._write_fd, _EXITED if signum is None else bytes([signum]))
            if signum is None:
                return

    def _next_stop_waitid(self) -> int | None:
        while True:
            seen = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WSTOPPED | os.WNOWAIT)
            if seen is None or seen.si_code != os.CLD_STOPPED:
                return None
            # Between the two calls it may have gone on and been stopped anew: the stop that is taken counts.
            taken = os.waitid(os.P_PID, self._pid, os.WSTOPPED | os.WNOHANG)
            if taken is not None:
                return taken.si_status

    def _next_stop_wait4(self) -> int | None:
        _pid, status, usage = os.wait4(self._pid, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            return os.WSTOPSIG(status)
        self._reaped = status, usage
        return None
