"""The application under uvicorn on a loopback port, in a thread, and a small client of it."""

from __future__ import annotations

import atexit
import contextlib
import http.client
import json
import socket
import threading
import urllib.parse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import uvicorn

from proj.server.app import create_app
from proj.server.policy import OpenPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

    from proj.server.policy import Policy
    from proj.server.routes import Site
    from proj.server.rules import Rules
    from proj.tracking import Tracking

API = "/api/2.0/mlflow/"


class Answer(msgspec.Struct, frozen=True):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """Names in lowercase."""
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def error(self) -> str:
        """MLflow's error code."""
        return str(self.json["error_code"])


class Client:
    """Sends requests to one server; the paths of MLflow's API are relative to `/api/2.0/mlflow/`."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        self.url = url
        self._headers = dict(headers or {})

    def send(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request as it is given."""
        parsed = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(parsed.hostname or "", parsed.port, timeout=30)
        with contextlib.closing(connection):
            target = path if path.startswith("/") else API + path
            content = body.encode() if isinstance(body, str) else body
            kind = {"Content-Type": "application/json"} if content and method != "PUT" else {}
            connection.request(method, target, content, {**kind, **self._headers, **(headers or {})})
            response = connection.getresponse()
            return Answer(
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                response.read(),
            )

    def post(self, path: str, /, **fields: Any) -> Answer:
        """POST a JSON object."""
        return self.send("POST", path, json.dumps(fields))

    def get(self, path: str, /, **query: Any) -> Answer:
        """GET with a query; lists are repeated keys."""
        text = urllib.parse.urlencode(query, doseq=True)
        return self.send("GET", f"{path}?{text}" if text else path)

    def ok(self, method: str, path: str, /, **fields: Any) -> Any:
        """Send a request that is to succeed, and return its JSON."""
        by_query = method == "GET"
        answer = self.get(path, **fields) if by_query else self.send(method, path, json.dumps(fields))
        assert answer.status == 200, answer.content
        return answer.json


class _Host:
    """A server that lives as long as the tests; which application answers is changed from test to test."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None
        self.listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            self._answer, interface="asgi3", log_level="critical", access_log=False, lifespan="off", ws="none"
        )
        self.server = uvicorn.Server(config)
        arguments = {"sockets": [self.listener]}
        self.thread = threading.Thread(target=self.server.run, kwargs=arguments, name="httpkit", daemon=True)
        self.thread.start()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None, "a request came after the test"
        await self.app(scope, receive, send)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.listener.close()


_idle: list[_Host] = []


@atexit.register
def _stop() -> None:
    for host in _idle:
        host.stop()


@contextlib.contextmanager
def serving(
    tracking: Tracking,
    policy: Policy | None = None,
    site: Site | None = None,
    rules: Rules | None = None,
) -> Iterator[Client]:
    """Serve the records while the block runs."""
    host = _idle.pop() if _idle else _Host()
    host.app = create_app(tracking, policy or OpenPolicy(), site, rules)
    try:
        yield Client(f"http://127.0.0.1:{host.listener.getsockname()[1]}")
    finally:
        host.app = None
        _idle.append(host)
