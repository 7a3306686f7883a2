"""What becomes of an image: an OCI layout, an archive for docker, an image of the daemon."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, cast

import msgspec

from proj import events, files
from proj.errors import ImageError
from proj.images.blobs import BlobCache, digest_of
from proj.images.documents import INDEX, Descriptor, Index, encode, encode_index
from proj.images.reference import parse_reference
from proj.images.tarfiles import append, end_archive
from proj.images.values import BuiltImage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_LAYOUT: Final = {"imageLayoutVersion": "1.0.0"}
_TAG: Final = "org.opencontainers.image.ref.name"
_PIECE_BYTES: Final = 1 << 20


def as_tuple(images: BuiltImage | Sequence[BuiltImage]) -> tuple[BuiltImage, ...]:
    """One image or several, as several."""
    return (images,) if isinstance(images, BuiltImage) else tuple(images)


def index_of(images: Sequence[BuiltImage]) -> bytes:
    """The index of images for several platforms, in an order that follows from them."""
    entries = sorted((image.manifest_descriptor for image in images), key=lambda each: str(each.platform))
    return encode_index(Index(manifests=tuple(entries)))


def digest_of_all(images: Sequence[BuiltImage]) -> str:
    """What images are found by: the digest of the one, or that of the index of all."""
    return images[0].manifest_digest if len(images) == 1 else digest_of(index_of(images))


# --- an OCI layout --------------------------------------------------------------------------------------


class _Document(msgspec.Struct, frozen=True):
    manifests: tuple[Descriptor, ...] = ()


def write_layout(images: tuple[BuiltImage, ...], folder: Path, tag: str | None) -> str:
    """See `proj.images.write_layout`; what the layout holds under other tags stays."""
    cache = BlobCache()
    blobs = folder / "blobs" / "sha256"
    try:
        known = _known_entries(folder)
        blobs.mkdir(parents=True, exist_ok=True)
        for image in images:
            for layer in image.layers:
                _place(image.source.blobs.fetch(layer.blob, cache), blobs, layer.blob.digest)
            for content in (image.config, image.manifest):
                files.write_whole(blobs / digest_of(content).partition(":")[2], content)
        entry = images[0].manifest_descriptor
        if len(images) > 1:
            content = index_of(images)
            files.write_whole(blobs / digest_of(content).partition(":")[2], content)
            entry = Descriptor(mediaType=INDEX, digest=digest_of(content), size=len(content))
        if tag is not None:
            entry = msgspec.structs.replace(entry, annotations={_TAG: tag})
        kept = tuple(each for each in known if each.annotations.get(_TAG) != tag)
        files.write_whole(folder / "oci-layout", encode(_LAYOUT))
        files.write_whole(folder / "index.json", encode_index(Index(manifests=(*kept, entry))))
    except OSError as error:
        raise ImageError(f"Cannot write {error.filename or folder}: {error.strerror or error}.") from error
    return entry.digest


def _known_entries(folder: Path) -> tuple[Descriptor, ...]:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return ()
    try:
        return msgspec.json.decode((folder / "index.json").read_bytes(), type=_Document).manifests
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ImageError(
            f"{folder} is there, and is no OCI layout.", hint="Name another folder, or remove it."
        ) from error


def _place(source: Path, folder: Path, digest: str) -> None:
    target = folder / digest.partition(":")[2]
    if target.exists() and target.stat().st_size == source.stat().st_size:
        return
    temporary = folder / f".{target.name}.{os.urandom(4).hex()}"
    try:
        with source.open("rb") as stream, temporary.open("xb") as copy:
            while data := stream.read(_PIECE_BYTES):
                copy.write(data)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


# --- an archive for docker ------------------------------------------------------------------------------


def write_archive(image: BuiltImage, file: Path, name: str) -> None:
    """See `proj.images.write_archive`."""
    tags = _tag(name)
    temporary = file.with_name(f".{file.name}.{os.urandom(4).hex()}")
    try:
        with temporary.open("xb") as archive:
            for chunk in _archive(image, tags, 0):
                archive.write(chunk)
        temporary.replace(file)
    except OSError as error:
        raise ImageError(f"Cannot write {file}: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def load(image: BuiltImage, name: str) -> str:
    """See `proj.images.load`."""
    from proj.images.daemon import connected, send_archive

    tags = _tag(name)
    with connected() as client:
        events.step(f"Loading {tags[0]} into the docker daemon")
        send_archive(client, lambda first: _archive(image, tags, first), len(image.layers))
        found = client.inspect_image(tags[0])
    return cast("str", found["Id"])


def _tag(name: str) -> tuple[str, ...]:
    """A name as docker keeps it: short where it is of Docker Hub."""
    reference = parse_reference(name)
    short = str(reference).removeprefix("docker.io/").removeprefix("library/")
    return (short if str(reference).startswith("docker.io/") else str(reference),)


def _archive(image: BuiltImage, tags: tuple[str, ...], first: int) -> Iterator[bytes]:
    """A docker archive with the layers from a number on; all are named."""
    from proj.images.daemon import layer_name

    cache = BlobCache()
    names = [layer_name(index, layer.blob.digest) for index, layer in enumerate(image.layers)]
    config = f"{image.config_digest.partition(':')[2]}.json"
    manifest = encode([{"Config": config, "RepoTags": tags, "Layers": names}])
    yield from append("manifest.json", manifest)
    yield from append(config, image.config)
    for index in range(first, len(image.layers)):
        yield from append(names[index], image.source.blobs.fetch(image.layers[index].blob, cache))
    yield end_archive()
