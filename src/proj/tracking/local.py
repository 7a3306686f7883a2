"""The records of this machine: a database and a folder of artifacts below `PROJ_HOME`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from proj import paths
from proj.tracking.artifact_stores import ROOT_VARIABLE, ArtifactStores, root_uri
from proj.tracking.artifacts import local_path
from proj.tracking.database import Database
from proj.tracking.records import check_run_id
from proj.tracking.sqlite import SqliteRunStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from proj.model import RunRecord
    from proj.tracking.inputs import InputStore
    from proj.tracking.logged_models import LoggedModelStore
    from proj.tracking.model_stores import ModelStores
    from proj.tracking.past import PastStore
    from proj.tracking.registry import ModelRegistry
    from proj.tracking.store import ArtifactStore, RunStore


class Tracking:
    """Where runs, models and their files are kept. A context manager that closes itself.

    Args:
        uri: The place: `file:///…`, or a server's URL without credentials.
        runs: Runs and experiments.
        artifacts: Files.
        models: Called when models or datasets are asked for: most runs have no use for them.
        past: Called when what was recorded elsewhere is to be added; None: that is not possible here.
    """

    def __init__(
        self,
        *,
        uri: str,
        runs: RunStore,
        artifacts: ArtifactStore,
        models: Callable[[], ModelStores],
        past: Callable[[], PastStore] | None = None,
    ) -> None:
        self.uri = uri
        self.runs = runs
        self.artifacts = artifacts
        self._models = models
        self._past = past

    @property
    def registry(self) -> ModelRegistry:
        """Registered models and their versions."""
        return self._models().registry

    @property
    def logged_models(self) -> LoggedModelStore:
        """Models that runs logged."""
        return self._models().logged_models

    @property
    def inputs(self) -> InputStore:
        """What went into runs, and came out of them."""
        return self._models().inputs

    @property
    def past(self) -> PastStore | None:
        """Takes in what was recorded elsewhere, as it was; None where the records are on a server."""
        return None if self._past is None else self._past()

    def workspace(self, run: RunRecord) -> Path:
        """The folder of this machine in which a run's files are made.

        It is the folder of its artifacts where that is on this machine. Else it lies below `PROJ_HOME`, and
        its files are copied to where they belong.

        Raises:
            StoreError: The run's id cannot be the name of a folder.
        """
        if self._is_here(run):
            return local_path(run.artifact_uri)
        return paths.home() / "workspaces" / check_run_id(run.run_id)

    def record_uri(self, run: RunRecord) -> str:
        """The artifact URI under which a run's files are made: that of its workspace."""
        return run.artifact_uri if self._is_here(run) else self.workspace(run).as_uri()

    def _is_here(self, run: RunRecord) -> bool:
        return self.uri.startswith("file:") and run.artifact_uri.startswith(("file:", "/"))

    def close(self) -> None:
        """Release what is open; closing twice is no error."""
        self.runs.close()

    def __enter__(self) -> Tracking:  # noqa: PYI034  typing.Self is new in Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_tracking(home: Path | None = None, artifact_root: str | None = None) -> Tracking:
    """Open the records of this machine, made on first use.

    Args:
        home: The folder; None: `PROJ_HOME`, else the platform's user data folder.
        artifact_root: URI or path of where the files of new runs and models go; None: `PROJ_ARTIFACT_ROOT`,
            else `artifacts` in the folder.

    Raises:
        UsageError: There is no store for the artifact root.
        StoreError: It cannot be used: no permission, a full disk, a damaged database, or one of a newer
            version of proj.
    """
    folder = (home or paths.home()).absolute()
    paths.opened(folder)
    return over(Database(folder / "proj.db"), folder, artifact_root)


def artifact_bases(uri: str) -> tuple[str, str | None]:
    """Where the files of records in a folder are: of new runs, and of older ones where that is elsewhere.

    Args:
        uri: The folder's.
    """
    own = f"{uri}/artifacts"
    base = root_uri(os.environ.get(ROOT_VARIABLE) or own)
    return base, own if own != base else None


def over(database: Database, folder: Path, artifact_root: str | None = None) -> Tracking:
    """Return the records in a database; closing them closes it.

    Args:
        database: The database.
        folder: The absolute path of the folder that its files belong to.
        artifact_root: See `open_tracking`.

    Raises:
        UsageError: There is no store for the artifact root.
    """
    artifact_base = (folder / "artifacts").as_uri()
    root = root_uri(artifact_root or os.environ.get(ROOT_VARIABLE) or artifact_base)

    def models() -> ModelStores:
        from proj.tracking.model_stores import sqlite_model_stores

        return sqlite_model_stores(database, folder.as_uri(), root)

    def past() -> PastStore:
        from proj.tracking.sqlite_past import SqlitePast

        return SqlitePast(database, folder.as_uri(), artifact_base, root)

    return Tracking(
        uri=folder.as_uri(),
        runs=SqliteRunStore(database, artifact_base, root),
        artifacts=ArtifactStores(),
        models=models,
        past=past,
    )
