"""Small images for tests, made of nothing but the standard library."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from registrykit import FakeRegistry

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def sha(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def tar(files: dict[str, bytes | str | None], *, mode: int = 0o755) -> bytes:
    """A layer: bytes are files, text the target of a link, None a folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.mode = mode
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return out.getvalue()


PYTHON_FILES: dict[str, bytes | str | None] = {
    "usr": None,
    "usr/local": None,
    "usr/local/bin": None,
    "usr/local/bin/python3.11": b"#!/bin/sh\n",
    "usr/local/bin/python3": "python3.11",
}


class Sample:
    """An image: its documents and blobs.

    Args:
        layers: Tar files.
        architecture: As Go names it.
        env: Its variables.
        docker: Whether its media types are Docker's.
        extra: Further keys of its configuration.
    """

    def __init__(
        self,
        *layers: bytes,
        architecture: str = "amd64",
        env: tuple[str, ...] = ("PATH=/usr/local/bin:/usr/bin",),
        docker: bool = False,
        packed: bool = True,
        extra: dict[str, Any] | None = None,
    ) -> None:
        self.tars = layers or (tar(PYTHON_FILES),)
        self.blobs = [gzip.compress(layer, mtime=0) if packed else layer for layer in self.tars]
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Env": list(env), "Cmd": ["python3"], **(extra or {})},
            "rootfs": {"type": "layers", "diff_ids": [sha(layer) for layer in self.tars]},
            "history": [{"created_by": "made for a test"}],
        }
        self.config = json.dumps(config).encode()
        self.media_type = DOCKER_MANIFEST if docker else MANIFEST
        prefix = "application/vnd.docker." if docker else "application/vnd.oci.image."
        layer_type = prefix + ("image.rootfs.diff.tar" if docker else "layer.v1.tar")
        layer_type += (".gzip" if docker else "+gzip") if packed else ""
        config_type = prefix + ("container.image.v1+json" if docker else "config.v1+json")
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": self.media_type,
                "config": {"mediaType": config_type, "digest": sha(self.config), "size": len(self.config)},
                "layers": [{"mediaType": layer_type, "digest": sha(b), "size": len(b)} for b in self.blobs],
            }
        ).encode()
        self.digest = sha(self.manifest)
        self.platform = {"architecture": architecture, "os": "linux"}

    @property
    def descriptor(self) -> dict[str, Any]:
        return {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": len(self.manifest),
            "platform": self.platform,
        }

    def put(self, registry: FakeRegistry, repo: str, tag: str = "latest") -> None:
        for blob in (*self.blobs, self.config):
            registry.put_blob(repo, blob)
        for name in (tag, self.digest):
            registry.manifests[repo, name] = (self.manifest, self.media_type)

    def write(self, folder: Path, *others: Sample, tag: str | None = None) -> Path:
        """An OCI layout."""
        blobs = folder / "blobs/sha256"
        blobs.mkdir(parents=True, exist_ok=True)
        entries = []
        for image in (self, *others):
            for blob in (*image.blobs, image.config, image.manifest):
                (blobs / sha(blob)[7:]).write_bytes(blob)
            note = {"annotations": {"org.opencontainers.image.ref.name": tag}} if tag else {}
            entries.append({**image.descriptor, **note})
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
        return folder


def index(*images: Sample) -> bytes:
    return json.dumps(
        {"schemaVersion": 2, "mediaType": INDEX, "manifests": [image.descriptor for image in images]}
    ).encode()


def names(layer: bytes) -> list[str]:
    """The paths in a tar file."""
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        return archive.getnames()
