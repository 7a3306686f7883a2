"""The endpoint of a run that is recorded on a server: it hands on all that the program asks for.

Each request goes to the server with the user's credentials instead of the run's token, whatever its path, so
nothing that the server can do is lost. A few are looked into (`relayed`). What the server cannot take now
goes into the journal, and the program is told that it is done.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from proj.remote.journaled import may_wait
from proj.remote.transport import Request
from proj.server.session import check_token
from proj.wire import errors
from proj.wire.errors import ApiError, ErrorCode, api_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from starlette.types import Message, Receive, Scope, Send

    from proj.remote.journaled import JournalTransport
    from proj.remote.transport import Answer
    from proj.server.relayed import Relayed

_CHUNK_BYTES = 1 << 18
_IN_MEMORY_BYTES = 1 << 20
_PUT = "PUT"
_MAX_JSON_BYTES = 32 << 20
"""What is not an upload is looked into, or sent again, as a whole."""

_SENT_ON = frozenset({"accept", "content-type", "content-range", "range", "if-match", "if-none-match"})
"""Headers that the server gets; those that begin with `x-mlflow-` too."""
_KEPT_BACK = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
        *("te", "trailer", "trailers", "transfer-encoding", "upgrade"),  # of one connection, not of a message
        *("date", "server", "set-cookie", "strict-transport-security", "alt-svc", "www-authenticate"),
        "content-encoding",  # bodies come decoded
    }
)
"""Headers of an answer that the program does not get."""


class Relay:
    """An ASGI application.

    Args:
        transport: The way to the server.
        relayed: Looks into the requests that concern the run.
        token: What the program proves itself by.
    """

    def __init__(self, transport: JournalTransport, relayed: Relayed, token: str) -> None:
        self._transport = transport
        self._relayed = relayed
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        http = HttpRequest(scope, receive)
        spooled: list[Path] = []
        answering = _Answering(send)
        try:
            check_token(http.headers, self._token)
            request = await self._request(http, spooled)
            answer = await run_in_threadpool(self._relayed.answer, request)
            if answer is None and may_wait(request):
                answer = await run_in_threadpool(self._transport.send, request)
            if answer is not None:
                await answering.whole(answer)
            else:
                await self._hand_on(request, answering)
        except ClientDisconnect:
            return
        except Exception as error:
            if answering.begun:  # half of it is there: only the end of the connection can tell
                raise
            await _refusal(api_error(error))(scope, receive, send)
        finally:
            for path in spooled:
                path.unlink(missing_ok=True)

    async def _request(self, http: HttpRequest, spooled: list[Path]) -> Request:
        path = http.scope["raw_path"].decode("ascii", "replace")
        if not path.startswith("/") or {".", ".."} & set(unquote(path).split("/")) or "\\" in unquote(path):
            raise ApiError(ErrorCode.BAD_REQUEST, "Invalid path")
        return Request(
            method=http.method,
            path=path,
            query=tuple(parse_qsl(http.scope["query_string"].decode("latin-1"), keep_blank_values=True)),
            headers=_sent_on(http.headers.items()),
            body=await self._body(http, spooled),
        )

    async def _body(self, http: HttpRequest, spooled: list[Path]) -> bytes | Path | None:
        """Return a body once all of it is there: the server never sees half of an upload."""
        limit = _IN_MEMORY_BYTES if http.method == _PUT else _MAX_JSON_BYTES
        chunks: list[bytes] = []
        size = 0
        with contextlib.ExitStack() as stack:
            file: BinaryIO | None = None
            async for chunk in http.stream():
                size += len(chunk)
                if file is not None:
                    await run_in_threadpool(file.write, chunk)
                    continue
                chunks.append(chunk)
                if size > limit:
                    spooled.append(self._transport.journal.spool())
                    file = stack.enter_context(spooled[0].open("wb"))
                    await run_in_threadpool(file.write, b"".join(chunks))
        if spooled:
            return spooled[0]
        return b"".join(chunks) if size or http.method not in ("GET", "HEAD") else None

    async def _hand_on(self, request: Request, answering: _Answering) -> None:
        with contextlib.ExitStack() as stack:
            opened = self._transport.open(request)
            answer, stream = await run_in_threadpool(stack.enter_context, opened)
            await answering.piecewise(answer, stream, without_body=request.method == "HEAD")


class _Answering:
    """Sends one answer to the program."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False

    async def whole(self, answer: Answer) -> None:
        headers = {**answer.headers, "content-length": str(len(answer.body))}
        await self._begin(answer.status, headers)
        await self._send(_piece(answer.body, more=False))

    async def piecewise(self, answer: Answer, stream: BinaryIO, *, without_body: bool) -> None:
        headers = dict(answer.headers)
        if headers.get("content-encoding", "identity") != "identity" and not without_body:
            headers.pop("content-length", None)  # it was that of the encoded body
        await self._begin(answer.status, headers)
        while not without_body and (chunk := await run_in_threadpool(stream.read, _CHUNK_BYTES)):
            await self._send(_piece(chunk, more=True))
        await self._send(_piece(b"", more=False))

    async def _begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.begun = True
        kept = [
            (name.encode("latin-1"), value.encode("latin-1", "replace"))
            for name, value in headers.items()
            if name.lower() not in _KEPT_BACK
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": kept})


def _piece(body: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


def _sent_on(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    kept = {name: value for name, value in headers if name in _SENT_ON or name.startswith("x-mlflow-")}
    return {**kept, "accept-encoding": "identity"}


def _refusal(error: ApiError) -> Response:
    return Response(errors.body(error), error.status, media_type="application/json")
