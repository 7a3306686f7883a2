"""The records of this machine: a database and a folder of artifacts below `PROJ_HOME`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from proj import paths
from proj.tracking.artifacts import FolderArtifactStore
from proj.tracking.database import Database
from proj.tracking.sqlite import SqliteRunStore
from proj.tracking.store import ArtifactStore, RunStore

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


class Tracking(msgspec.Struct, frozen=True):
    """Where runs and their files are kept. A context manager that closes itself."""

    runs: RunStore
    artifacts: ArtifactStore

    def close(self) -> None:
        """Release what is open; closing twice is no error."""
        self.runs.close()

    def __enter__(self) -> Tracking:  # noqa: PYI034  typing.Self is new in Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_tracking(home: Path | None = None) -> Tracking:
    """Open the records of this machine, made on first use.

    Args:
        home: The folder; None: `PROJ_HOME`, else the platform's user data folder.

    Raises:
        StoreError: It cannot be used: no permission, a full disk, a damaged database, or one of a newer
            version of proj.
    """
    folder = (home or paths.home()).absolute()
    base = (folder / "artifacts").as_uri()
    return Tracking(runs=SqliteRunStore(Database(folder / "proj.db"), base), artifacts=FolderArtifactStore())
