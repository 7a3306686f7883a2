"""`proj sync`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from proj import paths, recovery
from proj.cli import output, wording
from proj.cli.options import tracking_option
from proj.place import open_tracking
from proj.remote.journal import Refused
from proj.sync import RunSync, forget_failures, sync

if TYPE_CHECKING:
    from collections.abc import Iterator


class SyncResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was delivered, what waits, and what servers refused."""

    delivered: int
    waiting: int
    runs: tuple[RunSync, ...]
    refused: tuple[Refused, ...]
    exit_code: int

    def text(self) -> Iterator[output.Block]:
        """Yield a line for each run, what was refused, and the sum."""
        for run in self.runs:
            left = f", {wording.counted(run.waiting, 'item')} left" if run.waiting else ""
            yield f"{run.run_id} {wording.counted(run.delivered, 'item')} delivered to {run.place}{left}"
            if run.waiting and run.problem:
                yield f"  {run.problem}"
        for refused in self.refused:
            path = refused.what.rpartition("/api/2.0/")[2] or refused.what
            yield f"{refused.run_id} refused by {refused.place} ({refused.status}): {path}: {refused.message}"
        if self.waiting:
            output.say("What is left waits for the next `proj sync`.", label="hint:", fg="cyan")
        if self.refused:
            output.say(
                "--retry-refused offers what was refused once more, --drop-refused forgets it.",
                label="hint:",
                fg="cyan",
            )
        if not self.runs and not self.refused:
            output.say("Nothing waits.")


@click.command()
@click.option("--retry-refused", is_flag=True, help="Offer again what servers refused.")
@click.option(
    "--drop-refused",
    is_flag=True,
    help="Forget what servers refused, and files of deleted runs that cannot be stored.",
)
@tracking_option
@output.json_option
def command(retry_refused: bool, drop_refused: bool) -> SyncResult:
    """Deliver what waits for tracking servers: what was recorded while they were away.

    Exit code 1: something still waits, or was refused.
    """
    home = paths.home()
    forget_failures(home)
    with open_tracking() as tracking:
        recovery.close_abandoned(tracking, home, patient=True)
    done = sync(home, retry_refused=retry_refused, drop_refused=drop_refused)
    waiting = sum(run.waiting for run in done.runs)
    return SyncResult(
        delivered=sum(run.delivered for run in done.runs),
        waiting=waiting,
        runs=done.runs,
        refused=done.refused,
        exit_code=1 if waiting or done.refused else 0,
    )
