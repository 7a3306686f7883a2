"""What clients ask before anything else: is somebody there, and which version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse

from proj.server.routes import Context, RawRoute, Route
from proj.wire.codec import Empty, Message

if TYPE_CHECKING:
    from starlette.requests import Request

MLFLOW_VERSION = "3.17.0"
"""The version of MLflow's server whose protocol is spoken: clients compare it with their own."""


class ServerInfo(Message, frozen=True):
    """`GET /api/3.0/mlflow/server-info`."""

    store_type: str = "SqlStore"
    workspaces_enabled: bool = False
    trace_archival_enabled: bool = False


async def health(_context: Context, _request: Request, _parts: dict[str, str]) -> PlainTextResponse:
    """Say that the server is there."""
    return PlainTextResponse("OK")


async def version(_context: Context, _request: Request, _parts: dict[str, str]) -> PlainTextResponse:
    """Say which version of MLflow's protocol is spoken."""
    return PlainTextResponse(MLFLOW_VERSION)


def server_info(_context: Context, _request: Empty) -> ServerInfo:
    """Say what this server can do beyond the oldest protocol."""
    return ServerInfo()


ROUTES: tuple[Route | RawRoute, ...] = (
    RawRoute("GET", "/health", health),
    RawRoute("GET", "/version", version),
    Route("GET", "server-info", server_info, Empty),
)
