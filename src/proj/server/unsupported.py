"""What MLflow's server can do and this one cannot: refused by name, so that nobody has to guess."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from proj.server.routes import RawRoute, Route
from proj.wire import errors

if TYPE_CHECKING:
    from starlette.requests import Request

    from proj.server.routes import Context

_FAMILIES = (
    ("traces", "Traces"),
    ("unified-traces", "Traces"),
    ("get-online-trace-details", "Traces"),
    ("assessments", "Assessments"),
    ("webhooks", "Webhooks"),
    ("gateway", "The AI gateway"),
    ("datasets", "Evaluation datasets"),
    ("scorers", "Scorers"),
    ("issues", "Issues"),
    ("label-schemas", "Label schemas"),
    ("review-queues", "Review queues"),
    ("prompt-optimization", "Prompt optimization"),
    ("workspaces", "Workspaces"),
    ("artifacts/presigned-upload-url", "Presigned URLs"),
    ("artifacts/presigned-download-url", "Presigned URLs"),
)
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


async def _refuse(_context: Context, request: Request, _parts: dict[str, str]) -> NoReturn:
    path = request.url.path
    name = next((name for prefix, name in _FAMILIES if f"/mlflow/{prefix}" in path), "This")
    raise errors.unsupported(f"{name}: not supported by this server ({request.method} {path}).")


ROUTES: tuple[Route | RawRoute, ...] = tuple(
    RawRoute(method, path, _refuse)
    for prefix, _ in _FAMILIES
    for method in _METHODS
    for path in (prefix, f"{prefix}/{{rest:path}}")
)
