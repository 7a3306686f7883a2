"""The OpenAPI document, made of the table of routes and the messages, so that it says what the code does."""

from __future__ import annotations

import inspect
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

from proj.server.routes import RawRoute, Route
from proj.version import __version__
from proj.wire.codec import list_fields
from proj.wire.errors import ErrorBody

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

_REFERENCE = "#/components/schemas/{name}"
_PREFIX = "/api/2.0/mlflow/"
"""The one of several prefixes below which routes are documented."""
_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


def public_app(app: ASGIApp) -> ASGIApp:
    """Return `app` with the document at `/openapi.json`."""

    async def documented(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/openapi.json" and scope["method"] == "GET":
            await Response(document_json(), media_type="application/json")(scope, receive, send)
        else:
            await app(scope, receive, send)

    return documented


@cache
def document_json() -> bytes:
    """Return the document of this server's routes, but those that only say what it cannot do."""
    from proj.server import artifacts, unsupported
    from proj.server.app import ROUTES

    refusals = {artifacts.refuse_multipart, *(route.handler for route in unsupported.ROUTES)}
    return msgspec.json.encode(document(route for route in ROUTES if route.handler not in refusals))


def document(routes: Iterable[Route | RawRoute]) -> dict[str, Any]:
    """Describe routes by OpenAPI 3.1.

    Args:
        routes: A table such as `proj.server.app.ROUTES`.
    """
    routes = tuple(routes)
    kinds: set[type[msgspec.Struct]] = {
        kind for route in routes if isinstance(route, Route) for kind in (route.request, answer(route))
    }
    kinds.add(ErrorBody)
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    _, schemas = msgspec.json.schema_components(ordered, ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = route.path if route.path.startswith("/") else _PREFIX + route.path
        operation = _typed(route, schemas) if isinstance(route, Route) else _raw(route)
        operation["operationId"] = _operation_id(route.method, path)
        parts = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
            for name in _parts(path)
        ]
        operation["parameters"] = [*parts, *operation.get("parameters", ())]
        paths.setdefault(path.replace(":path}", "}"), {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "proj",
            "version": __version__,
            "description": "Runs, models and their files, as MLflow's clients ask for them.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
        "security": [{}, {"bearer": []}, {"basic": []}],
    }


def answer(route: Route) -> type[msgspec.Struct]:
    """Return the message that a route's handler answers with, as it is annotated."""
    # By name, since the annotations of the other parameters may be there for type checkers only.
    annotated = inspect.get_annotations(route.handler)["return"]
    kind = (
        inspect.unwrap(route.handler).__globals__.get(annotated) if isinstance(annotated, str) else annotated
    )
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        raise TypeError(f"{route.handler.__qualname__} does not say which message it returns")
    return kind


def _typed(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    in_path = _parts(route.path)
    schema = schemas[route.request.__name__]
    operation: dict[str, Any] = {
        "summary": _first_line(route.handler),
        "responses": _responses({"application/json": {"schema": _reference(answer(route))}}),
    }
    if route.method in ("GET", "DELETE"):
        operation["parameters"] = list(_query(route.request, schema, in_path))
    elif len(schema.get("properties", ())) > len(in_path):
        body = _without(schema, in_path) if in_path else _reference(route.request)
        operation["requestBody"] = {"content": {"application/json": {"schema": body}}, "required": True}
    return operation


def _query(
    request: type[msgspec.Struct], schema: dict[str, Any], in_path: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    repeated = list_fields(request)
    for name, content in schema.get("properties", {}).items():
        if name in in_path:
            continue
        parameter = {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": content,
        }
        yield parameter | {"style": "form", "explode": True} if name in repeated else parameter


def _without(schema: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    properties = {name: content for name, content in schema["properties"].items() if name not in names}
    required = [name for name in schema.get("required", ()) if name not in names]
    return {**schema, "properties": properties, "required": required}


def _raw(route: RawRoute) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": _first_line(route.handler),
        "responses": _responses({"*/*": {}}),
    }
    if route.method in ("PUT", "POST"):
        operation["requestBody"] = {"content": _BINARY, "required": False}
    return operation


def _responses(content: dict[str, Any]) -> dict[str, Any]:
    refused = {"application/json": {"schema": _reference(ErrorBody)}}
    return {
        "200": {"description": "Done.", "content": content},
        "default": {"description": "Refused.", "content": refused},
    }


def _reference(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(name=kind.__name__)}


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part.strip("{}").removesuffix(":path") for part in path.split("/") if part.startswith("{"))


def _operation_id(method: str, path: str) -> str:
    words = path.removeprefix(_PREFIX).replace("{", "").replace(":path}", "").replace("}", "")
    return "-".join([method.lower(), *filter(None, words.replace(".", "-").split("/"))])


def _first_line(handler: object) -> str:
    return (inspect.getdoc(handler) or "").partition("\n")[0]
