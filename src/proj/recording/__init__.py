"""Where one run is recorded while it goes on: the records, and the run's files on their way there."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from proj import events
from proj.errors import StoreError
from proj.files import make_private

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from proj.assignment import Assignment
    from proj.model import RunRecord
    from proj.process.interrupts import Pending
    from proj.remote.journaled import JournalTransport
    from proj.tracking import Tracking


class Recording:
    """Records on this machine: there is nothing to be brought anywhere.

    Args:
        tracking: The records.
    """

    upstream: JournalTransport | None = None
    """The way to the server, where the records are on one."""

    def __init__(self, tracking: Tracking) -> None:
        self.tracking = tracking

    def __enter__(self) -> Recording:  # noqa: PYI034  typing.Self is new in Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        """Be done."""

    def begun(self, cancel: Callable[[], None]) -> None:
        """The command has begun, and `cancel` stops it: the run may be cancelled from another machine."""

    def upload(self) -> None:
        """Bring the run's files to where they belong; what goes wrong is told, and tried again later."""

    def ending(self, pending: Pending) -> AbstractContextManager[None]:  # noqa: ARG002  there is no hurry here
        """Return a block for the end of the run: a signal that is held back meanwhile cuts waiting short."""
        return contextlib.nullcontext()


class UploadingRecording(Recording):
    """Records on this machine of a run whose files are kept elsewhere.

    Args:
        tracking: The records.
        run_id: The run.
        artifact_uri: Where its files belong.
        workspace: The folder that they are in meanwhile.
    """

    def __init__(self, tracking: Tracking, *, run_id: str, artifact_uri: str, workspace: Path) -> None:
        from proj.recording.uploads import Uploads

        super().__init__(tracking)
        self._uploads = Uploads(run_id, artifact_uri, workspace)

    def __exit__(self, *_: object) -> None:
        """Remove the folder, if all is where it belongs."""
        self._uploads.discard()

    def upload(self) -> None:
        """See `Recording.upload`."""
        tell_of(self._uploads.upload(self.tracking.artifacts), self._uploads.workspace)


def tell_of(problems: tuple[str, ...], workspace: Path) -> None:
    """Warn that files are not where they belong."""
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        events.warning(f"{problems[0]}{more} The files are kept in {workspace}: `proj sync` tries again.")


def open_recording(assignment: Assignment, tracking: Tracking) -> Recording:
    """Open what a run is to be recorded by, from its beginning to its end; a context manager."""
    if assignment.record_uri == assignment.artifact_uri:
        return Recording(tracking)
    if assignment.place.folder is not None:
        return UploadingRecording(
            tracking,
            run_id=assignment.execution.run_id,
            artifact_uri=assignment.artifact_uri,
            workspace=Path(assignment.execution.record_dir).parent,
        )
    from proj.recording.remote import RemoteRecording

    return RemoteRecording(assignment)


def rest_of(tracking: Tracking, run: RunRecord, workspace: Path | None = None) -> Recording:
    """What brings the files of a run to where they belong when nobody looks after it any more.

    Args:
        tracking: The records.
        run: It.
        workspace: The folder that they are in; None: the usual one.
    """
    if tracking.record_uri(run) == run.artifact_uri:
        return Recording(tracking)
    workspace = workspace or tracking.workspace(run)
    return UploadingRecording(tracking, run_id=run.run_id, artifact_uri=run.artifact_uri, workspace=workspace)


def make_workspace(tracking: Tracking, run: RunRecord) -> None:
    """Make the folder for a run's files.

    Raises:
        StoreError: It cannot be made.
    """
    folder = tracking.workspace(run)
    try:
        make_private(folder.parent)
        (folder / "proj").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"The folder {folder} cannot be made: {error.strerror}.") from error
    if tracking.record_uri(run) != run.artifact_uri:
        from proj.recording.uploads import Left, mark

        mark(folder, Left(place=tracking.uri, run_id=run.run_id, artifact_uri=run.artifact_uri))


def discard_workspace(tracking: Tracking, run: RunRecord) -> None:
    """Remove the folder of a run whose files are elsewhere."""
    import shutil

    from proj.recording.uploads import marker_of

    folder = tracking.workspace(run)
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        marker_of(folder).unlink(missing_ok=True)


def bring_files(tracking: Tracking, run: RunRecord) -> None:
    """Bring what is left in the workspace of a run that has ended to where it belongs."""
    if tracking.record_uri(run) != run.artifact_uri and tracking.workspace(run).is_dir():
        with rest_of(tracking, run) as recording:
            recording.upload()
