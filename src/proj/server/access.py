"""Users of a server by their tokens, and the log of what they asked for."""

from __future__ import annotations

import base64
import binascii
import logging
import re
import time
from typing import TYPE_CHECKING

from starlette.responses import Response

from proj.server.policy import Access
from proj.wire.errors import ApiError, ErrorCode, body, denied

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from proj.server.policy import Policy, Principal
    from proj.server.tokens import Token, TokenFile

access_logger = logging.getLogger("proj.server.access")
"""One line for each request; `serve` decides where they go."""

PUBLIC_PATHS = frozenset({"/health", "/version", "/openapi.json"})
"""What is answered to everybody: load balancers ask for it, and it tells nothing of what is kept."""

_LOCAL_HOST = re.compile(
    r"(localhost|[a-z0-9-]+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])\.?(:\d+)?", re.IGNORECASE
)
"""A `Host` that leads to this machine and nowhere else (RFC 6761, section 6.3)."""


class TokenPolicy:
    """Everybody needs a token, and may do everything with it, or read everything.

    A client sends it as a bearer token (`MLFLOW_TRACKING_TOKEN`), or as the password of basic authentication
    together with the token's name (`MLFLOW_TRACKING_USERNAME`, `MLFLOW_TRACKING_PASSWORD`).

    Args:
        file: The tokens; looked at for each request, so that changes count at once.
    """

    def __init__(self, file: TokenFile) -> None:
        self._file = file

    def identify(self, headers: Mapping[str, str]) -> Principal:
        """Return the user whose token the headers carry.

        Raises:
            ApiError: UNAUTHENTICATED: there is none, or nobody has it.
        """
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        found = None
        if scheme.lower() == "bearer":
            found = self._file.recognise(credentials.strip())
        elif scheme.lower() == "basic":
            name, password = _basic(credentials)
            found = self._file.recognise(password, name)
        if found is None:
            raise ApiError(
                ErrorCode.UNAUTHENTICATED,
                "This server needs a token that it knows. Set MLFLOW_TRACKING_TOKEN to what "
                "`proj server token add NAME` printed on the server, or MLFLOW_TRACKING_USERNAME to the name "
                "and MLFLOW_TRACKING_PASSWORD to the token.",
            )
        return _User(found)


class _User:
    """A client with a token."""

    def __init__(self, token: Token) -> None:
        self.name = token.name
        self._read_only = token.read_only

    def check(self, access: Access, run_ids: Sequence[str] = ()) -> None:  # noqa: ARG002  the interface's
        """See `Principal.check`."""
        if self._read_only and access is not Access.READ:
            raise denied(f"The token of {self.name!r} is for reading only: it may not {_deed(access)}.")


def _deed(access: Access) -> str:
    return "change a run" if access is Access.LOG else access.value


def _basic(credentials: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(credentials.strip(), validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        return "", ""
    name, _, password = text.partition(":")
    return name, password


class Front:
    """What stands before the application: what needs no token, and the access log.

    Args:
        app: The application.
        public: The application as everybody may use it; it gets what is asked of `PUBLIC_PATHS`.
        only_local: Whether requests have to call this machine by one of its own names; see `_is_rebound`.
    """

    def __init__(self, app: ASGIApp, public: ASGIApp, *, only_local: bool = False) -> None:
        self._app = app
        self._public = public
        self._only_local = only_local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and write a line about it (ASGI's interface)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        app = self._public if scope["path"] in PUBLIC_PATHS else self._app
        if _is_ambiguous(scope):
            app = _refusal("A request has a Content-Length or a Transfer-Encoding, not both.")
        elif self._only_local and _is_rebound(scope):
            app = _refusal(
                "This server is for its own machine, as localhost or 127.0.0.1. "
                "To serve it by other names, start it with --auth or --insecure."
            )
        if not access_logger.isEnabledFor(logging.INFO):
            await app(scope, receive, send)
            return
        begin = time.perf_counter()
        answer = _Answer()

        async def watched(message: Message) -> None:
            answer.see(message)
            await send(message)

        try:
            await app(scope, receive, watched)
        finally:
            access_logger.info("%s", _line(scope, answer, time.perf_counter() - begin))


def _is_ambiguous(scope: Scope) -> bool:
    """Whether a proxy before us may see another end of the body than we do, and so another next request.

    httptools refuses this by itself; h11 follows `Transfer-Encoding` and goes on. RFC 9112, section 6.1.
    """
    names = [name for name, _ in scope["headers"]]
    return b"transfer-encoding" in names and b"content-length" in names


def _is_rebound(scope: Scope) -> bool:
    """Whether a request calls this machine by a name that somebody else gave it.

    A page in the user's browser may be sent to us by a name that its owner lets lead to 127.0.0.1 ("DNS
    rebinding"); the browser then takes us for the page's own server. The name is what gives it away.
    """
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    return not all(_LOCAL_HOST.fullmatch(host) for host in hosts)


def _refusal(message: str) -> ASGIApp:
    """Return an application that refuses everything, and closes the connection."""
    content = body(ApiError(ErrorCode.BAD_REQUEST, message))
    return Response(content, 400, {"Connection": "close"}, media_type="application/json")


class _Answer:
    """What the log tells of an answer."""

    status = 0
    size_bytes = 0

    def see(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            self.size_bytes += len(message.get("body", b""))


def _line(scope: Scope, answer: _Answer, seconds: float) -> str:
    """Write `time client user method path status bytes milliseconds`.

    The query stays out, since people put secrets there, and so does every header. The path is written as it
    was sent, percent-encoded, so that it can neither end the line nor draw on a terminal.
    """
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    client = scope.get("client")
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    shown = path.decode("ascii", "backslashreplace")
    if not shown.isprintable():
        shown = ascii(shown)[1:-1]
    who = f"{client[0] if client else '-'} {scope.get('proj.principal', '-')}"
    return (
        f"{stamp}.{int(now * 1000) % 1000:03d}Z {who} "
        f"{scope['method']} {shown} {answer.status or '-'} {answer.size_bytes} {seconds * 1000:.1f}ms"
    )


if TYPE_CHECKING:

    def _conforms(policy: TokenPolicy) -> Policy:
        return policy
