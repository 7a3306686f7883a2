"""Handlers of artifacts: listing, and the files themselves, which are streamed both ways."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from proj.server.policy import Access
from proj.server.routes import RawRoute, Route
from proj.wire.artifacts import FilesAnswer, ListArtifacts, ListProxied
from proj.wire.codec import encode
from proj.wire.entities import FileInfoOut, file_info_out
from proj.wire.errors import absent, invalid, missing, unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from proj.server.routes import Context

_CHUNK_BYTES = 1 << 20
_RUN_ID = re.compile(r"[0-9a-f]{32}")
_PROXIED = "/api/2.0/mlflow-artifacts"


def checked_path(path: str) -> str:
    """Return a path of artifacts without slashes at its ends.

    Raises:
        ApiError: It leads out of where it belongs.
    """
    parts = path.split("/")
    if ".." in parts or "\0" in path or "\\" in path or path.startswith("/"):
        raise invalid("Invalid path")
    return "/".join(part for part in parts if part not in ("", "."))


# --- of a run, by its id ------------------------------------------------------------------------------


def list_artifacts(context: Context, request: ListArtifacts) -> FilesAnswer:
    """`GET artifacts/list`."""
    run = context.tracking.runs.run(request.run)
    entries = context.tracking.artifacts.list(run.artifact_uri, checked_path(request.path))
    return FilesAnswer(
        files=tuple(file_info_out(entry) for entry in entries),
        root_uri=context.site.public_uri(run.artifact_uri),
    )


async def get_artifact(context: Context, request: Request, _parts: dict[str, str]) -> Response:
    """`GET /get-artifact`: one file of a run."""
    run_id = request.query_params.get("run_id") or request.query_params.get("run_uuid")
    path = request.query_params.get("path")
    if not run_id or not path:
        raise missing("path" if run_id else "run_id")
    context.principal.check(Access.READ)
    run = await run_in_threadpool(context.tracking.runs.run, run_id)
    return await send_file(context, run.artifact_uri, checked_path(path))


async def send_file(context: Context, artifact_uri: str, path: str) -> Response:
    """Answer with a file, a piece at a time.

    Raises:
        ProjError: There is none.
    """
    file = await run_in_threadpool(context.tracking.artifacts.open, artifact_uri, path)
    name = path.rpartition("/")[2]
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
        "Content-Length": str(os.fstat(file.fileno()).st_size),
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(_chunks(file), headers=headers, media_type="application/octet-stream")


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


# --- by their place below all artifacts, for `mlflow-artifacts:` URIs ---------------------------------


def _base(context: Context) -> str:
    if context.site.artifact_base is None:
        raise unsupported("This server hands on no artifacts: clients reach them directly.")
    return context.site.artifact_base


def _owner(path: str) -> tuple[Access, tuple[str, ...]]:
    """Return what changing a file takes: it belongs to a run, or else to a logged model."""
    first = path.partition("/")[0]
    return (Access.LOG, (first,)) if _RUN_ID.fullmatch(first) else (Access.MODELS, ())


def list_proxied(context: Context, request: ListProxied) -> FilesAnswer:
    """`GET mlflow-artifacts/artifacts`: names are relative to the path that is asked for."""
    entries = context.tracking.artifacts.list(_base(context), checked_path(request.path))
    files = (file_info_out(entry) for entry in entries)
    return FilesAnswer(files=tuple(_relative(file) for file in files))


def _relative(file: FileInfoOut) -> FileInfoOut:
    return FileInfoOut(path=file.path.rpartition("/")[2], is_dir=file.is_dir, file_size=file.file_size)


async def download(context: Context, _request: Request, parts: dict[str, str]) -> Response:
    """`GET mlflow-artifacts/artifacts/<path>`."""
    context.principal.check(Access.READ)
    return await send_file(context, _base(context), _named(parts))


async def upload(context: Context, request: Request, parts: dict[str, str]) -> Response:
    """`PUT mlflow-artifacts/artifacts/<path>`: it is there when all of it has come, or not at all."""
    path = _named(parts)
    context.principal.check(*_owner(path))
    expected = request.headers.get("content-length")
    with context.tracking.artifacts.create(_base(context), path) as file:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            await run_in_threadpool(file.write, chunk)
        if expected is not None and int(expected) != size:
            raise invalid(f"The upload of {path!r} ended after {size} of {expected} bytes.")
    return Response(b"{}", media_type="application/json")


async def remove(context: Context, _request: Request, parts: dict[str, str]) -> Response:
    """`DELETE mlflow-artifacts/artifacts/<path>`."""
    path = _named(parts)
    context.principal.check(*_owner(path))
    found = await run_in_threadpool(_remove, context, path)
    if not found:
        raise absent(f"There is no artifact {path!r}.")
    return Response(encode({}), media_type="application/json")


def _remove(context: Context, path: str) -> bool:
    folder, _, name = path.rpartition("/")
    entries = context.tracking.artifacts.list(_base(context), folder)
    if not any(entry.path.rpartition("/")[2] == name for entry in entries):
        return False
    context.tracking.artifacts.delete(_base(context), path)
    return True


def _named(parts: dict[str, str]) -> str:
    path = checked_path(parts["artifact_path"])
    if not path:
        raise missing("artifact_path")
    return path


async def refuse_multipart(_context: Context, _request: Request, _parts: dict[str, str]) -> Response:
    """`mlflow-artifacts/mpu/…` and `…/presigned/…`: clients then send and get files whole."""
    raise unsupported("Multipart upload is not supported for the current artifact repository")


_FILE = f"{_PROXIED}/artifacts/{{artifact_path:path}}"
ROUTES: tuple[Route | RawRoute, ...] = (
    Route("GET", "artifacts/list", list_artifacts, ListArtifacts),
    RawRoute("GET", "/get-artifact", get_artifact),
    Route("GET", f"{_PROXIED}/artifacts", list_proxied, ListProxied),
    RawRoute("GET", _FILE, download),
    RawRoute("PUT", _FILE, upload),
    RawRoute("DELETE", _FILE, remove),
    *(
        RawRoute("POST", f"{_PROXIED}/mpu/{action}/{{artifact_path:path}}", refuse_multipart)
        for action in ("create", "complete", "abort")
    ),
    RawRoute("GET", f"{_PROXIED}/presigned/{{artifact_path:path}}", refuse_multipart),
)
