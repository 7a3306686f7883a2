"""The docker daemon as a place that images come from and go to."""

from __future__ import annotations

import contextlib
import os
import re
import tarfile
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol, cast

import msgspec

from proj import events
from proj.errors import FailureCode, ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from proj.images.blobs import BlobCache

_MISSING_LAYER: Final = re.compile(r"/layers/(\d+)-[0-9a-f]{64}\.tar: no such file")
_SOCKET: Final = "/var/run/docker.sock"
_TIMEOUT_S: Final = 600
_WITHOUT: Final = "For `proj build`, --push and -o oci:DIR need none."


@contextlib.contextmanager
def connected() -> Iterator[Engine]:
    """A connection to the daemon that docker's command line would use (`DOCKER_HOST`, else its socket).

    Raises:
        ImageError: There is none, or it may not be asked.
    """
    import docker
    from docker import errors
    from requests import RequestException

    version = _api_version()  # which the library would ask for by itself, and say less about why it gets none
    client: Engine | None = None
    try:
        try:
            api = docker.from_env(version=version, timeout=_TIMEOUT_S).api
        except errors.DockerException as error:
            raise unreachable(str(error)) from error
        api.trust_env = False  # else REQUESTS_CA_BUNDLE would replace the engine's own authority
        client = cast("Engine", api)
        yield client
    except errors.APIError as error:
        raise ImageError(f"The docker daemon refused: {error.explanation or error}.") from error
    except RequestException as error:
        raise unreachable(str(error)) from error
    finally:
        if client is not None:
            client.close()


def _api_version() -> str:
    from proj.images import engine

    try:
        told = engine.Engine().ask("GET", "/version")
        return str(told["ApiVersion"])
    except (engine.EngineError, KeyError, TypeError) as error:
        raise unreachable(f"it does not tell its version: {error}") from error
    except ImageError as error:
        hint = " ".join(filter(None, (error.hint, _WITHOUT)))
        raise ImageError(error.message, hint=hint, details=error.details) from error


class Engine(Protocol):
    """What is used of docker's `APIClient`."""

    def version(self) -> dict[str, Any]:
        """Ask which it is."""

    def inspect_image(self, image: str) -> dict[str, Any]:
        """Tell all about an image."""

    def get_image(self, image: str) -> Iterator[bytes]:
        """Give an image as an archive."""

    def load_image(self, data: Iterator[bytes], *, quiet: bool) -> Iterator[dict[str, Any]]:
        """Take an archive."""

    def build(self, **options: object) -> Iterator[dict[str, Any]]:
        """Build a Dockerfile."""

    def pull(
        self,
        repository: str,
        *,
        tag: str | None,
        stream: bool,
        decode: bool,
        platform: str | None,
        auth_config: dict[str, str] | None,
    ) -> Iterator[dict[str, Any]]:
        """Bring an image from its registry."""

    def close(self) -> None:
        """End the connection."""


def unreachable(said: str) -> ImageError:
    """The error for a daemon that does not answer, or ceases to.

    Args:
        said: What docker's library says of it.
    """
    where = os.environ.get("DOCKER_HOST") or _SOCKET
    return ImageError(
        f"No docker daemon answers at {where}.",
        hint=f"Start it, or name another in DOCKER_HOST. {_WITHOUT}",
        details=tuple(said.splitlines()[-1:]),
    )


class DaemonImage:
    """An image of the daemon, read at one moment.

    Args:
        name: As `docker image inspect` takes it.
        cache: Where its blobs go.

    Raises:
        ImageError: There is no daemon, or no such image.
    """

    def __init__(self, name: str, cache: BlobCache) -> None:
        self.name = name
        self._cache = cache
        with connected() as client:
            self.inspected: dict[str, Any] = _inspect(client, name)
        self.image_id: str = self.inspected["Id"]
        self.diff_ids: tuple[str, ...] = tuple((self.inspected.get("RootFS") or {}).get("Layers") or ())

    def config(self) -> bytes:
        """Its configuration."""
        path = self._cache.find(self.image_id)
        if path is None or any(self._cache.find(each) is None for each in self.diff_ids):
            self.bring()
            path = self._cache.find(self.image_id)
        if path is None or _is_manifest(path.read_bytes()):
            # An engine with containerd's store names an image by its manifest.
            raise ImageError(
                f"docker:{self.name} cannot be taken out of this docker daemon.",
                code=FailureCode.IMAGE_PULL,
                hint=f"Push it to a registry and name that, or `docker save {self.name}` and unpack it.",
            )
        return path.read_bytes()

    def bring(self) -> None:
        """Get all of it into the cache, as `docker save` gives it.

        Raises:
            ImageError: The daemon does not give it, or not what its digests say.
        """
        events.step(f"Reading {self.name} from the docker daemon")
        with connected() as client:
            stream = client.get_image(self.image_id)
            with tarfile.open(fileobj=cast("BinaryIO", _Reader(stream)), mode="r|") as archive:
                self._take(archive)
        missing = [each for each in self.diff_ids if self._cache.find(each) is None]
        if missing:
            raise ImageError(
                f"The docker daemon gave {self.name} without the layer {missing[0]}.",
                code=FailureCode.IMAGE_PULL,
            )

    def _take(self, archive: tarfile.TarFile) -> None:
        wanted = {*self.diff_ids, self.image_id}
        for member in archive:
            if not member.isfile():
                continue
            stream = archive.extractfile(member)
            assert stream is not None  # noqa: S101  it is a file
            with self._cache.incoming() as incoming:
                while data := stream.read(1 << 20):
                    incoming.write(data)
                if incoming.digest in wanted:  # else it is no part of the image, whatever its name
                    incoming.keep()


def _is_manifest(content: bytes) -> bool:
    try:
        document = msgspec.json.decode(content)
    except msgspec.DecodeError:
        return False
    return isinstance(document, dict) and ("layers" in document or "manifests" in document)


class _Reader:
    """A stream of chunks as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, count: int) -> bytes:
        parts = [self._rest]
        length = len(self._rest)
        while length < count:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            parts.append(chunk)
            length += len(chunk)
        data = b"".join(parts)
        self._rest = data[count:]
        return data[:count]


def _inspect(client: Engine, name: str) -> dict[str, Any]:
    from docker import errors

    try:
        return client.inspect_image(name)
    except errors.ImageNotFound as error:
        raise ImageError(
            f"The docker daemon has no image {name}.",
            code=FailureCode.IMAGE_PULL,
            hint=f"See `docker images`; without `docker:` before it, {name} is looked for in a registry.",
        ) from error


def has_image(client: Engine, image_id: str) -> bool:
    """Whether the daemon has an image."""
    from docker import errors

    try:
        client.inspect_image(image_id)
    except errors.ImageNotFound:
        return False
    return True


def send_archive(client: Engine, write: Callable[[int], Iterator[bytes]], layers: int) -> None:
    """Have the daemon load an image, with no more layers than it lacks.

    The engine opens a layer's file only where it does not have that layer on those below it, and names the
    file that it misses. So what it lacks is found out by sending none, in a try that costs next to nothing.

    Args:
        client: The daemon.
        write: Makes an archive with the layers from a number on.
        layers: How many there are.

    Raises:
        ImageError: It does not take it.
    """
    said = _load(client, write(layers))
    if said is None:
        return
    missing = _MISSING_LAYER.search(said)
    first = int(missing[1]) if missing else 0
    said = _load(client, write(first))
    if said is not None and first > 0:
        said = _load(client, write(0))
    if said is not None:
        raise ImageError("The docker daemon does not take the image.", details=(said[:300],))


def layer_name(index: int, digest: str) -> str:
    """The name of a layer's file in an archive."""
    return f"layers/{index}-{digest.rpartition(':')[2]}.tar"


def _load(client: Engine, archive: Iterator[bytes]) -> str | None:
    """What the daemon has against an archive; None: nothing, it has loaded it."""
    for message in client.load_image(archive, quiet=True):
        said = message.get("error") or message.get("message")
        if said:
            return str(said)
    return None
