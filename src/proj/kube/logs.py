"""A container's log, each byte once: over cut connections, restarted API servers and rotated files."""

from __future__ import annotations

import contextvars
import re
import threading
from typing import TYPE_CHECKING

from proj.errors import BackendError
from proj.kube.errors import FORBIDDEN, NOT_FOUND, ApiError
from proj.kube.objects import seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from proj.kube.client import Client, Stream

# As kubelets write it (RFC3339NanoFixed), before each entry of the log.
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9})(Z|[+-]\d\d:\d\d) ")
_NEWLINE = ord("\n")
_STAMP_BYTES = 36
"""Of the longest one."""
_HELD_BYTES = 1 << 20
"""How much of a line without an end is kept back at most."""
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0
_END_WAIT_S = 1.0
"""How long the news of a container's end may be behind the end of its log."""
_BAD_REQUEST = 400

_LAST_WORDS_S = 0.005


class LogDecoder:
    """Takes the time stamps out of a log, and what is there already where a part of it comes again.

    A log is a row of entries: a time stamp, a blank, and a line. An entry without a line's end (a long line
    in pieces, the last words of a stream) is followed at once by the next time stamp, which is told from text
    by not being earlier than the entry that it stands in: what a program writes of the time is. (Of the last
    words of both streams, the earlier ones may come later.)

    Args:
        sink: Takes the log's own bytes.
    """

    def __init__(self, sink: Callable[[bytes], None]) -> None:
        self._sink = sink
        self._held = b""
        self._stamp = b""
        """Of the entry under way; empty: none has begun."""
        self._zone = b"Z"
        self._same = 0
        """How many entries of that time stamp there were, this one included."""
        self._given = 0
        """How many bytes of it have come."""
        self._at_line_start = True
        self._known: tuple[bytes, int, int] | None = None
        """After a cut: time stamp, count and bytes up to which all has been handed on."""

    @property
    def since(self) -> str | None:
        """From when on to ask for the log again; None: from its beginning."""
        stamp = self._stamp or (self._known[0] if self._known else b"")
        return (stamp[:19] + self._zone).decode() if stamp else None

    def resume(self) -> None:
        """The log is about to come again from `since` on: what is known of it is left out."""
        self._held = b""
        self._at_line_start = True
        if self._stamp:
            here = (self._stamp, self._same, self._given)
            self._known = here if self._known is None else max(here, self._known)
            self._stamp, self._same, self._given = b"", 0, 0

    def feed(self, data: bytes) -> None:
        """Take a piece of the log."""
        self._held += data
        end = self._held.rfind(b"\n") + 1
        if end == 0 and len(self._held) > _HELD_BYTES:
            end = len(self._held) - _STAMP_BYTES
        if end > 0:
            text, self._held = self._held[:end], self._held[end:]
            self._take(text)

    def flush(self) -> None:
        """The log has ended."""
        text, self._held = self._held, b""
        if text:
            self._take(text, last=True)

    def _take(self, text: bytes, *, last: bool = False) -> None:
        out = bytearray()
        at = 0
        for found in _STAMP.finditer(text):
            begins_line = text[found.start() - 1] == _NEWLINE if found.start() else self._at_line_start
            if begins_line or self._follows(found[1], last=last):
                out += self._new_part(text[at : found.start()])
                self._begin(found)
                at = found.end()
        out += self._new_part(text[at:])
        self._at_line_start = text.endswith(b"\n")
        if out:
            self._sink(bytes(out))

    def _follows(self, stamp: bytes, *, last: bool) -> bool:
        """Whether a time stamp within a line is that of an entry.

        The last words of the two streams are written at once: either may have been stamped first.
        """
        if not self._stamp:
            return False
        return stamp >= self._stamp or (last and _when(self._stamp) - _when(stamp) < _LAST_WORDS_S)

    def _begin(self, found: re.Match[bytes]) -> None:
        self._same = self._same + 1 if found[1] == self._stamp else 1
        self._stamp, self._zone, self._given = found[1], found[2], 0

    def _new_part(self, content: bytes) -> bytes:
        """What of an entry's bytes has not been handed on before the cut."""
        before = self._given
        self._given += len(content)
        if self._known is None:
            return content
        stamp, count, given = self._known
        if (self._stamp, self._same) < (stamp, count):
            return b""
        if (self._stamp, self._same) > (stamp, count):
            self._known = None
            return content
        return content[max(0, given - before) :]


def _when(stamp: bytes) -> float:
    return seconds(f"{stamp.decode()}Z") or 0.0


class LogFollower:
    """Hands a container's log on as it comes, to its end.

    Args:
        client: To whom.
        path: Of the pod.
        container: Its name.
        sink: Takes the log's bytes, in the follower's thread.
        on_end: Called once, at the end.
        on_trouble: Called with why it cannot be had just now.
    """

    def __init__(
        self,
        client: Client,
        path: str,
        container: str,
        *,
        sink: Callable[[bytes], None],
        on_end: Callable[[], None],
        on_trouble: Callable[[BackendError], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._path = f"{path}/log"
        self._container = container
        self._decoder = LogDecoder(sink)
        self._on_end = on_end
        self._on_trouble = on_trouble
        self._told: str | None = None
        self._complete = False
        self._terminated = threading.Event()
        self._stopped = threading.Event()
        self._stream: Stream | None = None
        self.lost: str | None = None
        """Why, from some byte on, nothing more could be had."""
        target = contextvars.copy_context().run
        self._thread = threading.Thread(target=target, args=(self._run,), name="proj-kube-log", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def terminated(self) -> None:
        """The container has ended: what its log holds now is all of it."""
        self._terminated.set()

    def stop(self) -> None:
        """Give up; from any thread."""
        if not self._complete and self.lost is None:
            self.lost = self._told or "its end was not waited for"
        self._stopped.set()
        self._terminated.set()
        stream = self._stream
        if stream is not None:
            stream.abort()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for its end; False if that took longer."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._follow()
            self._complete = not self._stopped.is_set()
        finally:
            self._decoder.flush()
            self._on_end()

    def _follow(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stopped.is_set():
            # What ended before the request was made has all of its log in the answer.
            last = self._terminated.is_set()
            try:
                self._read(follow=not last)
            except BackendError as error:  # of the credentials too: a plugin may fail for a moment
                status = error.status if isinstance(error, ApiError) else None
                if status == NOT_FOUND:
                    self.lost = "the pod is gone"
                    return
                if last and status == _BAD_REQUEST:  # it has never run
                    return
                if status != _BAD_REQUEST:  # else its node is about to begin the log
                    self._tell(error)
                if last and status == FORBIDDEN:
                    self.lost = self._told
                    return
            else:
                self._told = None
                if last:
                    return
                pause_s = _FIRST_PAUSE_S
                if self._terminated.wait(_END_WAIT_S):
                    continue
            self._stopped.wait(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _tell(self, error: BackendError) -> None:
        said = error.message.rstrip(".")
        if self._told != said and not self._stopped.is_set():
            self._told = said
            self._on_trouble(error)

    def _read(self, *, follow: bool) -> None:
        query = {"container": self._container, "timestamps": "true"}
        if follow:
            query["follow"] = "true"
        if self._decoder.since is not None:
            query["sinceTime"] = self._decoder.since
        self._decoder.resume()
        what = f"read the log of {self._container}"
        with self._client.stream(self._path, what, read_s=None, query=query) as stream:
            self._stream = stream
            try:
                if self._stopped.is_set():
                    return
                for piece in stream:
                    self._decoder.feed(piece)
            finally:
                self._stream = None
