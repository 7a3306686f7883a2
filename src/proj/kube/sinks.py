"""Where a run's output goes: into the record, to our own streams, to whoever reads metrics of it."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
from typing import TYPE_CHECKING

from proj import events
from proj.kube.earlier import Earlier
from proj.process.outputs import Forward

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_LOOK_MS = 250
_CHUNK_BYTES = 1 << 20


class Sink:
    """Takes one stream of a run; each byte is stored before it is passed on. Safe to use from many threads.

    Args:
        log: The file to write.
        name: `stdout` or `stderr`: the stream of ours that it is passed on to; None: to none.
        tap: Sees each chunk, and an empty one at the end, of what comes again each byte once; must not raise.
        again: Whether what the file holds comes again: it is replaced once something comes.
        resumed: Whether it comes again as far as the cluster still has it: what the file holds stays, and
            what is not in it is appended.

    Raises:
        OSError: The file cannot be written.
    """

    def __init__(
        self,
        log: Path,
        name: str | None,
        *,
        tap: Callable[[bytes], None] | None = None,
        again: bool = False,
        resumed: bool = False,
    ) -> None:
        self.log = log
        self.log_error: OSError | None = None
        """Why, from some byte on, the log lacks what was written."""
        self._descriptor = os.open(log, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        self._again = again
        self._earlier = Earlier(self._descriptor) if resumed else None
        self._tap = tap
        stream = getattr(sys, name) if name is not None else None
        self._forward = None if stream is None else Forward(stream)
        self._lock = threading.Lock()
        self._hurry = threading.Event()
        self._closed = False
        if resumed and tap is not None:
            self._show_earlier(log, tap)

    def write(self, data: bytes) -> None:
        """Store bytes and pass them on; waits for a reader of ours that is slow."""
        with self._lock:
            if self._closed:
                return
            new = self._new_part(data)
            self._store(new)
            if self._tap is not None and new:
                self._tap(new)
            self._pass_on(data)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Let whoever writes wait, for as long as the block lasts."""
        with self._lock:
            yield

    def hurry(self) -> None:
        """Wait no more for a reader of ours."""
        self._hurry.set()

    def close(self) -> None:
        """Give it up."""
        self._hurry.set()
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._tap is not None:
                self._tap(b"")
            os.close(self._descriptor)

    def _show_earlier(self, log: Path, tap: Callable[[bytes], None]) -> None:
        with log.open("rb") as file:
            while data := file.read(_CHUNK_BYTES):
                tap(data)

    def _new_part(self, data: bytes) -> bytes:
        """What of a chunk is not in the file yet."""
        if self._earlier is None:
            return data
        try:
            return self._earlier.new_part(data)
        except OSError as error:
            self.log_error = self.log_error or error
            return data

    def _store(self, data: bytes) -> None:
        if self.log_error is not None:
            return
        try:
            if self._again:
                os.ftruncate(self._descriptor, 0)
                self._again = False
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            self.log_error = error

    def _pass_on(self, data: bytes) -> None:
        if self._forward is None:
            return
        events.output()
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._forward.write(rest) :]
                if not rest or self._hurry.is_set():
                    return
                if self._forward.fd is not None:
                    poll = select.poll()
                    poll.register(self._forward.fd, select.POLLOUT)
                    poll.poll(_LOOK_MS)
        except (OSError, ValueError):  # our reader has gone, the run goes on
            self._forward = None


class Marked:
    """Marks each line with where it comes from, such as an init container.

    Args:
        sink: Where they go.
        mark: What is put before each line.
    """

    def __init__(self, sink: Sink, mark: str) -> None:
        self._sink = sink
        self._mark = mark.encode()
        self._held = b""

    def write(self, data: bytes) -> None:
        """Take bytes; lines go on as they are complete."""
        *lines, self._held = (self._held + data).split(b"\n")
        if lines:
            self._sink.write(b"".join(self._mark + line + b"\n" for line in lines))

    def end(self) -> None:
        """The stream has ended."""
        if self._held:
            self.write(b"\n")
