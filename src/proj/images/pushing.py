"""Images to a registry: what is there is not sent again, what is next door is taken from there."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from proj import events
from proj.errors import UsageError
from proj.images.blobs import BlobCache
from proj.images.documents import CONFIG, INDEX, MANIFEST, Descriptor
from proj.images.http import Transport
from proj.images.outputs import index_of
from proj.images.parallel import run_all
from proj.images.reference import parse_reference
from proj.images.registry import Repository
from proj.sizes import in_words

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from proj.images.reference import Reference
    from proj.images.values import BuiltImage

_AT_ONCE: Final = 4


def push(images: tuple[BuiltImage, ...], name: str, *, insecure: bool = False) -> str:
    """See `proj.images.push`."""
    reference = parse_reference(name)
    if reference.digest is not None:
        raise UsageError(
            f"An image is pushed by a tag, not by a digest: {name}.", hint="The digest follows from it."
        )
    transport = Transport(reference.host, insecure=insecure)
    try:
        for image in images:
            _push_image(image, reference, transport)
        repo = Repository(transport, reference.repository, write=True)
        if len(images) == 1:
            digest = repo.put_manifest(images[0].manifest, MANIFEST, reference.version)
        else:
            for image in images:
                repo.put_manifest(image.manifest, MANIFEST, image.manifest_digest)
            digest = repo.put_manifest(index_of(images), INDEX, reference.version)
    finally:
        transport.close()
    return str(reference.at(digest))


def _push_image(image: BuiltImage, reference: Reference, transport: Transport) -> None:
    """Send all that the manifest names."""
    source = image.source.reference
    mounts = source.repository if source is not None and source.host == reference.host else None
    if mounts == reference.repository:
        mounts = None
    repo = Repository(transport, reference.repository, write=True, mounts_from=mounts)
    cache = BlobCache()
    config = Descriptor(mediaType=CONFIG, digest=image.config_digest, size=len(image.config))
    jobs: dict[str, Callable[[], None]] = {}
    for layer in image.layers:
        base = layer.kind == "base"
        jobs[layer.blob.digest] = _job(repo, layer.blob, image, cache, mounts if base else None, transport)
    jobs[config.digest] = _job(repo, config, image, cache, None, transport)
    try:
        run_all(tuple(jobs.values()), at_once=_AT_ONCE)
    except BaseException:
        transport.cancel()
        raise


def _job(
    repo: Repository,
    blob: Descriptor,
    image: BuiltImage,
    cache: BlobCache,
    mounts: str | None,
    transport: Transport,
) -> Callable[[], None]:
    def send() -> None:
        if repo.has(blob.digest) or (mounts is not None and repo.mount(blob.digest, mounts)):
            return
        path: Path = image.source.blobs.fetch(blob, cache)
        repo.send(blob, path, _Progress(blob, transport))

    return send


class _Progress:
    """Tells how far a blob is, not more often than one can read.

    Args:
        blob: The blob.
        transport: What it is sent by.
    """

    def __init__(self, blob: Descriptor, transport: Transport) -> None:
        self._blob = blob
        self._transport = transport
        self._told = 0
        self._lock = threading.Lock()

    def __call__(self, sent: int) -> None:
        """Take note of how many bytes are sent."""
        self._transport.check()
        step = max(self._blob.size // 20, 1 << 20)
        with self._lock:
            if sent < self._told + step and sent != self._blob.size:
                return
            self._told = sent
        if self._blob.size > 1 << 20:
            events.progress(
                f"Pushing {self._blob.digest[7:19]} ({in_words(self._blob.size)})", sent, self._blob.size
            )
