"""A person at a terminal, for tests: starts a program on a terminal of its own, types, reads the screen."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import sys
import termios
import time
from typing import TYPE_CHECKING

from proj import process

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LIMIT_S = 110.0
"""How long the screen is awaited; only a failing test takes that long."""
_TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Person:
    """Sits at a terminal where `argv` runs as the leader of the session, as a login shell does."""

    def __init__(self, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], columns: int = 100) -> None:
        self._fd, theirs = os.openpty()
        self.resize(columns)
        self.program = process.spawn(
            [sys.executable, "-S", "-c", _TAKE_TERMINAL, *argv],
            cwd=cwd,
            env={**os.environ, "TERM": "xterm", **env},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            new_session=True,
        )
        os.close(theirs)
        self.screen = b""
        self._seen = 0

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

    def sees(self, text: str) -> None:
        """Wait until the text appears behind what was seen last."""
        wanted = text.encode()
        end = time.monotonic() + LIMIT_S
        while (found := self.screen.find(wanted, self._seen)) < 0:
            left_s = end - time.monotonic()
            if left_s <= 0 or not self._read(left_s):
                msg = f"{text!r} does not appear on the screen: {self.screen[self._seen :]!r}"
                raise AssertionError(msg)
        self._seen = found + len(wanted)

    def sees_each(self, *texts: str) -> None:
        """Wait until all of them have appeared behind what was seen last, in whatever order."""
        begin, end = self._seen, self._seen
        for text in texts:
            self._seen = begin
            self.sees(text)
            end = max(end, self._seen)
        self._seen = end

    def leaves(self) -> int:
        """Wait until the program has ended and return its exit code."""
        while self._read(LIMIT_S):
            pass
        return self.program.wait(LIMIT_S)

    def hang_up(self) -> None:
        """Close the terminal's window."""
        os.close(self._fd)
        self._fd = -1

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.program.pid, signal.SIGKILL)
        self.program.wait()
        if self._fd >= 0:
            os.close(self._fd)

    def _read(self, limit_s: float) -> bool:
        if not select.select([self._fd], [], [], limit_s)[0]:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # EIO: nobody is there any more
            data = b""
        self.screen += data
        return bool(data)
