"""A server that does what a test tells it to, byte by byte: the one that goes wrong."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    Step = Callable[[socket.socket], None]


class Heard(NamedTuple):
    """A request as it came."""

    method: str
    target: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


def reply(status: int = 200, body: bytes = b"{}", **headers: str) -> Step:
    """Answer; `content_type="text/html"` is a header."""
    given = {"content-length": str(len(body)), "content-type": "application/json"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())

    def step(connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + body)

    return step


def drop(connection: socket.socket) -> None:
    """Close the connection without a word."""
    connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def broken_off(status: int = 200, body: bytes = b"{", length: int = 1000, **headers: str) -> Step:
    """Promise more than comes, then close the connection."""
    answer = reply(status, body, **{**headers, "content_length": str(length)})

    def step(connection: socket.socket) -> None:
        answer(connection)
        drop(connection)

    return step


class FaultyServer:
    """Takes one step for each request; the last one again and again.

    Args:
        steps: What it does.
        certificate: A file with its certificate and key; None: plain HTTP.
        clients: Whose certificates its clients must have; None: they need none.
        host: The address that it listens on.
    """

    def __init__(
        self,
        *steps: Step,
        certificate: Path | None = None,
        clients: Path | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.heard: list[Heard] = []
        self._steps = list(steps)
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
            if clients is not None:
                self._context.load_verify_locations(clients)
                self._context.verify_mode = ssl.CERT_REQUIRED
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        port = self._listener.getsockname()[1]
        address = f"[{host}]" if ":" in host else host
        self.url = f"{'http' if certificate is None else 'https'}://{address}:{port}"
        self._ended = threading.Event()
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def hang(self, connection: socket.socket) -> None:  # noqa: ARG002  the signature of a step
        """Say nothing until the test is over."""
        self._ended.wait()

    def close(self) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            with self._lock:
                self._open.append(connection)
            with connection.makefile("rb") as stream:
                while (heard := _read(stream)) is not None:
                    with self._lock:
                        self.heard.append(heard)
                        step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
                    step(connection)
                    if connection.fileno() < 0:
                        return
        with contextlib.suppress(OSError):
            connection.close()


def _read(stream: BinaryIO) -> Heard | None:
    line = stream.readline().decode()
    if not line.strip():
        return None
    method, target, _ = line.split(" ", 2)
    headers: dict[str, str] = {}
    while (line := stream.readline().decode().strip()) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return Heard(method, target, headers, stream.read(int(headers.get("content-length", "0"))))


@contextlib.contextmanager
def faulty(
    *steps: Step, certificate: Path | None = None, clients: Path | None = None, host: str = "127.0.0.1"
) -> Iterator[FaultyServer]:
    """Run such a server."""
    server = FaultyServer(*steps, certificate=certificate, clients=clients, host=host)
    try:
        yield server
    finally:
        server.close()
