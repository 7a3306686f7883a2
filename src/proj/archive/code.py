"""The code of a run, made whole: a git bundle that needs no remote."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj import events, paths, record
from proj.archive.documents import ArchivedSource
from proj.archive.manifest import SOURCE, WHOLE, WHOLE_BUNDLE, artifacts_of
from proj.errors import NotFoundError, ProjError, SourceError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proj.model import RunRecord, Snapshot
    from proj.tracking import Tracking

_NO_LIMIT = 2**63


def recorded_source(tracking: Tracking, run: RunRecord) -> record.SourceRecord | None:
    """What a run's record says of its code; None where it says nothing.

    Raises:
        StoreError: It cannot be read.
    """
    try:
        with tracking.artifacts.open(run.artifact_uri, record.SOURCE) as file:
            return msgspec.json.decode(file.read(), type=record.SourceRecord)
    except NotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise StoreError(f"{record.SOURCE} of run {run.run_id} is damaged: {error}") from error


def kept_code(tracking: Tracking, run: RunRecord) -> tuple[Snapshot | None, str | None]:
    """The snapshot from which a run's code is restored best, and the artifact that is its bundle.

    Of a run that was imported, that is the one that needs no remote.

    Raises:
        StoreError: The record cannot be read.
    """
    whole = _imported(tracking, run)
    if whole is not None:
        return whole.snapshot, WHOLE_BUNDLE
    source = recorded_source(tracking, run)
    snapshot = None if source is None else source.snapshot
    return snapshot, None if snapshot is None or snapshot.bundle is None else record.SOURCE_BUNDLE


def _imported(tracking: Tracking, run: RunRecord) -> ArchivedSource | None:
    try:
        with tracking.artifacts.open(run.artifact_uri, WHOLE) as file:
            return msgspec.json.decode(file.read(), type=ArchivedSource)
    except NotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise StoreError(f"{WHOLE} of run {run.run_id} is damaged: {error}") from error


def is_whole(snapshot: Snapshot) -> bool:
    """Whether its bundle is enough to restore it."""
    return snapshot.bundle is not None and not any(
        part.base_commits for part in snapshot.parts if part.present
    )


def archived_source(
    tracking: Tracking, run: RunRecord, folder: Path
) -> tuple[ArchivedSource | None, Path | None]:
    """The code of a run for an archive.

    Where the run's own bundle builds on commits of a remote, or there is none, one that is whole is made from
    the repository that it ran from, the cache, or the remote.

    Args:
        tracking: Where the run is.
        run: The run.
        folder: Where a bundle may be written that stays until the archive is written.

    Returns:
        What to write of it, and the bundle that has to be added; None and None where no code was kept.
    """
    imported = _imported(tracking, run)
    if imported is not None and imported.bundle is not None:
        bundle = folder / imported.bundle.rpartition("/")[2]
        if not bundle.exists():
            _copy(tracking, run, WHOLE_BUNDLE, bundle)
        return imported, bundle
    source = recorded_source(tracking, run)
    if source is None or source.snapshot is None:
        events.warning(f"The code of run {run.run_id} was not kept, so it is not in the archive.")
        return None, None
    own = f"{artifacts_of(run.run_id)}{record.SOURCE_BUNDLE}"
    snapshot = source.snapshot
    if is_whole(snapshot):
        return ArchivedSource(snapshot=snapshot, bundle=own, whole=True), None
    try:
        whole, bundle = _make_whole(tracking, run, source, snapshot, folder)
    except ProjError as error:
        reason = error.message
        events.warning(
            f"The archive does not hold the whole code of run {run.run_id}, which needs its remote: {reason}"
        )
        bundled = own if snapshot.bundle is not None else None
        return ArchivedSource(snapshot=snapshot, bundle=bundled, whole=False, why_not=reason), None
    return ArchivedSource(snapshot=whole, bundle=f"{SOURCE}{bundle.name}", whole=True), bundle


def _make_whole(
    tracking: Tracking, run: RunRecord, source: record.SourceRecord, snapshot: Snapshot, folder: Path
) -> tuple[Snapshot, Path]:
    from proj.source import snapshot as snapshots
    from proj.source.bundle import workplace

    events.step(f"Getting the code of run {run.run_id}")
    with workplace(paths.cache() / "snapshots") as scratch:
        scratch.mkdir(parents=True, exist_ok=True)
        bundle = None
        if snapshot.bundle is not None:
            bundle = scratch / "run.bundle"
            _copy(tracking, run, record.SOURCE_BUNDLE, bundle)
        tree = scratch / "tree"
        _restore(source, snapshot, tree, bundle)
        taken = snapshots.take(
            tree, store=folder, archive=True, limit_bytes=_NO_LIMIT, project=_project(source, tree)
        )
    made = snapshots.bundle_file(folder, taken)
    if made is None or taken.root.tree != snapshot.root.tree or not is_whole(taken):
        raise SourceError("what was made of it is another tree, such as with files of Git LFS.")
    # of the tree that ran, not of the copy: its branch, what had changed, and what was left out
    return msgspec.structs.replace(
        taken,
        root=msgspec.structs.replace(taken.root, branch=snapshot.root.branch),
        changes=snapshot.changes,
        left_out=snapshot.left_out,
    ), made


def _restore(source: record.SourceRecord, snapshot: Snapshot, tree: Path, bundle: Path | None) -> None:
    from proj.source.restore import restore

    failed: SourceError | None = None
    for remotes in _remotes(source, snapshot):
        try:
            restore(snapshot, tree, bundle_path=bundle, remotes=remotes)
        except SourceError as error:
            failed = failed or error
            continue
        return
    assert failed is not None  # noqa: S101  there is one way at least
    raise failed


def _remotes(source: record.SourceRecord, snapshot: Snapshot) -> Iterator[Mapping[str, str]]:
    """Where the commits may be had from: the repository that ran, if it is on this machine; the remotes."""
    top = _repository(source)
    if top is not None:
        there = {part.path: top / part.path for part in snapshot.parts if part.present}
        yield {path: str(folder) for path, folder in there.items() if (folder / ".git").exists()}
    yield {}


def _repository(source: record.SourceRecord) -> Path | None:
    from proj.source.state import git_state

    if source.kind != "local" or not source.uri.startswith("/"):
        return None
    with contextlib.suppress(ProjError, OSError):
        state = git_state(Path(source.uri))
        return None if state is None else state.root
    return None


def _project(source: record.SourceRecord, tree: Path) -> str:
    return source.subdir if (tree / source.subdir).is_dir() else ""


def _copy(tracking: Tracking, run: RunRecord, path: str, target: Path) -> None:
    import shutil

    with tracking.artifacts.open(run.artifact_uri, path) as file, target.open("wb") as out:
        shutil.copyfileobj(file, out)
