"""`proj reconcile`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from proj import events, paths, recovery
from proj.cli import output
from proj.cli.options import tracking_option
from proj.place import open_tracking

if TYPE_CHECKING:
    from collections.abc import Iterator


class ReconcileResult(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs were closed."""

    closed: tuple[str, ...]

    def text(self) -> Iterator[output.Block]:
        """Yield a line for each run."""
        for run_id in self.closed:
            yield f"{run_id} closed"
        if not self.closed:
            output.say("Every run is recorded as it is.")


@click.command()
@tracking_option
@output.json_option
def command() -> ReconcileResult:
    """Bring runs that nobody looks after any more to their true state.

    Every command does so for the runs of this machine. This one also does it for runs in a cluster whose own
    machine is gone, where they are recorded on a tracking server.
    """
    watcher = output.Watcher(quiet=output.as_json())
    with watcher, events.listening(watcher), open_tracking() as tracking:
        closed = recovery.close_abandoned(tracking, paths.home(), patient=True)
        if not tracking.uri.startswith("file:"):
            from proj.afar import close_ended

            closed += close_ended(tracking)
    return ReconcileResult(closed=closed)
