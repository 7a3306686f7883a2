"""Images that others are made of: in a registry, in an OCI layout folder, in the docker daemon."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from proj.errors import FailureCode, ImageError, UsageError
from proj.images.answers import NotNowError
from proj.images.blobs import digest_of
from proj.images.config import Config, read_config
from proj.images.documents import (
    LAYER,
    MOST_DOCUMENT_BYTES,
    Descriptor,
    Index,
    Manifest,
    choose,
    encode_manifest,
    parse_document,
)
from proj.images.reference import Reference, is_digest, parse_reference
from proj.model import _Value

if TYPE_CHECKING:
    from proj.images.blobs import BlobCache
    from proj.images.documents import Platform
    from proj.images.registry import Repository
    from proj.images.streams import Told

_MOST_CONFIG_BYTES = 16 * 1024**2


class Blobs(Protocol):
    """Where the blobs of a base image come from."""

    def fetch(self, blob: Descriptor, cache: BlobCache, told: Told | None = None) -> Path:
        """Get a blob into the cache, unless it is there.

        Raises:
            ImageError: It cannot be had, or is not what its digest says.
        """


class Base(_Value, frozen=True):
    """A base image for one platform."""

    name: str
    """As the user gave it."""
    digest: str
    """That of its manifest; of one from the daemon, of the manifest that is made for it."""
    manifest: Manifest
    config_bytes: bytes
    config: Config
    blobs: Blobs
    reference: Reference | None = None
    """Where it is, if in a registry: its blobs may be mounted from there."""


def open_base(name: str, platform: Platform, cache: BlobCache, *, insecure: bool = False) -> Base:
    """Find a base image; its layers stay where they are.

    Args:
        name: `host/name:tag`, `oci:DIR[:TAG]`, or `docker:NAME`.
        platform: Which of the images of an index.
        cache: For its blobs.
        insecure: See `Transport`.

    Raises:
        UsageError: The name is none.
        ImageError: There is no such image, or none for the platform.
    """
    kind, separator, rest = name.partition(":")
    if separator and kind == "docker":
        base = _from_daemon(name, rest, cache)
    elif separator and kind == "oci":
        base = _from_layout(name, rest, platform, cache)
    else:
        reference = parse_reference(name)
        try:
            base = _from_registry(name, reference, platform, cache, insecure=insecure)
        except NotNowError as error:  # which tells of the registry alone
            message = f"The image {name} cannot be had: {error.message}"
            raise NotNowError(
                message, code=FailureCode(error.code), hint=error.hint, details=error.details
            ) from error
    if not platform.accepts(base.config.platform):
        raise ImageError(
            f"{name} is for {base.config.platform}, not for {platform}.",
            hint=f"Choose another base image, or --platform {base.config.platform}.",
        )
    return base


# --- a registry -----------------------------------------------------------------------------------------


def _from_registry(
    name: str, reference: Reference, platform: Platform, cache: BlobCache, *, insecure: bool
) -> Base:
    from proj.images.registry import repository

    repo = repository(reference, insecure=insecure)
    document, digest = _document(repo, reference.version, cache, name)
    if isinstance(document, Index):
        entry = choose(document, platform, name)
        document, digest = _document(repo, entry.digest, cache, name)
    if isinstance(document, Index):
        raise ImageError(f"{name} is an index of indexes, which is nothing that can be used.")
    return _base(name, digest, document, repo, cache, reference=reference)


def _document(repo: Repository, version: str, cache: BlobCache, name: str) -> tuple[Manifest | Index, str]:
    known = cache.find(version) if is_digest(version) else None
    if known is not None:
        content = known.read_bytes()
        if digest_of(content) == version:
            return parse_document(content, "", name), version
    content, media_type, digest = repo.manifest(version)
    document = parse_document(content, media_type, name)
    if b'"mediaType"' in content[:200] or b'"mediaType"' in content:
        cache.put(content)  # one that does not say what it is would have to be asked about again
    return document, digest


def _base(
    name: str,
    digest: str,
    manifest: Manifest,
    blobs: Blobs,
    cache: BlobCache,
    *,
    reference: Reference | None = None,
) -> Base:
    if manifest.config.size > _MOST_CONFIG_BYTES:
        raise ImageError(f"{name} cannot be used: its configuration has {manifest.config.size} bytes.")
    content = blobs.fetch(manifest.config, cache).read_bytes()
    return Base(
        name=name,
        digest=digest,
        manifest=manifest,
        config_bytes=content,
        config=read_config(content, name, layers=len(manifest.layers)),
        blobs=blobs,
        reference=reference,
    )


# --- an OCI layout --------------------------------------------------------------------------------------


class _Layout:
    """Blobs of an OCI image layout.

    Args:
        folder: The layout.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fetch(self, blob: Descriptor, cache: BlobCache, told: Told | None = None) -> Path:
        """See `Blobs.fetch`."""
        found = cache.find(blob.digest, blob.size)
        if found is not None:
            return found
        source = self._folder / "blobs" / "sha256" / blob.digest.partition(":")[2]
        try:
            with source.open("rb") as stream, cache.incoming() as incoming:
                while data := stream.read(1 << 20):
                    incoming.write(data)
                    if told is not None:
                        told(incoming.size_bytes)
                if (incoming.digest, incoming.size_bytes) != (blob.digest, blob.size):
                    raise ImageError(
                        f"{source} is not what its name says: its digest is {incoming.digest}.",
                        code=FailureCode.IMAGE_PULL,
                    )
                incoming.keep()
        except FileNotFoundError as error:
            raise ImageError(f"{source} is missing in the layout.", code=FailureCode.IMAGE_PULL) from error
        return cache.path(blob.digest)


class _LayoutIndex(msgspec.Struct, frozen=True):
    manifests: tuple[Descriptor, ...] = ()


_TAG = "org.opencontainers.image.ref.name"


def _from_layout(name: str, place: str, platform: Platform, cache: BlobCache) -> Base:
    folder, tag = _layout_place(place)
    if not (folder / "oci-layout").is_file():
        raise ImageError(
            f"{folder} is no OCI layout: it has no file `oci-layout`.", code=FailureCode.IMAGE_PULL
        )
    try:
        index = msgspec.json.decode((folder / "index.json").read_bytes(), type=_LayoutIndex)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ImageError(
            f"{folder}/index.json cannot be read: {error}.", code=FailureCode.IMAGE_PULL
        ) from error
    entries = index.manifests
    if tag is not None:
        entries = tuple(each for each in entries if each.annotations.get(_TAG) == tag)
    if not entries:
        tags = sorted({each.annotations[_TAG] for each in index.manifests if _TAG in each.annotations})
        what = f"no image {tag!r}" if tag is not None else "no image"
        raise ImageError(
            f"{folder} has {what}.",
            code=FailureCode.IMAGE_PULL,
            hint=f"It has {', '.join(tags)}." if tags else None,
        )
    layout = _Layout(folder)
    chosen = entries[0] if len(entries) == 1 else choose(Index(manifests=entries), platform, name)
    for _ in range(3):
        if chosen.size > MOST_DOCUMENT_BYTES:
            break
        content = layout.fetch(chosen, cache).read_bytes()
        document = parse_document(content, chosen.mediaType, name)
        if isinstance(document, Manifest):
            return _base(name, chosen.digest, document, layout, cache)
        chosen = choose(document, platform, name)
    raise ImageError(f"{name} holds no manifest that can be used.", code=FailureCode.IMAGE_PULL)


def _layout_place(place: str) -> tuple[Path, str | None]:
    """Folder and tag of `DIR[:TAG]`."""
    if not place:
        raise UsageError("oci: needs a folder behind it, such as oci:./image.")
    folder = Path(place).expanduser()
    if not folder.exists() and ":" in place:
        before, _, tag = place.rpartition(":")
        return Path(before).expanduser(), tag
    return folder, None


# --- the docker daemon ----------------------------------------------------------------------------------


def _from_daemon(name: str, place: str, cache: BlobCache) -> Base:
    from proj.images.daemon import DaemonImage

    if not place:
        raise UsageError("docker: needs an image's name behind it, such as docker:python:3.11-slim.")
    image = DaemonImage(place, cache)
    content = image.config()
    layers = []
    for diff_id in image.diff_ids:
        path = cache.find(diff_id)
        if path is None:
            raise ImageError(f"Something removed a layer of {name} from the cache.", hint="Try again.")
        layers.append(Descriptor(mediaType=LAYER, digest=diff_id, size=path.stat().st_size))
    manifest = Manifest(
        config=Descriptor(
            mediaType="application/vnd.oci.image.config.v1+json", digest=digest_of(content), size=len(content)
        ),
        layers=tuple(layers),
    )
    return Base(
        name=name,
        digest=digest_of(encode_manifest(manifest)),
        manifest=manifest,
        config_bytes=content,
        config=read_config(content, name, layers=len(layers)),
        blobs=_Cached(image),
    )


class _Cached:
    """Blobs of an image of the daemon, brought again should the cache have lost them.

    Args:
        image: The image.
    """

    def __init__(self, image: object) -> None:
        self._image = image

    def fetch(self, blob: Descriptor, cache: BlobCache, told: Told | None = None) -> Path:
        """See `Blobs.fetch`."""
        from proj.images.daemon import DaemonImage

        found = cache.find(blob.digest, blob.size)
        if found is None:
            assert isinstance(self._image, DaemonImage)  # noqa: S101  as made by `_from_daemon`
            self._image.bring()
            found = cache.find(blob.digest, blob.size)
        if found is None:
            raise ImageError(f"The docker daemon no longer has {blob.digest}.", code=FailureCode.IMAGE_PULL)
        if told is not None:
            told(blob.size)
        return found
