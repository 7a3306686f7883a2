"""Artifacts wherever their URI says: this machine's folders, object stores, and what others register."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from proj.errors import StoreError, UsageError
from proj.registry import Registry
from proj.tracking.artifacts import FolderArtifactStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from proj.model import ArtifactInfo
    from proj.tracking.store import ArtifactStore

_OBJECT_STORE = "proj.tracking.object_store:FsspecArtifactStore"

registry: Registry[ArtifactStore] = Registry(
    noun="artifact store",
    builtin=dict.fromkeys(
        ("abfs", "abfss", "az", "gcs", "gs", "memory", "s3", "wasb", "wasbs"),
        _OBJECT_STORE,
    ),
    group="proj.artifact_stores",
)
"""URI scheme -> the store of such URIs."""


ROOT_VARIABLE = "PROJ_ARTIFACT_ROOT"
"""Names where the files of new runs go, if not to the home."""


class ArtifactStores:
    """An `ArtifactStore` that leaves each call to the store of the URI's scheme.

    A store is imported when the first URI of its scheme comes. Any number of threads may call at once.

    Args:
        extra: Scheme -> what makes its store, beside those that are known anyway.
    """

    def __init__(self, extra: Mapping[str, Callable[[], ArtifactStore]] | None = None) -> None:
        self._extra = dict(extra or {})
        self._folder = FolderArtifactStore()
        self._stores: dict[str, ArtifactStore] = {}

    def put(self, artifact_uri: str, path: str, source: Path) -> None:
        """See `ArtifactStore.put`."""
        self.store_of(artifact_uri).put(artifact_uri, path, source)

    def write(self, artifact_uri: str, path: str, content: bytes) -> None:
        """See `ArtifactStore.write`."""
        self.store_of(artifact_uri).write(artifact_uri, path, content)

    def create(self, artifact_uri: str, path: str) -> AbstractContextManager[BinaryIO]:
        """See `ArtifactStore.create`."""
        return self.store_of(artifact_uri).create(artifact_uri, path)

    def list(self, artifact_uri: str, path: str = "") -> tuple[ArtifactInfo, ...]:
        """See `ArtifactStore.list`."""
        return self.store_of(artifact_uri).list(artifact_uri, path)

    def open(self, artifact_uri: str, path: str) -> BinaryIO:
        """See `ArtifactStore.open`."""
        return self.store_of(artifact_uri).open(artifact_uri, path)

    def delete(self, artifact_uri: str, path: str = "") -> None:
        """See `ArtifactStore.delete`."""
        self.store_of(artifact_uri).delete(artifact_uri, path)

    def walk(self, artifact_uri: str, path: str = "") -> Iterator[ArtifactInfo]:
        """See `ArtifactStore.walk`."""
        return self.store_of(artifact_uri).walk(artifact_uri, path)

    def check(self, artifact_uri: str) -> None:
        """Check that there is a store for a URI; nothing is asked of the store itself.

        Raises:
            StoreError: There is none, or the URI has not the form that its store takes.
        """
        store = self.store_of(artifact_uri)
        check = getattr(store, "check", None)
        if check is not None:
            check(artifact_uri)

    def store_of(self, artifact_uri: str) -> ArtifactStore:
        """Return the store of a URI's scheme.

        Raises:
            StoreError: There is none, or what it needs is not installed.
        """
        scheme = uri_scheme(artifact_uri)
        if scheme in ("", "file"):
            return self._folder
        found = self._stores.get(scheme)
        if found is None:
            found = self._stores[scheme] = self._load(scheme, artifact_uri)
        return found

    def _load(self, scheme: str, artifact_uri: str) -> ArtifactStore:
        make = self._extra.get(scheme)
        if make is not None:
            return make()
        try:
            return registry.load(scheme)
        except UsageError as error:
            if scheme in registry.names():
                raise StoreError(error.message, hint=error.hint) from error
            known = ", ".join(f"{name}:" for name in sorted({"file", *self._extra, *registry.names()}))
            raise StoreError(
                f"There is no artifact store for {scheme}: URIs ({artifact_uri}).", hint=f"Known: {known}."
            ) from error


def root_uri(root: str) -> str:
    """Return the URI of a folder of artifacts that a user named, by URI or path.

    Raises:
        UsageError: There is no store for it.
    """
    scheme = uri_scheme(root)
    if scheme == "":
        return Path(root).expanduser().absolute().as_uri()
    if scheme != "file":
        try:
            ArtifactStores().check(root)
        except StoreError as error:
            message = f"No artifacts can be kept in {root}: {error.message}"
            raise UsageError(message, hint=error.hint) from error
    return root.rstrip("/")


def uri_scheme(uri: str) -> str:
    """Return the scheme of a URI in lower case; of a plain path the empty string."""
    scheme, colon, _ = uri.partition(":")
    return scheme.lower() if colon and "/" not in scheme else ""


if TYPE_CHECKING:

    def _conforms(store: ArtifactStores) -> ArtifactStore:
        return store
