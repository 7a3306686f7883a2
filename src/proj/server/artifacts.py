"""Handlers of artifacts: listing, and the files themselves, which are streamed both ways."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from proj.server.limits import readings
from proj.server.policy import Access
from proj.server.routes import RawRoute, Route
from proj.server.streams import receive_file, send_file
from proj.wire.artifacts import FilesAnswer, ListArtifacts, ListProxied
from proj.wire.codec import encode
from proj.wire.entities import FileInfoOut, file_info_out
from proj.wire.errors import absent, invalid, missing, unsupported

if TYPE_CHECKING:
    from starlette.requests import Request

    from proj.model import ArtifactInfo
    from proj.server.routes import Context

_RUN_ID = re.compile(r"[0-9a-f]{32}")
_PROXIED = "/api/2.0/mlflow-artifacts"


def checked_path(path: str) -> str:
    """Return a path of artifacts without slashes at its ends.

    Raises:
        ApiError: It leads out of where it belongs, or would to whoever unquotes it once more.
    """
    for meant in readings(path):
        if ".." in meant.split("/") or "\0" in meant or "\\" in meant or meant.startswith("/"):
            raise invalid("Invalid path")
    return "/".join(part for part in path.split("/") if part not in ("", "."))


# --- of a run, by its id ------------------------------------------------------------------------------


def list_artifacts(context: Context, request: ListArtifacts) -> FilesAnswer:
    """`GET artifacts/list`."""
    run = context.tracking.runs.run(request.run)
    entries = entries_of(context, run.artifact_uri, request.path)
    return FilesAnswer(
        files=tuple(file_info_out(entry) for entry in entries),
        root_uri=context.site.public_uri(run.artifact_uri),
    )


def entries_of(context: Context, artifact_uri: str, path: str) -> tuple[ArtifactInfo, ...]:
    """Return what is in a folder of artifacts of a run or a model.

    Raises:
        ApiError: It is in a place that clients reach and the server does not.
    """
    folder = checked_path(path)
    _check_reached(context, artifact_uri)
    return context.tracking.artifacts.list(artifact_uri, folder)


def _check_reached(context: Context, artifact_uri: str) -> None:
    if not context.site.reaches(artifact_uri):
        raise unsupported(f"The files are in {artifact_uri}, which clients reach directly.")


async def get_artifact(context: Context, request: Request, _parts: dict[str, str]) -> Response:
    """`GET /get-artifact`: one file of a run."""
    run_id = request.query_params.get("run_id") or request.query_params.get("run_uuid")
    path = request.query_params.get("path")
    if not run_id or not path:
        raise missing("path" if run_id else "run_id")
    context.principal.check(Access.READ)
    run = await run_in_threadpool(context.tracking.runs.run, run_id)
    return await send_artifact(context, request, run.artifact_uri, path)


async def send_artifact(context: Context, request: Request, artifact_uri: str, path: str) -> Response:
    """Answer with a file of a run or a model.

    Raises:
        ApiError: It is in a place that clients reach and the server does not.
        ProjError: There is none.
    """
    name = checked_path(path)
    _check_reached(context, artifact_uri)
    return await send_file(request, context.tracking.artifacts, artifact_uri, name)


# --- by their place below all artifacts, for `mlflow-artifacts:` URIs ---------------------------------


def _located(context: Context, path: str) -> tuple[str, str]:
    """Return the folder that a path leads to, and the path below it."""
    if not context.site.proxied or context.site.artifact_base is None:
        raise unsupported("This server hands on no artifacts: clients reach them directly.")
    return context.site.locate(context.site.artifact_base, path)


def _owner(path: str) -> tuple[Access, tuple[str, ...]]:
    """Return what changing a file takes: it belongs to a run, or else to a logged model."""
    first = path.partition("/")[0]
    return (Access.LOG, (first,)) if _RUN_ID.fullmatch(first) else (Access.MODELS, ())


def list_proxied(context: Context, request: ListProxied) -> FilesAnswer:
    """`GET mlflow-artifacts/artifacts`: names are relative to the path that is asked for."""
    entries = context.tracking.artifacts.list(*_located(context, checked_path(request.path)))
    files = (file_info_out(entry) for entry in entries)
    return FilesAnswer(files=tuple(_relative(file) for file in files))


def _relative(file: FileInfoOut) -> FileInfoOut:
    return FileInfoOut(path=file.path.rpartition("/")[2], is_dir=file.is_dir, file_size=file.file_size)


async def download(context: Context, request: Request, parts: dict[str, str]) -> Response:
    """`GET mlflow-artifacts/artifacts/<path>`."""
    context.principal.check(Access.READ)
    base, path = _named(context, parts)
    return await send_file(request, context.tracking.artifacts, base, path)


async def upload(context: Context, request: Request, parts: dict[str, str]) -> Response:
    """`PUT mlflow-artifacts/artifacts/<path>`: it is there when all of it has come, or not at all."""
    base, path = _named(context, parts)
    context.principal.check(*_owner(path))
    await receive_file(request, context.tracking.artifacts, base, path)
    return Response(b"{}", media_type="application/json")


async def remove(context: Context, _request: Request, parts: dict[str, str]) -> Response:
    """`DELETE mlflow-artifacts/artifacts/<path>`."""
    base, path = _named(context, parts)
    context.principal.check(*_owner(path))
    found = await run_in_threadpool(_remove, context, base, path)
    if not found:
        raise absent(f"There is no artifact {path!r}.")
    return Response(encode({}), media_type="application/json")


def _remove(context: Context, base: str, path: str) -> bool:
    folder, _, name = path.rpartition("/")
    entries = context.tracking.artifacts.list(base, folder)
    if not any(entry.path.rpartition("/")[2] == name for entry in entries):
        return False
    context.tracking.artifacts.delete(base, path)
    return True


def _named(context: Context, parts: dict[str, str]) -> tuple[str, str]:
    base, path = _located(context, checked_path(parts["artifact_path"]))
    if not path:
        raise missing("artifact_path")
    return base, path


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
