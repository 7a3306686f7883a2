"""One stream of a child: read, stored in a log, passed on to a stream of ours, with flat memory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import selectors
import stat
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

_CHUNK_BYTES = 256 * 1024


def make_pipe() -> tuple[int, int]:
    """Return a pipe's ends, large enough that the writer seldom waits for us."""
    read_fd, write_fd = os.pipe()
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):  # the user's share of pipe memory is used up: a small one will do
            fcntl.fcntl(write_fd, fcntl.F_SETPIPE_SZ, _CHUNK_BYTES)
    return read_fd, write_fd


class Forward:
    """One of our own standard streams, written to without ever waiting for its reader.

    Args:
        stream: `sys.stdout` or `sys.stderr`, as they are now. One without a file below, such as a test
            runner's buffer or a notebook's cell, is written to as text.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._decode: Callable[[bytes], str] | None = None
        self.fd: int | None = None
        self.is_terminal = False
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
        try:
            self.fd = stream.fileno()
            mode = os.fstat(self.fd).st_mode
        except (OSError, ValueError, AttributeError):
            self.fd = None
            self._waits = False
        else:
            self.is_terminal = os.isatty(self.fd)
            self._waits = self.is_terminal or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
            self._poll = select.poll()
            self._poll.register(self.fd, select.POLLOUT)

    def write(self, data: memoryview) -> int:
        """Write what can be written now; returns how many bytes that was.

        Raises:
            OSError: The stream takes nothing any more.
        """
        if self.fd is None:
            self._write_text(bytes(data))
            return len(data)
        written = 0
        while written < len(data):
            piece = data[written:]
            if self._waits:
                piece = piece[: self._room()]
            try:
                count = os.write(self.fd, piece) if len(piece) else 0
            except BlockingIOError:  # somebody made the shared descriptor non-blocking
                self._waits = True
                break
            if not count:
                break
            written += count
        return written

    def _room(self) -> int:
        """What the stream takes without waiting: a pipe that is ready takes PIPE_BUF bytes (POSIX)."""
        return select.PIPE_BUF if self._poll.poll(0) else 0

    def _write_text(self, data: bytes) -> None:
        if self._decode is None:
            import codecs

            self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._stream.write(self._decode(data))
        self._stream.flush()


def forward_to(name: str) -> Forward | None:
    """Our own stream of that name, as it is now; None where we have none."""
    stream = getattr(sys, name)
    return None if stream is None else Forward(stream)


class Output:
    """Takes what a child writes to one stream.

    Each byte is stored before it is passed on. A reader of ours that is slow makes the child wait; one that
    has gone (`| head`), or a disk that is full, ends that half only.

    Args:
        source: The reading end; closed at the end of the stream.
        log: The file to append to.
        forward: Our own stream, or None.
        tap: Sees each chunk, and an empty one at the end; must not raise.
    """

    def __init__(
        self, source: int, log: Path, forward: Forward | None, tap: Callable[[bytes], None] | None = None
    ) -> None:
        self.source = source
        self.log = log
        self.log_error: OSError | None = None
        """Why, from some byte on, the log lacks what was written."""
        self.ended = False
        self._log_fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        self._forward = forward
        self._tap = tap
        self._waiting = memoryview(b"")
        os.set_blocking(source, False)

    @property
    def blocked_fd(self) -> int | None:
        """The descriptor of ours that must become writable before we read on; None: read on."""
        return self._forward.fd if self._forward is not None and len(self._waiting) else None

    def pump(self) -> bool:
        """Take what there is, up to a chunk; returns whether there was anything."""
        try:
            data = os.read(self.source, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        except OSError:  # EIO: a terminal whose last user has gone
            data = b""
        if not data:
            self.ended = True
            return False
        self._store(data)
        if self._tap is not None:
            self._tap(data)
        if self._forward is not None:
            self._waiting = memoryview(data)
            self.push()
        return True

    def push(self) -> None:
        """Pass on what waits, as far as our stream takes it."""
        if self._forward is not None:
            try:
                self._waiting = self._waiting[self._forward.write(self._waiting) :]
            except (OSError, ValueError):  # EPIPE above all: our reader has gone, the run goes on
                self.stop_forwarding()

    def stop_forwarding(self) -> None:
        """From now on only store."""
        self._forward = None
        self._waiting = memoryview(b"")

    def close(self) -> None:
        """Release the descriptors."""
        if self._tap is not None:
            self._tap(b"")
        os.close(self.source)
        os.close(self._log_fd)

    def _store(self, data: bytes) -> None:
        if self.log_error is not None:
            return
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._log_fd, rest) :]
        except OSError as error:
            self.log_error = error


def listen(selector: selectors.BaseSelector, outputs: Iterable[Output]) -> None:
    """Have a selector wait for each output's source, or for its reader if that has to catch up."""
    registered = {id(key.data): key for key in selector.get_map().values() if key.data is not None}
    for output in outputs:
        blocked = output.blocked_fd
        wanted = None if output.ended and blocked is None else (output.source if blocked is None else blocked)
        key = registered.get(id(output))
        if key is not None and key.fd == wanted:
            continue
        if key is not None:
            selector.unregister(key.fileobj)
        if wanted is not None:
            events = selectors.EVENT_READ if blocked is None else selectors.EVENT_WRITE
            selector.register(wanted, events, output)
