"""Files on their way into a pod: in ConfigMaps that are named by what is in them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from proj.errors import BackendError, FailureCode
from proj.kube.names import CODE_LABEL, MANAGED_BY
from proj.sizes import in_words

if TYPE_CHECKING:
    from collections.abc import Iterable

PART_BYTES = 900 * 1024
"""Of one ConfigMap; the API server takes a mebibyte, and etcd one and a half with all that is around it."""
MOST_BYTES = 8 * 1024 * 1024
"""Of all of a run, packed."""
CODE_NAME = "code.tar.gz"


class ConfigMap(msgspec.Struct, frozen=True, kw_only=True):
    """Files for a pod, together at most `PART_BYTES`."""

    files: Mapping[str, bytes]
    """Key -> content. The key is also the file's name in the pod."""

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of names and contents."""
        sha = hashlib.sha256()
        for name, content in sorted(self.files.items()):
            sha.update(f"{name}\0{len(content)}\0".encode())
            sha.update(content)
        return sha.hexdigest()

    @property
    def name(self) -> str:
        """Its name in the cluster: runs of the same code share it."""
        return f"proj-code-{self.digest[:24]}"

    def manifest(self, namespace: str, owner: Mapping[str, object]) -> dict[str, object]:
        """What the API server is sent."""
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": self.name,
                "namespace": namespace,
                "labels": {MANAGED_BY: "proj", CODE_LABEL: self.digest[:24]},
                "ownerReferences": [dict(owner)],
            },
            "immutable": True,
            "binaryData": {
                name: base64.b64encode(content).decode() for name, content in sorted(self.files.items())
            },
        }


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """What a pod is brought."""

    code_digest: str | None
    """Hexadecimal SHA-256 of the packed code; None: the image has it."""
    code_artifact: str | None = None
    """Path of the run's artifact that is the packed code; None: the ConfigMaps have it."""
    maps: tuple[ConfigMap, ...]


def bundled(code: bytes | None, files: Mapping[str, bytes]) -> Bundle:
    """Distribute the packed code and further small files over ConfigMaps.

    Raises:
        BackendError: There is too much of it.
    """
    size = len(code or b"") + sum(map(len, files.values()))
    if size > MOST_BYTES:
        raise BackendError(
            f"The code is too large to be brought to the cluster: {in_words(size)} packed, "
            f"{in_words(MOST_BYTES)} at most.",
            code=FailureCode.SOURCE_FAILED,
            hint="Name what the run does not need in .dockerignore; have an image made (`repository-uri` in "
            "the backend's settings); or record on a tracking server that pods reach: they fetch it there.",
        )
    # API servers take an empty file for none, and then for a change of what must not change.
    entries = [*_split(code), *sorted((name, content) for name, content in files.items() if content)]
    return Bundle(
        code_digest=None if code is None else hashlib.sha256(code).hexdigest(),
        maps=tuple(ConfigMap(files=dict(group)) for group in _grouped(entries)),
    )


def _split(code: bytes | None) -> list[tuple[str, bytes]]:
    if code is None:
        return []
    pieces = range(0, max(1, len(code)), PART_BYTES)
    return [(f"{CODE_NAME}.{number:03}", code[at : at + PART_BYTES]) for number, at in enumerate(pieces)]


def _grouped(entries: Iterable[tuple[str, bytes]]) -> list[list[tuple[str, bytes]]]:
    groups: list[list[tuple[str, bytes]]] = []
    room = 0
    for name, content in entries:
        if len(content) > room:
            groups.append([])
            room = PART_BYTES
        groups[-1].append((name, content))
        room -= len(content)
    return groups
