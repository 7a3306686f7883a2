"""`proj rm`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from proj.cli import complete, output, reading
from proj.cli.options import tracking_option
from proj.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


class RemoveResult(msgspec.Struct, frozen=True, kw_only=True):
    """Runs that are deleted now."""

    deleted: tuple[str, ...]

    def text(self) -> Iterator[output.Block]:
        """Yield a line for each run."""
        for run_id in self.deleted:
            yield f"{run_id} deleted"


@click.command()
@click.argument("runs", nargs=-1, required=True, shell_complete=complete.run_ids)
@tracking_option
@output.json_option
def command(runs: tuple[str, ...]) -> RemoveResult:
    """Mark RUNS as deleted. `proj restore` brings them back, until `proj gc` removes them for good."""
    with reading.opened() as tracking:
        found = [tracking.runs.find_run(name) for name in runs]
        for run in found:
            if not run.status.finished:
                raise UsageError(
                    f"The run {run.run_id} has not ended: it is {run.status.value}.",
                    hint=f"`proj cancel {run.run_id[:8]}` stops it.",
                )
        ids = tuple(dict.fromkeys(run.run_id for run in found))
        tracking.runs.delete_runs(ids)
    return RemoveResult(deleted=ids)
