"""Clients that are slow, silent or mean, over raw sockets."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
import uvicorn

from proj.server import connections
from proj.server.access import Front
from proj.server.app import create_app
from proj.server.connections import MAX_HEAD_BYTES, Watched, drop_overdue, protocol_class
from proj.server.policy import OpenPolicy
from projkit import LIMIT_S, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.tracking import Tracking

JSON = b"host: x\r\ncontent-type: application/json\r\n"
CREATE = b"POST /api/2.0/mlflow/experiments/create HTTP/1.1\r\n" + JSON
KEPT = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
HEALTH = b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


class _Server(uvicorn.Server):
    async def on_tick(self, counter: int) -> bool:
        drop_overdue(self.server_state.connections, asyncio.get_running_loop().time())
        return await super().on_tick(counter)


class Served:
    """A server with one of the protocols."""

    def __init__(self, port: int, server: uvicorn.Server) -> None:
        self._port = port
        self.server = server

    def connections(self) -> list[Watched]:
        """Those that are open."""
        return [each for each in list(self.server.server_state.connections) if isinstance(each, Watched)]

    def open(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), timeout=LIMIT_S)

    def ask(self, *parts: bytes) -> bytes:
        """Send bytes on a connection of their own, and return all that comes until the server closes it."""
        with self.open() as connection:
            with contextlib.suppress(OSError):  # it may be closed already
                for part in parts:
                    connection.sendall(part)
            return received(connection)


def received(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    content = b""
    with contextlib.suppress(ConnectionError):
        while chunk := connection.recv(65536):
            content += chunk
    return content


def statuses(answers: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answers)]


@pytest.fixture(params=["h11", "httptools"])
def served(request: pytest.FixtureRequest, tracking: Tracking) -> Iterator[Served]:
    if request.param == "httptools" and find_spec("httptools") is None:
        pytest.skip("httptools is not installed (extra `server`)")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app = create_app(tracking, OpenPolicy())
        config = uvicorn.Config(
            Front(app, app),
            http=protocol_class(fast=request.param == "httptools"),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_keep_alive=1,
        )
        server = _Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield Served(listener.getsockname()[1], server)
        finally:
            server.should_exit = True
            thread.join()


def test_clients_that_dawdle_are_dropped(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_TIMEOUT_S", 0.3)
    slow = {
        "silent": b"",
        "in the middle of the head": CREATE + b"x-",
        "in the middle of the body": CREATE + b"content-length: 100\r\n\r\n{",
        "in the middle of a chunk": CREATE + b"transfer-encoding: chunked\r\n\r\nff\r\n{",
        "after a request": KEPT + b"GET /hea",
    }
    with contextlib.ExitStack() as stack:
        opened = {}
        for name, begin in slow.items():
            opened[name] = stack.enter_context(served.open())
            opened[name].sendall(begin)
        for name, connection in opened.items():
            assert statuses(received(connection)) in ([], [200]), name


def test_dribbling_does_not_help(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_TIMEOUT_S", 0.3)
    deadline = time.monotonic() + LIMIT_S

    def dribble(connection: socket.socket) -> None:
        while time.monotonic() < deadline:
            connection.sendall(b"x: y\r\n")
            time.sleep(0.02)

    with served.open() as connection:
        connection.sendall(CREATE)
        with pytest.raises(ConnectionError):
            dribble(connection)


def test_who_sends_quickly_enough_has_the_time_it_takes(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SLOWEST_BYTES_PER_S", 0.1)  # a machine may be slow
    body = b'{"name": "' + b"x" * 80 + b'"}'
    with served.open() as connection:
        connection.sendall(CREATE + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body))
        eventually(lambda: any(each.cycle is not None for each in served.connections()))
        connection.sendall(body[:1])
        eventually(lambda: any(each._received for each in served.connections()))
        monkeypatch.setattr(connections, "REQUEST_TIMEOUT_S", 0.2)
        for byte in body[1:]:
            connection.sendall(bytes([byte]))
            time.sleep(0.005)
        assert statuses(received(connection)) == [200]


def test_who_reads_nothing_is_dropped(
    served: Served, tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "STALLED_READER_S", 0.3)
    for number in range(300):
        tracking.runs.create_experiment(f"{number}" + "x" * 400)
    body = b'{"max_results": 1000}'
    ask = b"POST /api/2.0/mlflow/experiments/search HTTP/1.1\r\n" + JSON
    with served.open() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(80):
            connection.sendall(ask + b"content-length: %d\r\n\r\n" % len(body) + body)
        eventually(lambda: not served.server.server_state.connections)


def test_heads_have_an_end(served: Served) -> None:
    line = b"x-%d: " + b"y" * 1000 + b"\r\n"
    head = [b"GET /health HTTP/1.1\r\nhost: x\r\n", *(line % number for number in range(2000)), b"\r\n"]
    assert statuses(served.ask(*head))[:1] in ([400], [431], [])
    query = b"GET /health?" + b"q" * 20 * MAX_HEAD_BYTES
    assert statuses(served.ask(query, b" HTTP/1.1\r\nhost: x\r\n\r\n"))[:1] in ([400], [431], [])
    assert statuses(served.ask(HEALTH)) == [200]


@pytest.mark.parametrize(
    "head",
    [
        b"content-length: 5\r\ncontent-length: 6\r\n",
        b"content-length: -1\r\n",
        b"content-length: 1e3\r\n",
        b"content-length: +5\r\n",
        b"transfer-encoding: chunked, identity\r\n",
        b"transfer-encoding: xchunked\r\n",
        b"content-length : 5\r\n",
        b"x\x00y: z\r\n",
        b" folded: x\r\n",
        b"x: a\x00b\r\n",
    ],
)
def test_heads_that_two_parsers_could_read_differently_are_refused(served: Served, head: bytes) -> None:
    answer = served.ask(CREATE + head + b"\r\n", b"5\r\n{}   \r\n0\r\n\r\n", HEALTH)
    assert 200 not in statuses(answer)


def test_a_smuggled_request_is_not_answered(served: Served) -> None:
    smuggled = b"0\r\n\r\nGET /version HTTP/1.1\r\nhost: x\r\n\r\n"
    head = CREATE + b"content-length: %d\r\ntransfer-encoding: chunked\r\n\r\n" % len(smuggled)
    assert served.ask(head, smuggled).count(b"HTTP/1.1 200") == 0


@pytest.mark.parametrize(
    "chunk", [b"zz\r\n{}\r\n", b"-1\r\n", b"ffffffffffffffff1\r\n{}", b"2\r\n{}xx0\r\n\r\n"]
)
def test_bad_chunks_end_the_connection(served: Served, chunk: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_TIMEOUT_S", 1.0)  # one of them promises a lot
    answer = served.ask(CREATE + b"transfer-encoding: chunked\r\n\r\n" + chunk, HEALTH)
    assert 200 not in statuses(answer)


def test_pipelined_requests_are_answered_in_order(served: Served) -> None:
    assert statuses(served.ask(KEPT * 3 + HEALTH)) == [200] * 4


def test_what_is_no_http_is_refused(served: Served) -> None:
    assert statuses(served.ask(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10)) in ([400], [])
    assert statuses(served.ask(b"hello\r\n\r\n")) in ([400], [])
    assert statuses(served.ask(HEALTH)) == [200]


def test_a_websocket_is_not_offered(served: Served) -> None:
    upgrade = b"upgrade: websocket\r\nconnection: upgrade\r\n"
    upgrade += b"sec-websocket-key: eA==\r\nsec-websocket-version: 13\r\n"
    answer = served.ask(b"GET /health HTTP/1.1\r\nhost: x\r\n" + upgrade + b"\r\n", b"\0")
    assert 101 not in statuses(answer)
