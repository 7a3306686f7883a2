"""Where the record of a run is that is to be made again: here, or in an archive."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from proj import events, paths, place
from proj.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.archive import Archive
    from proj.model import RunRecord
    from proj.tracking import Tracking


class Origin:
    """A run that is to be made again.

    Args:
        run: Its record.
        tracking: Where that is.
        packages: A folder with packages of its lock, if it comes with some.
    """

    def __init__(self, run: RunRecord, tracking: Tracking, packages: Path | None = None) -> None:
        self.run = run
        self.tracking = tracking
        self.packages = packages

    def keep(self) -> RunRecord:
        """See that the run is among those of this machine, and return it.

        Raises:
            StoreError: It cannot be written.
        """
        return self.run


class _Archived(Origin):
    """A run of an archive: read into records of its own, which are gone afterwards."""

    def __init__(
        self, run: RunRecord, aside: Tracking, packages: Path | None, archive: Archive, here: Tracking
    ) -> None:
        super().__init__(run, aside, packages)
        self._archive = archive
        self._here = here

    def keep(self) -> RunRecord:
        from proj import archive

        archive.add(self._archive, self._here)
        return self._here.runs.run(self.run.run_id)


@contextlib.contextmanager
def find_origin(tracking: Tracking, run: str) -> Iterator[Origin]:
    """Find a run, or read it from an archive; of that nothing is imported until `Origin.keep`.

    Args:
        tracking: The records of this machine.
        run: What stands for a run, or the path of an archive. A name without a folder and without `.zip` is
            that of a run, if there is one.

    Raises:
        NotFoundError: There is no such run.
        UsageError: The archive is not of one run, or runs are recorded on a server.
        DamagedError: The archive is damaged.
        ConflictError: Another run of its id is here.
    """
    path = Path(run)
    found = None if path.is_file() else tracking.runs.find_run(run, "all")
    if found is None and "/" not in run and path.suffix != ".zip":
        with contextlib.suppress(NotFoundError):
            found = tracking.runs.find_run(run, "all")
    if found is not None:
        yield Origin(found, tracking)
        return
    with _read(tracking, path) as archived:
        yield archived


@contextlib.contextmanager
def _read(tracking: Tracking, path: Path) -> Iterator[Origin]:
    from proj import archive
    from proj.source.bundle import workplace

    if tracking.past is None:
        raise UsageError(
            f"The run of {path} is recorded in a folder of this machine, and {tracking.uri} is a server.",
            hint="Name a folder with --tracking-uri, such as the one that PROJ_HOME names.",
        )
    # should we be killed, what is in there is removed later
    with archive.open_archive(path) as opened, workplace(paths.cache() / "snapshots") as folder:
        run_id = _the_run(opened)
        archive.add(opened, tracking, dry_run=True)
        aside = folder / "records"
        aside.mkdir(parents=True)
        with contextlib.closing(place.open_tracking(place.of_folder(aside))) as records:
            with events.listening(lambda _event: None):  # it is told of when it is imported
                archive.add(opened, records)
            packages = opened.packages(run_id, folder / "packages")
            yield _Archived(records.runs.run(run_id), records, packages, opened, tracking)


def _the_run(opened: Archive) -> str:
    """The run that an archive is of; those below it do not count."""
    ids = {run.run_id for run in opened.runs}
    tops = [run.run_id for run in opened.runs if run.tags.get("mlflow.parentRunId") not in ids]
    if len(tops) != 1:
        raise UsageError(
            f"{opened.path} holds {len(tops)} runs: {', '.join(tops)}.",
            hint=f"`proj import {opened.path}`, then `proj reproduce RUN` for one of them.",
        )
    return tops[0]
