"""Files of runs on this machine: where they are kept here, or copies of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from proj import paths
from proj.errors import NotFoundError
from proj.tracking.artifact_stores import uri_scheme
from proj.tracking.artifacts import FolderArtifactStore, local_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from proj.model import ArtifactInfo, RunRecord
    from proj.runfiles import RunFiles
    from proj.tracking import Tracking

_CHUNK_BYTES = 1 << 20


def folder_of(tracking: Tracking, run: RunRecord) -> Path:
    """Return a folder of this machine with the run's artifacts: the one that they are kept in, or a copy.

    Raises:
        StoreError: They cannot be had.
    """
    kept = _kept_here(tracking, run)
    if kept is not None:
        return kept
    folder = _copies(run)
    wanted = tracking.artifacts.walk(run.artifact_uri)
    _fetch(run, wanted, lambda path: tracking.artifacts.open(run.artifact_uri, path), folder)
    return folder


def download(tracking: Tracking, run: RunRecord, path: str = "", to: Path | None = None) -> Path:
    """Return where a file or folder of a run lies on this machine, fetched if need be.

    A copy of a run that has ended is made once, in the cache.

    Args:
        tracking: The records.
        run: The run.
        path: Of the file or folder; a model that the run logged is a folder of the model's name.
        to: The folder to copy it to, below which it has the path that it has in the run; None: it is copied
            to the cache, and not at all where it is kept on this machine.

    Raises:
        NotFoundError: The run has no such file.
        StoreError: It cannot be had.
    """
    path = path.strip("/")
    kept = _kept_here(tracking, run) if to is None else None
    if kept is not None and (not path or os.path.lexists(kept / path)):
        tracking.artifacts.list(run.artifact_uri, path)  # refuses what leads out of the folder
        return kept / path
    return _fetch_named(tracking, run, path, _copies(run) if to is None else to)


def _fetch_named(tracking: Tracking, run: RunRecord, path: str, folder: Path) -> Path:
    from proj.runfiles import RunFiles

    files = RunFiles(tracking, run)
    wanted = tuple(_below(files, path))
    if path and not wanted:
        hint = f"`proj artifacts ls {run.run_id[:8]} -r` lists what is there."
        raise NotFoundError(f"The run {run.run_id} has no artifact {path!r}.", hint=hint)
    _fetch(run, wanted, files.open, folder)
    return folder / path


def _below(files: RunFiles, path: str) -> Iterator[ArtifactInfo]:
    """Yield the file of that path, or all files of the folder."""
    for entry in files.list(path.rpartition("/")[0]) if path else ():
        if entry.path == path and not entry.is_dir:
            yield entry
            return
    yield from files.walk(path)


def _fetch(
    run: RunRecord, wanted: Iterable[ArtifactInfo], open_file: Callable[[str], BinaryIO], folder: Path
) -> None:
    """Copy files; those in the cache that are as long as they should be are left alone."""
    target, root = FolderArtifactStore(), folder.absolute().as_uri()
    keeps = run.ended_ms is not None and folder == _copies(run)
    folder.mkdir(parents=True, exist_ok=True)
    for entry in wanted:
        if keeps and _is_there(folder / entry.path, entry.size_bytes):
            continue
        with open_file(entry.path) as source, target.create(root, entry.path) as sink:
            while chunk := source.read(_CHUNK_BYTES):
                sink.write(chunk)


def _is_there(file: Path, size_bytes: int | None) -> bool:
    try:
        return file.stat().st_size == (size_bytes or 0)  # MLflow leaves out that a file is empty
    except OSError:
        return False


def _kept_here(tracking: Tracking, run: RunRecord) -> Path | None:
    if uri_scheme(run.artifact_uri) not in ("", "file"):
        return None
    tracking.artifacts.list(run.artifact_uri)  # where a server keeps its files may be a folder of its machine
    return local_path(run.artifact_uri)


def _copies(run: RunRecord) -> Path:
    """Where copies of a run's files are; a run that is made again under its id has another such folder."""
    return paths.cache() / "artifacts" / run.run_id / str(run.ended_ms or "under-way")
