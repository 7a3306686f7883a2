"""The files of a run that belong elsewhere: made in a folder below `PROJ_HOME`, and copied from there."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj.errors import ProjError, StoreError, UnreachableError
from proj.tracking.artifacts import is_partial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.tracking.store import ArtifactStore

_Stamp = tuple[int, int]
_SUPERVISOR_LOG = "proj/supervisor.log"
"""What a detached supervisor had to say; empty unless it is defective."""


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """A folder whose files are not all where they belong."""

    place: str
    """Where the run is recorded."""
    run_id: str
    artifact_uri: str


class Uploads:
    """The files of one run, and which of them are where they belong.

    Args:
        run_id: The run.
        artifact_uri: Where they belong.
        workspace: The folder that they are made in.
    """

    def __init__(self, run_id: str, artifact_uri: str, workspace: Path) -> None:
        self.run_id = run_id
        self.workspace = workspace
        self._artifact_uri = artifact_uri
        self._done: dict[str, _Stamp] = {}
        """Path -> size and time of what was copied."""
        self._complete = False

    def upload(self, artifacts: ArtifactStore) -> tuple[str, ...]:
        """Copy what is new or has changed; returns what went wrong, a sentence for each file."""
        problems: list[str] = []
        for path, stamp in self._changed():
            try:
                artifacts.put(self._artifact_uri, path, self.workspace / path)
            except ProjError as error:  # noqa: PERF203  each file has a chance of its own
                problems.append(f"{path} cannot be stored: {error.message}")
                if isinstance(error, UnreachableError):
                    break
            else:
                self._done[path] = stamp
        self._complete = not problems
        return tuple(problems)

    def refresh(self, artifacts: ArtifactStore) -> int:
        """Copy what has changed below `proj/`; returns how many bytes that were.

        Raises:
            ProjError: It does not go.
        """
        size = 0
        for path, stamp in self._changed("proj"):
            artifacts.put(self._artifact_uri, path, self.workspace / path)
            self._done[path] = stamp
            size += stamp[0]
        return size

    def discard(self, *, whatever: bool = False) -> None:
        """Remove the folder, if all is where it belongs, or else if nobody wants it any more."""
        if self._complete or whatever:
            shutil.rmtree(self.workspace, ignore_errors=True)
            with contextlib.suppress(OSError):
                marker_of(self.workspace).unlink(missing_ok=True)

    def _changed(self, below: str = "") -> Iterator[tuple[str, _Stamp]]:
        root = self.workspace
        for folder, folders, names in os.walk(root / below):
            folders.sort()
            for name in sorted(names):
                file = Path(folder, name)
                path = file.relative_to(root).as_posix()
                if is_partial(name) or not file.is_file():
                    continue
                state = file.stat()
                stamp = (state.st_size, state.st_mtime_ns)
                if path == _SUPERVISOR_LOG and not state.st_size:
                    continue
                if self._done.get(path) != stamp:
                    yield path, stamp


def marker_of(workspace: Path) -> Path:
    """The file that says whose a folder is; it goes with the folder."""
    return workspace.with_name(f"{workspace.name}.json")


def mark(workspace: Path, left: Left) -> None:
    """Write down whose a folder is, so that its files are found again.

    Raises:
        StoreError: It cannot be written.
    """
    try:
        marker_of(workspace).write_bytes(msgspec.json.encode(left))
    except OSError as error:
        raise StoreError(f"Cannot write below {workspace.parent}: {error.strerror}.") from error


def left_below(home: Path) -> Iterator[tuple[Path, Left]]:
    """Yield the folders below a home whose run is not all where it belongs, or is under way."""
    folder = home / "workspaces"
    for marker in sorted(folder.glob("*.json")):
        with contextlib.suppress(OSError, msgspec.DecodeError):
            yield marker.with_suffix(""), msgspec.json.decode(marker.read_bytes(), type=Left)
