"""Manifests, indexes and configurations of images as typed values, from their JSON and to it.

The formats are those of https://github.com/opencontainers/image-spec and of Docker's image manifest version
2, schema 2, which differ in their media types only.
"""

from __future__ import annotations

import platform as machine
from collections.abc import Mapping
from typing import Final

import msgspec

from proj.errors import FailureCode, ImageError, UsageError
from proj.images.reference import is_digest
from proj.model import _Value

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
_DOCKER_OLD: Final = "application/vnd.docker.distribution.manifest.v1"
MANIFEST_TYPES: Final = (MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_LIST)
_CONFIG_TYPES: Final = (CONFIG, "application/vnd.docker.container.image.v1+json")

_LAYER_TYPES: Final = {
    LAYER: LAYER,
    LAYER_GZIP: LAYER_GZIP,
    "application/vnd.oci.image.layer.v1.tar+zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar": LAYER,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": LAYER_GZIP,
    "application/vnd.docker.image.rootfs.diff.tar.zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
}
"""Media type of a layer -> OCI's name for the same."""

MOST_DOCUMENT_BYTES: Final = 4 * 1024**2
"""The most that a manifest may have: what the distribution specification lets registries refuse beyond."""
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


class Platform(_Value, frozen=True, omit_defaults=True):
    """What an image runs on."""

    architecture: str
    """As Go names it: amd64, arm64, arm, 386, ppc64le, s390x, riscv64."""
    os: str = "linux"
    variant: str | None = None

    def __str__(self) -> str:
        return f"{self.os}/{self.architecture}{f'/{self.variant}' if self.variant else ''}"

    def accepts(self, other: Platform | None) -> bool:
        """Whether an image for `other` is one for this platform."""
        if other is None or (self.os, self.architecture) != (other.os, other.architecture):
            return False
        usual = {"arm64": "v8", "arm": "v7"}.get(self.architecture)
        return self.variant is None or (other.variant or usual) == self.variant


class Descriptor(_Value, frozen=True, omit_defaults=True):
    """A blob, or another document, by its digest."""

    mediaType: str  # noqa: N815  the field's name in the format
    digest: str
    size: int
    platform: Platform | None = None
    urls: tuple[str, ...] = ()
    annotations: Mapping[str, str] = {}


class Manifest(_Value, frozen=True):
    """An image for one platform."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    """Media types are OCI's, whatever they were."""


class Index(_Value, frozen=True):
    """Images of one name for several platforms."""

    manifests: tuple[Descriptor, ...]


class _Document(_Value, frozen=True):
    schemaVersion: int = 2  # noqa: N815  the field's name in the format
    mediaType: str | None = None  # noqa: N815  same
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] | None = None
    manifests: tuple[Descriptor, ...] | None = None


def encode(value: object) -> bytes:
    """JSON of which every byte follows from the value."""
    return msgspec.json.encode(value, order="sorted")


def parse_document(content: bytes, media_type: str, where: str) -> Manifest | Index:
    """Read a manifest or an index.

    Args:
        content: Its bytes.
        media_type: What its sender calls it; counts where it does not say it itself.
        where: Whose it is, for messages.

    Raises:
        ImageError: It is neither, or of a kind that cannot be used.
    """
    try:
        document = msgspec.json.decode(content, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unusable(where, f"its manifest cannot be read ({error})") from error
    kind = document.mediaType or media_type.partition(";")[0].strip()
    if kind.startswith(_DOCKER_OLD) or document.schemaVersion == 1:
        raise _unusable(where, "its manifest is of schema 1, which is no longer in use")
    if document.manifests is not None and document.layers is None:
        if kind not in (INDEX, DOCKER_LIST, ""):
            raise _unusable(where, f"an index that is called {kind!r}")
        _check(document.manifests, where)
        return Index(manifests=document.manifests)
    if document.config is None or document.layers is None or kind not in (MANIFEST, DOCKER_MANIFEST, ""):
        raise _unusable(where, f"it is no image but {kind or 'something else'!r}")
    _check((document.config, *document.layers), where)
    if document.config.mediaType not in _CONFIG_TYPES:
        raise _unusable(where, f"it is no image: its configuration is {document.config.mediaType!r}")
    return Manifest(config=document.config, layers=tuple(_as_oci(layer, where) for layer in document.layers))


def encode_manifest(manifest: Manifest) -> bytes:
    """A manifest's bytes."""
    return encode(
        {"schemaVersion": 2, "mediaType": MANIFEST, "config": manifest.config, "layers": manifest.layers}
    )


def encode_index(index: Index) -> bytes:
    """An index's bytes."""
    return encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": index.manifests})


def choose(index: Index, platform: Platform, where: str) -> Descriptor:
    """The image of an index that is for a platform.

    Raises:
        ImageError: There is none; the message lists what there is.
    """
    for entry in index.manifests:
        if platform.accepts(entry.platform):
            return entry
    if len(index.manifests) == 1 and index.manifests[0].platform is None:
        return index.manifests[0]
    known = sorted(
        {
            str(entry.platform)
            for entry in index.manifests
            if entry.platform and entry.platform.os != "unknown"
        }
    )
    raise ImageError(
        f"{where} is not there for {platform}.",
        code=FailureCode.IMAGE_PULL,
        hint=f"It is there for {', '.join(known)}." if known else None,
    )


def parse_platform(text: str | None) -> Platform:
    """Read a platform such as `linux/amd64` or `linux/arm/v7`; None: this machine's, with Linux.

    Raises:
        UsageError: It is none.
    """
    if text is None:
        name = machine.machine().lower()
        return Platform(architecture=_ARCHITECTURES.get(name, name))
    words = text.strip().lower().split("/")
    if len(words) == 1:
        words = ["linux", *words]
    if not 2 <= len(words) <= 3 or not all(word.isalnum() for word in words if word != "x86_64"):  # noqa: PLR2004
        raise UsageError(f"Not a platform: {text!r}.", hint="Write it like linux/amd64 or linux/arm64.")
    if words[0] != "linux":
        raise UsageError(f"Images are made for Linux only, not for {text!r}.")
    architecture = _ARCHITECTURES.get(words[1], words[1])
    variant = words[2] if len(words) > 2 else None  # noqa: PLR2004  the third part
    if (architecture, variant) == ("arm64", "v8"):
        variant = None
    return Platform(architecture=architecture, variant=variant)


def _as_oci(layer: Descriptor, where: str) -> Descriptor:
    kind = _LAYER_TYPES.get(layer.mediaType)
    if kind is None:
        raise _unusable(where, f"it has a layer of the type {layer.mediaType!r}")
    return Descriptor(mediaType=kind, digest=layer.digest, size=layer.size)


def _check(descriptors: tuple[Descriptor, ...], where: str) -> None:
    for each in descriptors:
        if not is_digest(each.digest) or each.size < 0:
            raise _unusable(where, f"its manifest names {each.digest!r}, which is no SHA-256")


def _unusable(where: str, why: str) -> ImageError:
    return ImageError(f"{where} cannot be used: {why}.", code=FailureCode.IMAGE_PULL)
