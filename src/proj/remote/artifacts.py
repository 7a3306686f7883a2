"""Artifacts that a tracking server hands on: those of `mlflow-artifacts:` URIs."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import io
import re
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import msgspec

from proj import events
from proj.errors import NotFoundError, ProjError, StoreError, UnreachableError, UsageError
from proj.model import ArtifactInfo
from proj.remote.client import refusal
from proj.remote.transport import Request
from proj.remote.verdicts import Verdict, verdict
from proj.tracking.artifact_stores import ArtifactStores, uri_scheme
from proj.tracking.artifacts import files_below, local_path
from proj.tracking.object_errors import no_artifact
from proj.tracking.object_places import check_path
from proj.wire.artifacts import FilesAnswer, ListProxied

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from typing_extensions import Buffer  # for the type checker alone

    from proj.remote.client import Client
    from proj.remote.transport import Answer
    from proj.tracking.store import ArtifactStore

_FILES = "/api/2.0/mlflow-artifacts/artifacts"
_OK = 200
_CHUNK_BYTES = 1 << 20
_MAX_ERROR_BYTES = 10_000
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_LEVELS = 2
"""Of the run's and the experiment's folder between its artifacts and the folder of them all."""
_TOLD: set[tuple[str, str]] = set()
"""Servers, and folders here that they chose: each is told once, however often a command opens the records."""
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/]+=*):")


class RemoteArtifactStore:
    """An `ArtifactStore` for `mlflow-artifacts:` URIs: its files go through the tracking server.

    Uploads carry their length and SHA-256 digest (`Repr-Digest`, RFC 9530), for a server that looks at it. A
    download that ends early, or has another digest than the server said, is an error where it ends.

    Args:
        client: The server.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def put(self, artifact_uri: str, path: str, source: Path) -> None:
        """See `ArtifactStore.put`. Links in a folder are followed; what is no file or folder is left out."""
        if not source.is_dir():
            self._send(artifact_uri, path, source)
            return
        if path:
            check_path(path)
        for file, relative in files_below(source):
            self._send(artifact_uri, f"{path}/{relative}" if path else relative, file)

    def write(self, artifact_uri: str, path: str, content: bytes) -> None:
        """See `ArtifactStore.write`."""
        target = self._target(artifact_uri, path)
        digest = hashlib.sha256(content).digest()
        self._ask(self._upload(target, content, len(content), digest), path)

    @contextlib.contextmanager
    def create(self, artifact_uri: str, path: str) -> Iterator[BinaryIO]:
        """See `ArtifactStore.create`. What is written is kept in a temporary file until the end."""
        self._target(artifact_uri, path)
        with tempfile.TemporaryDirectory(prefix="proj-upload-") as folder:
            file = Path(folder) / "content"
            with file.open("wb") as stream:
                yield stream
            self._send(artifact_uri, path, file)

    def _send(self, artifact_uri: str, path: str, file: Path) -> None:
        target = self._target(artifact_uri, path)
        try:
            size, digest = _measured(file)
        except OSError as error:
            raise StoreError(
                f"{file} cannot be stored as the artifact {path!r}: {error.strerror}."
            ) from error
        self._ask(self._upload(target, file, size, digest), path)

    def _upload(self, target: str, body: bytes | Path, size: int, digest: bytes) -> Request:
        headers = {
            "Content-Length": str(size),
            "Content-Type": "application/octet-stream",
            "Repr-Digest": f"sha-256=:{base64.b64encode(digest).decode('ascii')}:",
        }
        return Request(method="PUT", path=target, body=body, headers=headers)

    def list(self, artifact_uri: str, path: str = "") -> tuple[ArtifactInfo, ...]:
        """See `ArtifactStore.list`."""
        message = ListProxied(path=self._below(artifact_uri, path))
        try:
            found = self._client.get(_FILES, message, FilesAnswer).files
        except NotFoundError:
            return ()
        except UsageError as error:
            raise _refused(path, error) from error
        entries = []
        for each in found:
            name = each.path.rpartition("/")[2]
            if name in ("", ".", ".."):  # whoever fetches it would write elsewhere
                continue
            size = each.file_size if isinstance(each.file_size, int) and not each.is_dir else None
            entries.append(
                ArtifactInfo(path=f"{path}/{name}" if path else name, is_dir=each.is_dir, size_bytes=size)
            )
        return tuple(sorted(entries, key=lambda entry: entry.path))

    def open(self, artifact_uri: str, path: str) -> BinaryIO:
        """See `ArtifactStore.open`. It is read from the server piece by piece.

        Reading raises an `UnreachableError` where the connection is lost: the end is the end of the file.
        """
        request = Request(method="GET", path=self._target(artifact_uri, path))
        with contextlib.ExitStack() as stack:
            answer, stream = stack.enter_context(self._client.transport.open(request))
            if answer.status != _OK:
                answer = msgspec.structs.replace(answer, body=stream.read(_MAX_ERROR_BYTES))
                raise self._failed(artifact_uri, path, answer)
            match = _DIGEST.search(answer.headers.get("repr-digest", ""))
            digest = base64.b64decode(match[1]) if match else None
            reading = _Reading(stream, digest, path, stack.pop_all())
        return io.BufferedReader(reading, _CHUNK_BYTES)

    def delete(self, artifact_uri: str, path: str = "") -> None:
        """See `ArtifactStore.delete`."""
        target = self._target(artifact_uri, path) if path else self._quoted(self._below(artifact_uri, ""))
        answer = self._client.transport.send(Request(method="DELETE", path=target))
        if answer.status == _OK:
            return
        failure = refusal(answer, self._client.url)
        if not isinstance(failure, NotFoundError) and self._is_there(artifact_uri, path):
            raise failure

    def walk(self, artifact_uri: str, path: str = "") -> Iterator[ArtifactInfo]:
        """See `ArtifactStore.walk`. A request for each folder."""
        for entry in self.list(artifact_uri, path):
            if entry.is_dir:
                yield from self.walk(artifact_uri, entry.path)
            else:
                yield entry

    def check(self, artifact_uri: str) -> None:
        """Check a URI, without asking the server.

        Raises:
            StoreError: It names no place on this server.
        """
        self._below(artifact_uri, "")

    def _ask(self, request: Request, path: str) -> None:
        answer = self._client.transport.send(request)
        if verdict(answer) is Verdict.TAKEN:
            return
        failure = refusal(answer, self._client.url)
        raise _refused(path, failure) if isinstance(failure, UsageError) else failure

    def _failed(self, artifact_uri: str, path: str, answer: Answer) -> ProjError:
        """What an answer to a download means; MLflow's servers have many for a file that is not there."""
        failure = refusal(answer, self._client.url)
        if isinstance(failure, NotFoundError):
            return no_artifact(path)
        if isinstance(failure, UnreachableError) or answer.status in (401, 403):
            return failure
        if not self._is_there(artifact_uri, path, files_only=True):
            return no_artifact(path)
        return _refused(path, failure) if isinstance(failure, UsageError) else failure

    def _is_there(self, artifact_uri: str, path: str, *, files_only: bool = False) -> bool:
        if not path:
            return bool(self.list(artifact_uri))
        entries = self.list(artifact_uri, path.rpartition("/")[0])
        return any(entry.path == path and not (files_only and entry.is_dir) for entry in entries)

    def _target(self, artifact_uri: str, path: str) -> str:
        check_path(path)
        return self._quoted(self._below(artifact_uri, path))

    def _quoted(self, place: str) -> str:
        if not place:
            raise StoreError("All that a tracking server keeps is no artifact.", hint="Name a path below it.")
        return f"{_FILES}/{quote(place)}"

    def _below(self, artifact_uri: str, path: str) -> str:
        """The place of an artifact below all that the server keeps."""
        root = artifact_uri.partition(":")[2]
        if root.startswith("//"):
            host, _, root = root[2:].partition("/")
            if host.rpartition("@")[2] not in ("", urlsplit(self._client.url).netloc):
                raise StoreError(
                    f"The artifacts of {artifact_uri} are on another server than {self._client.url}."
                )
        parts = [part for part in (root.strip("/"), path) if part]
        for part in parts:
            check_path(part)
        return "/".join(parts)


class _Reading(io.RawIOBase):
    """A file on its way here."""

    def __init__(
        self, stream: BinaryIO, digest: bytes | None, path: str, stack: contextlib.ExitStack
    ) -> None:
        super().__init__()
        self._stream = stream
        self._expected = digest
        self._digest = hashlib.sha256()
        self._path = path
        self._stack = stack

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer).cast("B")
        chunk = self._stream.read(len(view))
        view[: len(chunk)] = chunk
        if self._expected is not None:
            self._digest.update(chunk)
            if not chunk and self._digest.digest() != self._expected:
                raise StoreError(
                    f"The artifact {self._path!r} did not come as the server has it: its digest is another.",
                    hint="Try again.",
                )
        return len(chunk)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._stack.close()


class ServerArtifactStores(ArtifactStores):
    """An `ArtifactStore` for all URIs that a tracking server gives its runs.

    A server that hands no artifacts on gives them `file:` URIs, for clients on its own machine or on one that
    has the same folders.

    Args:
        client: The server.
    """

    def __init__(self, client: Client) -> None:
        super().__init__({"mlflow-artifacts": lambda: RemoteArtifactStore(client)})
        self._url = client.url

    def store_of(self, artifact_uri: str) -> ArtifactStore:
        """See `ArtifactStores.store_of`. It is told which folder a server of another machine has chosen here.

        Raises:
            StoreError: Also for a folder that is not on this machine.
        """
        if uri_scheme(artifact_uri) in ("", "file") and not is_here(urlsplit(self._url).hostname or ""):
            folder = local_path(artifact_uri)
            base = folder.parents[_LEVELS] if len(folder.parents) > _LEVELS else folder
            if not base.is_dir() or not base.is_absolute():
                raise StoreError(
                    f"The server {self._url} keeps artifacts in {base}, a folder that is not here.",
                    hint="Start the server with --serve-artifacts, or with an artifact root that both reach.",
                )
            if (self._url, str(base)) not in _TOLD:
                _TOLD.add((self._url, str(base)))
                events.warning(
                    f"{self._url} keeps artifacts in the folder {base}: the one of this machine is used."
                )
        return super().store_of(artifact_uri)


def is_here(host: str) -> bool:
    """Whether a host name or address is one of this machine's."""
    return host in (*_LOOPBACK, socket.gethostname().lower()) or (host != "" and _leads_here(host))


@functools.lru_cache(maxsize=64)
def _leads_here(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return False
    return any(_is_own(family, address) for family, _, _, _, address in found)


def _is_own(family: int, address: tuple[object, ...]) -> bool:
    """Whether an address is one of this machine's: only of its own may a socket be bound to."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind(address)
    except OSError:
        return False
    return True


def _measured(file: Path) -> tuple[int, bytes]:
    """Return the size of a file and its digest, both of the same bytes."""
    digest, size = hashlib.sha256(), 0
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.digest()


def _refused(path: str, error: ProjError) -> StoreError:
    return StoreError(f"The server refuses the artifact {path!r}: {error.message}")


if TYPE_CHECKING:

    def _conforms(store: RemoteArtifactStore) -> ArtifactStore:
        return store
