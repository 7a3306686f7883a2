"""`proj cancel`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from proj import control, paths
from proj.cli import complete, output, reading
from proj.cli.options import tracking_option

if TYPE_CHECKING:
    from collections.abc import Iterator


class CancelResult(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs were stopped, and which had ended already."""

    cancelled: tuple[str, ...]
    already_ended: tuple[str, ...]

    def text(self) -> Iterator[output.Block]:
        """Yield a line for each run."""
        for run_id in self.cancelled:
            yield f"{run_id} cancelled"
        for run_id in self.already_ended:
            yield f"{run_id} had ended already"


@click.command()
@click.argument("runs", nargs=-1, required=True, shell_complete=complete.run_ids)
@click.option("--no-wait", is_flag=True, help="Return before the runs have ended.")
@tracking_option
@output.json_option
def command(runs: tuple[str, ...], no_wait: bool) -> CancelResult:
    """Stop RUNS: TERM to their processes, KILL after the grace time; they end as KILLED."""
    home = paths.home()
    with reading.opened() as tracking:
        found = [tracking.runs.find_run(name) for name in runs]
        stopped = [run for run in found if control.cancel(run, tracking, home)]
        if not no_wait:
            for run in stopped:
                control.wait(run, tracking, home)
    ids = tuple(run.run_id for run in stopped)
    return CancelResult(
        cancelled=ids, already_ended=tuple(run.run_id for run in found if run.run_id not in ids)
    )
