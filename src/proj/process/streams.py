"""What a command gets as standard input, output and error: terminals where ours are, pipes elsewhere."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

from proj.process.outputs import Output, forward_to, make_pipe
from proj.process.spawn import DEVNULL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from proj.process.terminal import Terminal


class Streams:
    """The ends of a command's standard streams, and the readers of ours, all open before it starts.

    Args:
        folder: Where `stdout.log` and `stderr.log` are.
        quiet: Keep its output off our own streams.
        tap: See `Output`; for stdout.

    Raises:
        OSError: A log, a pipe or a terminal cannot be opened; nothing stays open.
    """

    def __init__(self, folder: Path, *, quiet: bool, tap: Callable[[bytes], None] | None = None) -> None:
        self.stdin: int | None = None
        self.terminal: Terminal | None = None
        self._theirs = contextlib.ExitStack()
        self._ours = contextlib.ExitStack()
        self._pairs: list[tuple[int, int]] = []
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            self.stdout, stdout = self._open(folder / "stdout.log", quiet=quiet, tap=tap)
            self.stderr, stderr = self._open(folder / "stderr.log", quiet=quiet)
            self.outputs: tuple[Output, Output] = stdout, stderr
            if any(os.isatty(fd) for fd in (0, 1, 2)):
                self._attach_terminal(self._pairs)
            undo.pop_all()

    def started(self) -> None:
        """The command has started: give up its ends; whoever has the readers closes ours."""
        self._theirs.close()

    def close(self) -> None:
        """The command has not started, or was ended: give everything up."""
        self._theirs.close()
        self._ours.close()

    def _open(
        self, log: Path, *, quiet: bool, tap: Callable[[bytes], None] | None = None
    ) -> tuple[int, Output]:
        """Open a stream: the command's end, and the reader of ours."""
        forward = None if quiet else forward_to(log.stem)
        if forward is not None and forward.is_terminal and forward.fd is not None:
            from proj.process.terminal import make_terminal

            ours, theirs = make_terminal(forward.fd)
            self._pairs.append((ours, forward.fd))
        else:
            ours, theirs = make_pipe()
        self._theirs.callback(os.close, theirs)
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, ours)
            output = Output(ours, log, forward, tap)
            undo.pop_all()
        self._ours.callback(output.close)
        return theirs, output

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
