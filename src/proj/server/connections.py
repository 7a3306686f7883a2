"""Connections that cannot be held open for nothing: by clients that send too slowly, or read nothing.

uvicorn closes a connection that is idle between two requests, and no other. Whoever opens many and sends a
byte now and then ("slow loris") would keep them all; and httptools takes headers of any length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

REQUEST_TIMEOUT_S = 20.0
"""How long a request may take to arrive, beside the time that its length allows for."""
SLOWEST_BYTES_PER_S = 1024
"""A client that sends less than this on average is dropped."""
STALLED_READER_S = 60.0
"""How long a client may take nothing of an answer that is ready for it."""
MAX_HEAD_BYTES = 64 << 10
"""Of request line and headers; MLflow's clients put all that is long into bodies."""

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Watched:
    """Mixed into one of uvicorn's protocols: takes the time of what arrives.

    What uvicorn's protocols have in common is used: `transport`, `loop`, `flow`, and `cycle`, the request
    that was begun last.
    """

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    flow: Any
    cycle: Any
    _since_s: float | None = None
    """Since when a request is awaited or arriving; None: the last has arrived, or uvicorn takes the time."""
    _received = 0
    _unread = (0, 0.0)
    """Bytes that wait for the client to read them, and since when they are as many."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """A client is there."""
        self._since_s = self.loop.time()
        super().connection_made(transport)  # type: ignore[misc]  # the protocol that this is mixed into

    def data_received(self, data: bytes) -> None:
        """Something of a request has arrived."""
        if self._since_s is None:
            self._since_s = self.loop.time()
            self._received = 0
        self._received += len(data)
        super().data_received(data)  # type: ignore[misc]  # see above
        if not self.arriving() and self.cycle is not None and not self.cycle.response_complete:
            self._since_s = None

    def arriving(self) -> bool:
        """Whether a request has begun and is not complete."""
        raise NotImplementedError

    def overdue(self, now_s: float) -> bool:
        """Whether the client has had its time; asked once a second."""
        return self._sends_too_slowly(now_s) or self._reads_nothing(now_s)

    def _sends_too_slowly(self, now_s: float) -> bool:
        if self._since_s is None:
            return False
        if self.flow.read_paused:  # it is we who let it wait
            self._since_s, self._received = now_s, 0
            return False
        return now_s - self._since_s > REQUEST_TIMEOUT_S + self._received / SLOWEST_BYTES_PER_S

    def _reads_nothing(self, now_s: float) -> bool:
        waiting = self.transport.get_write_buffer_size()
        if waiting != self._unread[0] or not waiting:
            self._unread = (waiting, now_s)
            return False
        return now_s - self._unread[1] > STALLED_READER_S


def drop_overdue(connections: set[Any], now_s: float) -> int:
    """Close the connections whose clients have had their time; return how many.

    Args:
        connections: All that are open, of a class of `protocol_class`.
        now_s: The event loop's time.
    """
    overdue = [connection for connection in connections if connection.overdue(now_s)]
    for connection in overdue:
        connection.transport.abort()
    return len(overdue)


def protocol_class(*, fast: bool | None = None) -> type[asyncio.Protocol]:
    """Return one of uvicorn's protocols, watched.

    Args:
        fast: Take the one in C, which needs httptools (extra `server`); None: if that is installed.
    """
    if fast is None:
        from importlib.util import find_spec

        fast = find_spec("httptools") is not None
    return _httptools_class() if fast else _h11_class()


def _h11_class() -> type[asyncio.Protocol]:
    import h11
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class WatchedH11(Watched, H11Protocol):  # type: ignore[misc]  # the mixin declares what it uses as Any
        """In Python; h11 itself refuses long heads."""

        def arriving(self) -> bool:
            return self.conn.their_state in (h11.IDLE, h11.SEND_BODY)

    return WatchedH11


def _httptools_class() -> type[asyncio.Protocol]:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class WatchedHttpTools(Watched, HttpToolsProtocol):  # type: ignore[misc]  # see above
        """In C; it tells when a request begins and ends, and measures nothing."""

        _arriving = False
        _in_head = False

        def arriving(self) -> bool:
            return self._arriving

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._in_head and self._received > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.transport.write(_TOO_LARGE)
                self.transport.close()

        def on_message_begin(self) -> None:
            self._arriving = self._in_head = True
            self._received = 0
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._in_head = False
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            self._arriving = False
            super().on_message_complete()

    return WatchedHttpTools
