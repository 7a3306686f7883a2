"""Layers: entries as a tar file in the cache, and what is known of those that were made before."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

import msgspec

from proj.files import write_whole
from proj.images.blobs import CHUNK_BYTES, digest_of, unwritable
from proj.images.documents import LAYER, LAYER_GZIP, Descriptor, encode
from proj.images.tarfiles import with_folders, write_tar
from proj.images.values import Layer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from proj.images.blobs import BlobCache, Incoming
    from proj.images.tarfiles import Entry
    from proj.images.values import LayerKind

_FORMAT: Final = 1
"""Of the bytes of layers: another number where they are written in another way."""
# RFC 1952: deflate, no flags, no time, no extra flags, an unknown system. Python's own header has changed.
_GZIP_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


def make_layer(
    entries: Iterable[Entry],
    kind: LayerKind,
    cache: BlobCache,
    *,
    folder_mode: Callable[[str], int] = lambda _path: 0o755,
    compress: bool = False,
) -> Layer:
    """Write a layer into the cache.

    Args:
        entries: What is in it; the folders on the way are added.
        kind: What it is for.
        cache: Where to.
        folder_mode: Path of a folder -> its permissions.
        compress: Whether it is packed with gzip.

    Raises:
        ImageError: A file cannot be read, or the cache not be written.
    """
    ordered = with_folders(entries, folder_mode=folder_mode)
    with cache.incoming() as tar:
        write_tar(ordered, tar)
        diff_id, size = tar.keep(), tar.size_bytes
    if not compress:
        blob = Descriptor(mediaType=LAYER, digest=diff_id, size=size)
        return Layer(blob=blob, diff_id=diff_id, kind=kind)
    with cache.incoming() as packed, cache.path(diff_id).open("rb") as stream:
        _pack(iter(lambda: stream.read(CHUNK_BYTES), b""), packed)
        blob = Descriptor(mediaType=LAYER_GZIP, digest=packed.keep(), size=packed.size_bytes)
    return Layer(blob=blob, diff_id=diff_id, kind=kind)


def _pack(chunks: Iterable[bytes], packed: Incoming) -> None:
    packed.write(_GZIP_HEADER)
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15, 8, zlib.Z_DEFAULT_STRATEGY)
    checksum = size = 0
    for chunk in chunks:
        checksum = zlib.crc32(chunk, checksum)
        size += len(chunk)
        packed.write(deflate.compress(chunk))
    packed.write(deflate.flush())
    packed.write(checksum.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little"))


class Remembered:
    """Layers by what they were made of, for as long as the cache has them.

    Args:
        cache: The cache.
    """

    def __init__(self, cache: BlobCache) -> None:
        self._cache = cache

    def find(self, made_of: object) -> Layer | None:
        """The layer that was made of the same, if it is still there."""
        try:
            layer = msgspec.json.decode(self._path(made_of).read_bytes(), type=Layer)
        except (OSError, msgspec.DecodeError):
            return None
        if self._cache.find(layer.blob.digest, layer.blob.size) is None:
            return None
        return layer

    def keep(self, made_of: object, layer: Layer) -> Layer:
        """Remember a layer, and return it."""
        with unwritable(self._cache.folder):
            write_whole(self._path(made_of), encode(layer))
        return layer

    def _path(self, made_of: object) -> Path:
        key = digest_of(encode([_FORMAT, made_of])).partition(":")[2]
        return self._cache.folder / "layers" / key
