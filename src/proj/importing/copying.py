"""Copies artifacts; one that is here stays."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NamedTuple

from proj import events
from proj.errors import ProjError
from proj.tracking.artifact_stores import uri_scheme
from proj.tracking.artifacts import local_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from proj.importing.model import Files, ForeignFile, ImportReport, Problems
    from proj.tracking.store import ArtifactStore

_CHUNK_BYTES = 1 << 20
_TOLD_EVERY = 100


class _Known(NamedTuple):
    """A file that is here."""

    size_bytes: int | None
    changed_s: float | None


class Copier:
    """Copies the files of runs and models.

    Args:
        artifacts: Where they go.
        report: Counts them.
        problems: Takes what cannot be copied; the rest goes on.
        dry_run: Only count.
    """

    def __init__(
        self, artifacts: ArtifactStore, report: ImportReport, problems: Problems, *, dry_run: bool = False
    ) -> None:
        self._artifacts = artifacts
        self._report = report
        self._problems = problems
        self._dry_run = dry_run

    def copy(self, files: Files, uri: str, *, follow: bool = False) -> None:
        """Copy what is not there.

        Args:
            files: Where they are.
            uri: Where they go.
            follow: Also copy a file anew that has changed: its run had not ended when it was copied.

        Raises:
            ProjError: The files cannot be listed.
        """
        tally = self._report.files
        there = self._there(uri)
        for file in files.walk():
            known = there(file.path)
            if known is None:
                tally.new += self._take(files, file, uri)
            elif follow and _changed(files, file, known):
                tally.changed += self._take(files, file, uri)
            else:
                tally.there += 1
            if not tally.all % _TOLD_EVERY:
                events.progress(f"{tally.all} files", tally.all)

    def _there(self, uri: str) -> Callable[[str], _Known | None]:
        """Return what says of a path whether a file is there."""
        if uri_scheme(uri) not in ("", "file"):  # an experiment that keeps its files elsewhere
            found = {file.path: _Known(file.size_bytes, None) for file in self._artifacts.walk(uri)}
            return found.get
        root = local_path(uri)

        def look(path: str) -> _Known | None:
            try:
                state = (root / path).stat()
            except OSError:
                return None
            return _Known(state.st_size, state.st_mtime)

        return look

    def _take(self, files: Files, file: ForeignFile, uri: str) -> int:
        """Copy one file; return how many were."""
        try:
            if not self._dry_run:
                with files.open(file.path) as source, self._artifacts.create(uri, file.path) as target:
                    shutil.copyfileobj(source, target, _CHUNK_BYTES)
        except ProjError as error:
            self._problems.add(file.path, error.message)
            return 0
        self._report.size_bytes += file.size_bytes or 0
        return 1


def _changed(files: Files, file: ForeignFile, known: _Known) -> bool:
    if None not in (file.size_bytes, known.size_bytes) and file.size_bytes != known.size_bytes:
        return True
    changed_s = files.changed_s(file.path)
    return changed_s is not None and known.changed_s is not None and changed_s > known.changed_s
