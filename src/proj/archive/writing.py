"""Runs into an archive."""

from __future__ import annotations

import contextlib
import io
import os
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from proj import events, paths
from proj.archive import manifest
from proj.archive.code import archived_source
from proj.archive.container import CHUNK_BYTES, Stored, Writer
from proj.archive.crate import write_crate
from proj.archive.documents import (
    LOCAL_TAGS,
    ArchivedModel,
    ArchivedRun,
    Contents,
    encode,
    encode_points,
    model_points,
)
from proj.archive.failures import DamagedError
from proj.archive.statement import write_statement
from proj.errors import AlreadyExistsError, ConflictError, NotFoundError, StoreError
from proj.process import deferred
from proj.tracking.inputs import RunInputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from proj.model import ArtifactInfo, Metric, RunRecord
    from proj.tracking import Tracking


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """An archive that was written."""

    runs: tuple[ArchivedRun, ...]
    files: int
    size_bytes: int
    digest: str
    """SHA-256 of the archive itself, hexadecimal."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What goes into an archive beside the runs, and where."""

    packages: bool = False
    """Whether the packages that locks name are added."""
    replace: bool = False
    """Whether a file that is there is replaced."""


def export(
    tracking: Tracking,
    runs: Sequence[RunRecord],
    target: Path,
    *,
    options: Options | None = None,
    sign: Callable[[bytes], bytes] | None = None,
) -> Exported:
    """Write runs into an archive, which is there whole or not at all.

    Args:
        tracking: Where the runs are.
        runs: The runs.
        target: The file.
        options: What else.
        sign: Makes the signature of the statement's bytes; None: the archive is not signed.

    Raises:
        ConflictError: A run has not ended, or the file is there.
        StoreError: The record cannot be read, or the archive not written.
    """
    options = options or Options()
    for run in runs:
        if not run.status.finished or run.ended_ms is None:
            raise ConflictError(
                f"Run {run.run_id} has not ended.", hint=f"`proj wait {run.run_id[:8]}` waits for it."
            )
    if target.exists() and not options.replace:
        raise AlreadyExistsError(f"{target} is there already.", hint="Give another name, or --force.")
    partial = target.with_name(f".{target.name}.{os.urandom(4).hex()}.partial")
    try:
        with _scratch() as scratch, partial.open("x+b") as file:
            exported = _Export(tracking, Writer(file), scratch, options).write(runs, sign)
            file.flush()
            os.fsync(file.fileno())
            size_bytes, digest = _digest(file)
        partial.replace(target)
    except OSError as error:
        raise StoreError(
            f"{target} cannot be written: {error.strerror or error}.", hint="Check space and permissions."
        ) from error
    finally:
        with deferred(), contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    return msgspec.structs.replace(exported, size_bytes=size_bytes, digest=digest)


class _Export:
    """One archive on its way."""

    def __init__(self, tracking: Tracking, writer: Writer, scratch: Path, options: Options) -> None:
        self._tracking = tracking
        self._writer = writer
        self._scratch = scratch
        self._options = options
        self._stored: list[Stored] = []
        self._loose: dict[str, Path] = {}
        """Name -> file on disk, of what several runs may share."""

    def write(self, runs: Sequence[RunRecord], sign: Callable[[bytes], bytes] | None) -> Exported:
        events.step(f"Exporting {len(runs)} {'run' if len(runs) == 1 else 'runs'}")
        inputs = self._tracking.inputs.of_runs([run.run_id for run in runs])
        self._document(manifest.CONTENTS, encode(Contents(runs=tuple(run.run_id for run in runs))))
        archived = tuple(self._run(run, inputs.get(run.run_id, RunInputs())) for run in runs)
        for name, path in sorted(self._loose.items()):
            with path.open("rb") as file:
                self._add(name, file, path.stat().st_size)
        self._document(manifest.CRATE, write_crate(archived, self._stored))
        listed = {stored.name: stored.digest for stored in self._stored}
        self._document(manifest.MANIFEST, manifest.write_manifest(listed))
        statement = write_statement({stored.name: stored.digest for stored in self._stored}, archived)
        self._document(manifest.STATEMENT, statement)
        if sign is not None:
            self._document(manifest.SIGNATURE, sign(statement))
        self._writer.finish()
        return Exported(runs=archived, files=len(self._stored), size_bytes=0, digest="")

    def _run(self, run: RunRecord, inputs: RunInputs) -> ArchivedRun:
        self._files(run.artifact_uri, manifest.artifacts_of(run.run_id))
        history: list[Metric] = []
        for key in run.metrics:
            history += self._tracking.runs.metric_history(run.run_id, key)
        self._document(manifest.metrics_file(run.run_id), encode_points(history))
        source, bundle = archived_source(self._tracking, run, self._scratch)
        if source is not None and source.bundle is not None and bundle is not None:
            self._loose[source.bundle] = bundle
        packages = self._packages(run, source is not None and source.whole)
        archived = ArchivedRun(
            run_id=run.run_id,
            name=run.run_name,
            experiment=self._tracking.runs.experiment(run.experiment_id).name,
            user=run.user,
            status=run.status,
            started_ms=run.started_ms,
            ended_ms=run.ended_ms or run.started_ms,
            params=run.params,
            tags={name: value for name, value in run.tags.items() if name not in LOCAL_TAGS},
            inputs=inputs,
            models=tuple(self._model(output.model_id) for output in inputs.outputs),
            source=source,
            packages=packages,
        )
        self._document(manifest.run_file(run.run_id), encode(archived))
        return archived

    def _packages(self, run: RunRecord, has_code: bool) -> tuple[str, ...] | None:
        if not self._options.packages:
            return None
        from proj.archive.packages import packages_of

        found = packages_of(self._tracking, run, self._scratch / "packages", has_code=has_code)
        for path in found or ():
            self._loose[f"{manifest.PACKAGES}{path.name}"] = path
        return None if found is None else tuple(path.name for path in found)

    def _model(self, model_id: str) -> ArchivedModel:
        model = self._tracking.logged_models.logged_model(model_id, allow_deleted=True)
        prefix = manifest.files_of_model(model_id)
        if not any(stored.name.startswith(prefix) for stored in self._stored):
            self._files(model.artifact_location, prefix)
        return ArchivedModel(
            model_id=model.model_id,
            name=model.name,
            status=model.status,
            status_message=model.status_message,
            model_type=model.model_type,
            created_ms=model.created_ms,
            updated_ms=model.updated_ms,
            params=model.params,
            tags=model.tags,
            metrics=model_points(model.metrics),
        )

    def _files(self, uri: str, prefix: str) -> None:
        for info in sorted(self._tracking.artifacts.walk(uri), key=lambda info: info.path):
            if info.path in (
                manifest.WHOLE,
                manifest.WHOLE_BUNDLE,
            ):  # an archive has them elsewhere, once for all runs
                continue
            manifest.check_path(f"{prefix}{info.path}")
            with self._open(uri, info) as (file, size_bytes):
                self._add(f"{prefix}{info.path}", file, size_bytes)

    @contextlib.contextmanager
    def _open(self, uri: str, info: ArtifactInfo) -> Iterator[tuple[BinaryIO, int]]:
        """Open an artifact, and know its size before it is read."""
        with self._tracking.artifacts.open(uri, info.path) as file:
            if info.size_bytes is not None:
                yield file, info.size_bytes
                return
            spool = self._scratch / "spool"
            with spool.open("w+b") as copy:
                while chunk := file.read(CHUNK_BYTES):
                    copy.write(chunk)
                size_bytes = copy.tell()
                copy.seek(0)
                yield copy, size_bytes

    def _document(self, name: str, content: bytes) -> None:
        self._add(name, io.BytesIO(content), len(content))

    def _add(self, name: str, file: BinaryIO, size_bytes: int) -> None:
        try:
            self._stored.append(self._writer.add(name, file, size_bytes))
        except DamagedError as error:
            raise ConflictError(
                f"{name} changed while it was exported.", hint="Export again when nothing writes to it."
            ) from error
        events.progress(f"{len(self._stored)} files", len(self._stored))


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for what is made on the way, gone afterwards."""
    from proj.source.bundle import workplace

    with workplace(paths.cache() / "archives") as folder:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder


def _digest(file: BinaryIO) -> tuple[int, str]:
    import hashlib

    digest = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    return file.tell(), digest.hexdigest()


def with_children(tracking: Tracking, runs: Sequence[RunRecord]) -> tuple[RunRecord, ...]:
    """Runs and those below them, each after its parent, each once.

    Raises:
        NotFoundError: One is not there any more.
    """
    found: dict[str, RunRecord] = {}
    for run in runs:
        found.setdefault(run.run_id, run)
        for run_id in tracking.runs.children(run.run_id):
            if run_id not in found:
                with contextlib.suppress(NotFoundError):  # removed meanwhile
                    found[run_id] = tracking.runs.run(run_id)
    return tuple(found.values())
