"""The records as commands open them that look at what is there."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from proj import active, paths, place, recovery
from proj.cli import output, wording
from proj.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proj.tracking import Tracking


@contextlib.contextmanager
def opened() -> Iterator[Tracking]:
    """Open the records, with all that is known of them by now; what is not in them yet is told.

    Raises:
        UsageError: Nothing was ever recorded in the folder that the user names.
        StoreError: See `recovery.recover`.
    """
    where, home = place.current(), paths.home()
    if where.folder not in (None, home) and not (where.folder / "proj.db").exists():
        what = "holds no records" if where.folder.is_dir() else "is not there"
        raise UsageError(
            f"The folder {where.folder} {what}.",
            hint="Check --tracking-uri, PROJ_TRACKING_URI and MLFLOW_TRACKING_URI.",
        )
    with place.open_tracking(where) as tracking:
        recovery.recover(tracking, home)
        _tell_of_waiting(where.uri, home)
        yield tracking


def _tell_of_waiting(uri: str, home: Path) -> None:
    """Say what is on this machine still, and belongs to records of the place."""
    if os.path.exists(paths.journal(home) / "waiting"):  # noqa: PTH110  on the path of every command
        from proj.remote.journal import Journal

        with contextlib.closing(Journal(home)) as journal:
            items = {each.run_id: each.requests for each in journal.queues() if each.place == uri}
        _tell("item", items)
    if os.path.isdir(home / "workspaces"):  # noqa: PTH112  same
        from proj.recording.uploads import left_below

        under_way = active.run_ids(home)
        files = {
            left.run_id: sum(each.is_file() for each in workspace.rglob("*"))
            for workspace, left in left_below(home)
            if left.place == uri and left.run_id not in under_way
        }
        _tell("file", files)


def _tell(noun: str, waiting: dict[str, int]) -> None:
    count = sum(waiting.values())
    if count:
        runs = f"the run {next(iter(waiting))}" if len(waiting) == 1 else f"{len(waiting)} runs"
        verb = "waits" if count == 1 else "wait"
        message = (
            f"{wording.counted(count, noun)} of {runs} {verb} on this machine: `proj sync` delivers them."
        )
        output.say(message, label="warning:", fg="yellow")
