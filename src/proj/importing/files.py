"""Where the artifacts of runs and models of another store are, and reading them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from proj import events
from proj.errors import NotFoundError, StoreError
from proj.importing.model import ForeignFile, ForeignRun
from proj.tracking.artifact_stores import ArtifactStores, uri_scheme
from proj.tracking.artifacts import local_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proj.importing.model import Files, ForeignLoggedModel, Problems
    from proj.tracking.store import ArtifactStore

_SERVED = "mlflow-artifacts"
_USUAL = ("", "mlartifacts", "mlruns", "artifacts")
"""Where artifacts lie beside a store, by MLflow's defaults."""
_SERVED_TO = ("mlartifacts", "artifacts")
"""Where a server puts them by default."""
_LEAST_PARTS = 3
"""Of a folder of artifacts: the experiment's, the run's, and `artifacts`."""


class FolderFiles:
    """Files in a folder of this machine. Links that lead out of it are named, and left out.

    Args:
        root: The folder.
        problems: Takes what is left out.
    """

    def __init__(self, root: Path, problems: Problems) -> None:
        self._root = root
        self._real = os.path.realpath(root)
        self._problems = problems

    def walk(self) -> Iterator[ForeignFile]:
        """See `Files.walk`."""
        yield from self._below("")

    def _below(self, path: str) -> Iterator[ForeignFile]:
        try:
            with os.scandir(self._root / path) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            self._problems.add(self._root / path, f"The folder cannot be read: {error.strerror}.")
            return
        for entry in entries:
            relative = f"{path}/{entry.name}" if path else entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from self._below(relative)
            elif entry.is_symlink() and not self._leads_to_file(entry.path):
                self._problems.add(entry.path, "It is a link to no file of this run, and left out.")
            elif entry.is_file():
                yield ForeignFile(path=relative, size_bytes=entry.stat().st_size)

    def _leads_to_file(self, path: str) -> bool:
        real = os.path.realpath(path)
        return real.startswith(f"{self._real}{os.sep}") and os.path.isfile(real)  # noqa: PTH113  a string as it is

    def open(self, path: str) -> BinaryIO:
        """See `Files.open`."""
        try:
            descriptor = os.open(self._root / path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise StoreError(f"The file {self._root / path} cannot be read: {error.strerror}.") from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise NotFoundError(f"{self._root / path} is no file.")
        return os.fdopen(descriptor, "rb")

    def changed_s(self, path: str) -> float | None:
        """See `Files.changed_s`."""
        return (self._root / path).stat().st_mtime


class StoreFiles:
    """Files of an `ArtifactStore`.

    Args:
        store: The store.
        uri: Where the files are in it.
    """

    def __init__(self, store: ArtifactStore, uri: str) -> None:
        self._store = store
        self._uri = uri

    def walk(self) -> Iterator[ForeignFile]:
        """See `Files.walk`."""
        for file in self._store.walk(self._uri):
            yield ForeignFile(path=file.path, size_bytes=file.size_bytes)

    def open(self, path: str) -> BinaryIO:
        """See `Files.open`."""
        return self._store.open(self._uri, path)

    def changed_s(self, path: str) -> float | None:  # noqa: ARG002  no store says
        """See `Files.changed_s`."""
        return None


class ArtifactPlaces:
    """Finds the artifacts of runs and models, also where the store was moved.

    A folder of this machine must be one that MLflow makes, `…/ID/artifacts`: a store of somebody else cannot
    name any folder to have it copied.

    Args:
        beside: Folders in which artifacts are looked for that are not where they are said to be.
        problems: Takes what cannot be had.
    """

    def __init__(self, beside: Sequence[Path], problems: Problems) -> None:
        self._beside = tuple(beside)
        self._problems = problems
        self._stores = ArtifactStores()
        self.missing: list[str] = []
        """Folders in which artifacts should be, and which are not there; each is told once."""

    def files(self, owner: ForeignRun | ForeignLoggedModel, own: Path | None = None) -> Files | None:
        """The artifacts of a run or a logged model; None where there are none.

        Args:
            owner: The run or model.
            own: Where they are if not where the store says.

        Raises:
            StoreError: They cannot be had.
        """
        uri = owner.artifact_uri
        if uri is None:
            return None if own is None or not own.is_dir() else FolderFiles(own, self._problems)
        scheme = uri_scheme(uri)
        if scheme not in ("", "file", _SERVED):
            return StoreFiles(self._stores, uri)
        name = owner.run_id if isinstance(owner, ForeignRun) else owner.model_id
        path = Path(uri.partition(":")[2]) if scheme == _SERVED else local_path(uri)
        if path.parts[-2:] != (name, "artifacts") or ".." in path.parts:
            raise StoreError(f"Its artifacts are said to be in {uri}: MLflow makes no such folder.")
        # A folder store makes it for every run, also where files go through a server, to another place.
        usual = own is not None and scheme != _SERVED and _tail(own) == _tail(path)
        root = self._find(path, own, usual=usual, served=scheme == _SERVED)
        if root is None:
            if not usual:
                self._miss(uri, path)
            return None
        return FolderFiles(root, self._problems)

    def _find(self, path: Path, own: Path | None, *, usual: bool, served: bool) -> Path | None:
        if not served and path.is_absolute() and path.is_dir():
            return path
        if own is not None and own.is_dir() and (usual or any(own.iterdir())):
            return own
        parts = path.parts[1:] if path.is_absolute() else path.parts
        for length in range(len(parts), _LEAST_PARTS - 1, -1):
            for folder in self._beside:
                for name in _USUAL:
                    found = folder.joinpath(name, *parts[-length:])
                    if found.is_dir() and not (own is not None and own.exists() and found.samefile(own)):
                        return found
        return None

    def _miss(self, uri: str, path: Path) -> None:
        """Say once of each root that it is not there; a run without artifacts has often no folder."""
        base = path.parents[2 if path.parent.parent.name != "models" else 3]
        served = uri_scheme(uri) == _SERVED
        usual = _SERVED_TO if served else _USUAL[1:]
        roots = [folder.joinpath(name) for folder in self._beside for name in usual]
        there = any(root.is_dir() for root in roots) if served or not path.is_absolute() else base.is_dir()
        place = f"{_SERVED}:{base}" if served else str(base)
        if there or place in self.missing:
            return
        self.missing.append(place)
        hint = "import from the server by its URL, or give" if served else "give"
        events.warning(
            f"The artifacts in {place} are not there and left out; if there are some, "
            f"{hint} the folder that holds them by --artifacts."
        )


def _tail(path: Path) -> tuple[str, ...]:
    return path.parts[-_LEAST_PARTS:]


if TYPE_CHECKING:

    def _conforms(folder: FolderFiles, store: StoreFiles) -> tuple[Files, Files]:
        return folder, store
