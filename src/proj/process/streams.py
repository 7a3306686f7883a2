"""What a command gets as standard input, output and error: terminals where ours are, pipes elsewhere."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

from proj.process.outputs import Forward, Output, make_pipe
from proj.process.spawn import DEVNULL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from proj.process.terminal import Terminal


class Streams:
    """The ends of a command's standard streams. Either `outputs` or `close` follows.

    Args:
        quiet: Keep its output off our own streams.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._forwards = [None if quiet else _forward(name) for name in ("stdout", "stderr")]
        self._ours: list[int] = []
        self._theirs: list[int] = []
        pairs: list[tuple[int, int]] = []
        for forward in self._forwards:
            if forward is not None and forward.is_terminal and forward.fd is not None:
                from proj.process.terminal import make_terminal

                ours, theirs = make_terminal(forward.fd)
                pairs.append((ours, forward.fd))
            else:
                ours, theirs = make_pipe()
            self._ours.append(ours)
            self._theirs.append(theirs)
        self.stdout, self.stderr = self._theirs
        self.stdin: int | None = None
        self.terminal: Terminal | None = None
        if any(os.isatty(fd) for fd in (0, 1, 2)):
            self._attach_terminal(pairs)

    def outputs(self, folder: Path, tap: Callable[[bytes], None] | None) -> tuple[Output, Output]:
        """The command has started: give up its ends, and return the readers of ours.

        Args:
            folder: Where `stdout.log` and `stderr.log` are.
            tap: See `Output`; for stdout.
        """
        self._close_theirs()
        stdout, stderr = self._ours
        return (
            Output(stdout, folder / "stdout.log", self._forwards[0], tap),
            Output(stderr, folder / "stderr.log", self._forwards[1]),
        )

    def close(self) -> None:
        """The command has not started: give everything up."""
        self._close_theirs()
        for fd in self._ours:
            os.close(fd)

    def _close_theirs(self) -> None:
        for fd in self._theirs:
            os.close(fd)

    def _attach_terminal(self, pairs: list[tuple[int, int]]) -> None:
        from proj.process.terminal import Terminal, controlling_terminal

        fd = controlling_terminal()
        if fd is None:
            return
        if threading.current_thread() is threading.main_thread():
            self.terminal = Terminal(fd, pairs)
        elif os.isatty(0):
            # Several runs at once cannot share a keyboard, and one that read it would be stopped for ever.
            self.stdin = DEVNULL


def _forward(name: str) -> Forward | None:
    stream = getattr(sys, name)
    return None if stream is None else Forward(stream)
