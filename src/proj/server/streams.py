"""Files on their way through the server, a piece at a time, whatever the store they are in."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import re
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from proj.wire.errors import invalid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from starlette.requests import Request

    from proj.tracking.store import ArtifactStore

_CHUNK_BYTES = 1 << 20
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
"""Of more digits is no file; a range that cannot be understood may be ignored (RFC 9110, section 14.2)."""
_SHA256 = re.compile(r"(?:^|,)\s*sha-256\s*=\s*:([^:,]*):", re.IGNORECASE)
_DIGESTS = ("content-digest", "repr-digest")
"""RFC 9530; a body that is not encoded is its own representation."""


# --- to the client ------------------------------------------------------------------------------------


async def send_file(request: Request, artifacts: ArtifactStore, artifact_uri: str, path: str) -> Response:
    """Answer with a file, or the one range of it that the request asks for.

    Raises:
        ProjError: There is none.
    """
    file, size = await run_in_threadpool(_opened, artifacts, artifact_uri, path)
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(path.rpartition('/')[2])}",
        "X-Content-Type-Options": "nosniff",
    }
    status, start, end = _asked(request.headers, size)
    if status == 416:  # noqa: PLR2004  Range Not Satisfiable
        file.close()
        return Response(status_code=status, headers={**headers, "Content-Range": f"bytes */{size}"})
    if status == 206:  # noqa: PLR2004  Partial Content
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    headers["Content-Length"] = str(end - start)
    return StreamingResponse(
        _chunks(file, start, end), status, headers, media_type="application/octet-stream"
    )


def _opened(artifacts: ArtifactStore, artifact_uri: str, path: str) -> tuple[BinaryIO, int]:
    file = artifacts.open(artifact_uri, path)
    return file, file.seek(0, os.SEEK_END)


def _asked(headers: Mapping[str, str], size: int) -> tuple[int, int, int]:
    """Return the status of the answer, and from where to where the file is sent."""
    match = _RANGE.fullmatch(headers.get("range", "").strip())
    if match is None or match.groups() == ("", "") or "if-range" in headers:
        return 200, 0, size
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if first and last and int(last) < start:
        return 200, 0, size
    return (206, start, end) if start < end else (416, 0, 0)


def _chunks(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    with file:
        file.seek(start)
        while start < end and (chunk := file.read(min(_CHUNK_BYTES, end - start))):
            start += len(chunk)
            yield chunk


# --- from the client ----------------------------------------------------------------------------------


async def receive_file(request: Request, artifacts: ArtifactStore, artifact_uri: str, path: str) -> None:
    """Store the body of a request: when all of it has come and is what the client sent, or not at all.

    Raises:
        ApiError: It is shorter than it says, or has another digest.
        ProjError: It cannot be stored.
    """
    expected = _expected_digests(request.headers)
    length = request.headers.get("content-length")
    block = contextlib.ExitStack()
    file = await run_in_threadpool(block.enter_context, artifacts.create(artifact_uri, path))
    try:
        digest, size = hashlib.sha256(), 0

        def take(content: bytes) -> None:
            digest.update(content)
            file.write(content)

        async for chunk in _gathered(request):
            size += len(chunk)
            await run_in_threadpool(take, chunk)
        _check_whole(path, size, length)
        _check_sound(path, digest.digest(), expected)
    except BaseException as error:
        await run_in_threadpool(_give_up, block, error)
        raise
    await run_in_threadpool(block.close)


async def _gathered(request: Request) -> AsyncIterator[bytes]:
    """The body in larger pieces than it comes in."""
    pieces, size = [], 0
    async for piece in request.stream():
        pieces.append(piece)
        size += len(piece)
        if size >= _CHUNK_BYTES:
            yield b"".join(pieces)
            pieces, size = [], 0
    yield b"".join(pieces)


def _check_whole(path: str, size: int, length: str | None) -> None:
    if length is not None and int(length) != size:
        raise invalid(f"The upload of {path!r} ended after {size} of {length} bytes.")


def _check_sound(path: str, digest: bytes, expected: list[bytes]) -> None:
    if any(each != digest for each in expected):
        raise invalid(f"The upload of {path!r} was damaged on its way: its SHA-256 is another one.")


def _give_up(block: contextlib.ExitStack, error: BaseException) -> None:
    with contextlib.suppress(type(error)):  # what it raises again is raised by our caller
        block.__exit__(type(error), error, error.__traceback__)


def _expected_digests(headers: Mapping[str, str]) -> list[bytes]:
    """The SHA-256 digests that the client states; digests of other kinds are left alone.

    Raises:
        ApiError: One is no digest.
    """
    found = [text for name in _DIGESTS for text in _SHA256.findall(headers.get(name, ""))]
    try:
        return [base64.b64decode(text, validate=True) for text in found]
    except binascii.Error as error:
        raise invalid("The digest of the upload is no base64.") from error
