"""The application: requests to handlers by one table of routes, and errors to MLflow's shape.

It speaks ASGI itself where the answer is JSON, which is nearly always: finding a handler is one look into a
dict, and the handler runs in a thread with typed values. Starlette carries what is streamed.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from proj.server import (
    artifacts,
    experiments,
    inputs,
    logged_models,
    metrics,
    probes,
    registry,
    runs,
    unsupported,
)
from proj.server.routes import MLFLOW_PREFIXES, Context, RawRoute, Route, Site
from proj.server.rules import Rules
from proj.wire import errors
from proj.wire.codec import convert, decode_body, decode_object, decode_query, encode, query_object
from proj.wire.errors import ApiError, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from proj.server.policy import Policy
    from proj.tracking import Tracking

_logger = logging.getLogger("proj.server.access")

ROUTES: tuple[Route | RawRoute, ...] = (
    *probes.ROUTES,
    *experiments.ROUTES,
    *runs.ROUTES,
    *inputs.ROUTES,
    *metrics.ROUTES,
    *artifacts.ROUTES,
    *registry.ROUTES,
    *logged_models.ROUTES,
    *unsupported.ROUTES,
)
"""All that is answered."""

MAX_BODY_BYTES = 32 << 20
"""Of a JSON body. MLflow's own limit is 1 MB for batches; a dataset's profile may have 16 MB."""

_Pattern = tuple[tuple[str, ...], "Route | RawRoute"]


def create_app(
    tracking: Tracking, policy: Policy, site: Site | None = None, rules: Rules | None = None
) -> ASGIApp:
    """Make the application.

    Args:
        tracking: The records; used by many threads at a time.
        policy: Who may do what.
        site: How artifacts are reached.
        rules: Where it differs from MLflow's server.
    """
    return _App(tracking, policy, site or Site(), rules or Rules())


class _Table:
    """Routes by path: whole ones in a dict, those with parts to be filled in by their number of segments."""

    def __init__(self, routes: Iterable[Route | RawRoute]) -> None:
        self._whole: dict[str, dict[str, Route | RawRoute]] = {}
        self._patterns: list[_Pattern] = []
        for route in routes:
            for path in _paths(route.path):
                if "{" in path:
                    self._patterns.append((tuple(path.split("/")), route))
                else:
                    self._whole.setdefault(path, {})[route.method] = route

    def find(self, method: str, path: str) -> tuple[Route | RawRoute, dict[str, str]]:
        """Return the route of a request, and what stands in the path's variable parts.

        Raises:
            ApiError: ENDPOINT_NOT_FOUND.
        """
        methods = self._whole.get(path)
        if methods is not None and method in methods:
            return methods[method], {}
        known = set(methods or ())
        segments = path.split("/")
        for pattern, route in self._patterns:
            parts = _match(pattern, segments)
            if parts is None:
                continue
            if route.method == method:
                return route, parts
            known.add(route.method)
        if known:
            allowed = tuple(sorted(known))
            message = f"{path} answers {', '.join(allowed)}, not {method}."
            raise ApiError(ErrorCode.ENDPOINT_NOT_FOUND, message, status=405, allowed=allowed)
        raise ApiError(ErrorCode.ENDPOINT_NOT_FOUND, f"There is nothing at {method} {path}.")


def _paths(path: str) -> tuple[str, ...]:
    return (path,) if path.startswith("/") else tuple(prefix + path for prefix in MLFLOW_PREFIXES)


def _match(pattern: tuple[str, ...], segments: list[str]) -> dict[str, str] | None:
    parts: dict[str, str] = {}
    for number, part in enumerate(pattern):
        if part.endswith(":path}"):
            parts[part[1:-6]] = "/".join(segments[number:])
            return parts if len(segments) > number else None
        if number >= len(segments):
            return None
        if part.startswith("{"):
            parts[part[1:-1]] = segments[number]
        elif part != segments[number]:
            return None
    return parts if len(pattern) == len(segments) else None


class _App:
    """An ASGI application."""

    def __init__(self, tracking: Tracking, policy: Policy, site: Site, rules: Rules) -> None:
        self._tracking = tracking
        self._policy = policy
        self._site = site
        self._rules = rules
        self._table = _Table(ROUTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        try:
            response = await self._answer(scope, receive)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001  a request never ends the server
            response = _refusal(errors.api_error(error))
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        method: str = scope["method"]
        route, parts = self._table.find(method, scope["path"])
        request = Request(scope, receive)
        principal = self._policy.identify(request.headers)
        scope["proj.principal"] = principal.name
        context = Context(tracking=self._tracking, principal=principal, site=self._site, rules=self._rules)
        if isinstance(route, RawRoute):
            return await route.handler(context, request, parts)
        query: bytes = b"" if method == "POST" else scope["query_string"]
        body = b"" if method == "GET" and query else await _body(request)
        if method == "POST":
            _refuse_forms(request, body)
        content = await run_in_threadpool(_call, context, route, parts, query, body)
        return Response(content, media_type="application/json")


def _call(context: Context, route: Route, parts: dict[str, str], query: bytes, body: bytes) -> bytes:
    message: Any
    if parts:
        given = query_object(query, route.request) if query and not body else decode_object(body)
        message = convert({**given, **parts}, route.request)
    elif query and not body:
        message = decode_query(query, route.request)
    else:
        message = decode_body(body, route.request)
    context.principal.check(route.access, route.runs(message))
    return encode(route.handler(context, message))


def _refuse_forms(request: Request, body: bytes) -> None:
    """See that a POST is no form of some page in the user's browser: those have other types of content."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and (body or kind):
        raise ApiError(ErrorCode.BAD_REQUEST, "Bad Request. Content-Type must be application/json.")


async def _body(request: Request) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise ApiError(
                ErrorCode.BAD_REQUEST, f"The body is larger than {MAX_BODY_BYTES} bytes.", status=413
            )
        chunks.append(chunk)
    return b"".join(chunks)


def _refusal(error: ApiError) -> Response:
    headers: dict[str, str] = {}
    if error.status == 401:  # noqa: PLR2004  Unauthorized
        headers["WWW-Authenticate"] = "Bearer"
    if error.allowed:
        headers["Allow"] = ", ".join(error.allowed)
    return Response(errors.body(error), error.status, headers, media_type="application/json")


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
