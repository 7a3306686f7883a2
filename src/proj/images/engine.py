"""The Engine API of docker over HTTP, as far as running a container needs it.

The `docker` library does what takes long anyway (pulling, building, loading); importing it takes longer than
starting a container, so what every run does goes through the standard library's HTTP client.

Source: https://docs.docker.com/reference/api/engine/version/v1.41/
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import socket
import struct
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode, urlsplit

from proj.errors import ImageError
from proj.images import enginetls

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_API: Final = "1.40"
"""What docker 19.03 speaks, and everything later up to 28; those after that say which they speak at least."""
_TOO_OLD: Final = r"(?s)client version .* is too old.* (?P<least>[0-9]+\.[0-9]+)"
_SOCKET: Final = "unix:///var/run/docker.sock"
_TIMEOUT_S: Final = 60.0
_SHOWN: Final = 200
"""How many bytes of an answer that is none are shown."""
_LOCAL: Final = ("127.0.0.1", "localhost", "::1")
STDOUT: Final = 1
STDERR: Final = 2
_HEADER: Final = struct.Struct(">BxxxL")


class EngineError(Exception):
    """The engine refused a request.

    Args:
        status: HTTP status.
        said: Its own words.
    """

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status
        self.said = said


class Engine:
    """The engine that docker's command line would use: `DOCKER_HOST`, else its socket. Used by many threads.

    Raises:
        ImageError: `DOCKER_HOST` names none that can be asked.
    """

    def __init__(self) -> None:
        self.host = os.environ.get("DOCKER_HOST") or _SOCKET
        try:
            parts = urlsplit(self.host)
            _ = parts.port  # looked at here: one that is no number raises where it is asked for
        except ValueError as error:
            raise ImageError(
                f"DOCKER_HOST is {self.host}, which is no address: {error}.",
                hint="Write it like unix:///var/run/docker.sock or tcp://HOST:2376.",
            ) from error
        if parts.scheme not in ("unix", "tcp", "http", "https"):
            raise ImageError(
                f"DOCKER_HOST is {self.host}, which proj cannot ask.",
                hint="Use unix:// or tcp://; for ssh, `ssh -L /tmp/docker.sock:/var/run/docker.sock HOST`, "
                "and DOCKER_HOST=unix:///tmp/docker.sock.",
            )
        self._parts = parts
        self._api = _API

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine, and so sees this machine's folders."""
        return self._parts.scheme == "unix" or self._parts.hostname in _LOCAL

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        *,
        timeout_s: float | None = _TIMEOUT_S,
    ) -> Any:
        """Send a request and return its JSON answer; None where it has none.

        Raises:
            EngineError: It refused.
            ImageError: It does not answer, or not as an engine does.
        """
        with self._answered(method, path, query, body, timeout_s) as (_, response):
            try:
                content = response.read()
            except (OSError, http.client.HTTPException) as error:
                raise self._away(error) from error
        try:
            return json.loads(content) if content.strip() else None
        except (ValueError, RecursionError) as error:
            begin = content[:_SHOWN].decode("utf-8", "replace").strip()
            raise ImageError(
                f"What answers at {self._where} is no docker daemon, or its answer is damaged.",
                hint="See DOCKER_HOST.",
                details=(f"{method} {path}: {begin}",),
            ) from error

    @contextlib.contextmanager
    def attached(self, container: str, *, stdin: bool) -> Iterator[Stream]:
        """The streams of a container that is about to start."""
        query = {"stream": "1", "stdout": "1", "stderr": "1", **({"stdin": "1"} if stdin else {})}
        path = f"/containers/{quote(container)}/attach"
        with self._answered("POST", path, query, None, None) as (connection, response):
            yield Stream(connection, response)

    @contextlib.contextmanager
    def logs(self, container: str, *, follow: bool) -> Iterator[Stream]:
        """All that a container has written so far and, should we follow it, goes on to write."""
        query = {"follow": str(int(follow)), "stdout": "1", "stderr": "1"}
        path = f"/containers/{quote(container)}/logs"
        with self._answered("GET", path, query, None, None) as (connection, response):
            yield Stream(connection, response)

    @contextlib.contextmanager
    def archive(self, container: str, path: str) -> Iterator[http.client.HTTPResponse]:
        """A file or folder of a container, as a tar file."""
        target = f"/containers/{quote(container)}/archive"
        with self._answered("GET", target, {"path": path}, None, None) as (_, response):
            yield response

    @contextlib.contextmanager
    def _answered(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: object,
        timeout_s: float | None,
    ) -> Iterator[tuple[http.client.HTTPConnection, http.client.HTTPResponse]]:
        content = None if body is None else json.dumps(body).encode()
        headers = {} if content is None else {"Content-Type": "application/json"}
        rest = f"{path}?{urlencode(query)}" if query else path
        while True:
            connection = self._connection(timeout_s)
            try:
                try:
                    connection.request(method, f"/v{self._api}{rest}", content, headers)
                    response = connection.getresponse()
                except (OSError, http.client.HTTPException) as error:
                    raise self._away(error) from error
                if response.status < http.client.BAD_REQUEST:
                    yield connection, response
                    return
                said = _said(response)
            finally:
                connection.close()
            too_old = re.search(_TOO_OLD, said)
            if too_old is None or too_old["least"] == self._api:
                raise EngineError(response.status, said)
            self._api = too_old["least"]

    def _connection(self, timeout_s: float | None) -> http.client.HTTPConnection:
        if self._parts.scheme == "unix":
            return _UnixConnection(self._parts.path, timeout_s)
        host, port = self._parts.hostname or "localhost", self._parts.port
        if self._speaks_tls:
            context = enginetls.context()
            return http.client.HTTPSConnection(host, port or 2376, timeout=timeout_s, context=context)
        return http.client.HTTPConnection(host, port or 2375, timeout=timeout_s)

    @property
    def _speaks_tls(self) -> bool:
        return self._parts.scheme != "unix" and enginetls.is_wanted(self._parts.scheme)

    @property
    def _where(self) -> str:
        return self.host.removeprefix("unix://")

    def _away(self, error: BaseException) -> ImageError:
        where = self._where
        if self._speaks_tls and isinstance(error, OSError) and enginetls.is_refusal(error):
            return enginetls.refused(where, error)
        if isinstance(error, PermissionError):
            return ImageError(
                f"The docker daemon at {where} may not be used by this user.",
                hint="Add the user to the group `docker`; --backend kubernetes needs none.",
            )
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        missing = isinstance(error, FileNotFoundError)
        return ImageError(
            f"No docker daemon answers at {where}: {'there is no such socket' if missing else reason}.",
            hint="Start it (`systemctl start docker`), or name another in DOCKER_HOST.",
        )


class Stream:
    """What a container writes, in pieces of either stream, and its standard input.

    Args:
        connection: To the engine.
        response: Whose body it is.
    """

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self._socket = connection.sock or _socket_of(response)
        self._response = response

    def write_all(self, data: bytes) -> None:
        """Give the standard input. It stays open: TLS and proxies know no connection that is closed by half.

        Raises:
            OSError: The container has gone.
        """
        self._socket.sendall(data)

    def pieces(self, *, tty: bool) -> Iterator[tuple[int, bytes]]:
        """Yield number of stream and bytes, until the container has closed both.

        Args:
            tty: Whether the container has a terminal, which has one stream only, without headers.

        Raises:
            OSError: The connection broke.
        """
        try:
            while tty:
                data = self._response.read1(1 << 16)
                if not data:
                    return
                yield STDOUT, data
            while header := self._exactly(_HEADER.size):
                number, length = _HEADER.unpack(header)
                if number not in (STDOUT, STDERR):
                    raise ConnectionResetError("the stream holds what is no output")
                while length:
                    data = self._response.read1(min(length, 1 << 16))
                    if not data:
                        raise ConnectionResetError("the stream ended within a piece")
                    length -= len(data)
                    yield number, data
        except http.client.HTTPException as error:
            raise ConnectionResetError(str(error)) from error

    def _exactly(self, count: int) -> bytes:
        """The next bytes; none at the end."""
        found = b""
        while len(found) < count:
            data = self._response.read1(count - len(found))
            if not data:
                if found:
                    raise ConnectionResetError("the stream ended within a header")
                return b""
            found += data
        return found


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float | None) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _socket_of(response: http.client.HTTPResponse) -> socket.socket:
    """The socket below a response that ends with its connection: the client has let go of it."""
    found: object = response.fp.raw._sock  # type: ignore[attr-defined]  # noqa: SLF001  no public way to it
    assert isinstance(found, socket.socket)  # noqa: S101  as http.client makes it
    return found


def _said(response: http.client.HTTPResponse) -> str:
    try:
        content = response.read(1 << 16)
    except (OSError, http.client.HTTPException):
        content = b""
    with contextlib.suppress(ValueError, AttributeError):
        said = json.loads(content).get("message")
        if isinstance(said, str):
            return said.strip()
    return content.decode("utf-8", "replace").strip()[:300] or response.reason
