"""`proj restore`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from proj.cli import complete, output, reading
from proj.cli.options import tracking_option

if TYPE_CHECKING:
    from collections.abc import Iterator


class RestoreResult(msgspec.Struct, frozen=True, kw_only=True):
    """Runs that are there again."""

    restored: tuple[str, ...]

    def text(self) -> Iterator[output.Block]:
        """Yield a line for each run."""
        for run_id in self.restored:
            yield f"{run_id} restored"


@click.command()
@click.argument("runs", nargs=-1, required=True, shell_complete=complete.deleted_run_ids)
@tracking_option
@output.json_option
def command(runs: tuple[str, ...]) -> RestoreResult:
    """Bring deleted RUNS back; `proj runs --deleted` lists them."""
    with reading.opened() as tracking:
        ids = tuple(dict.fromkeys(tracking.runs.find_run(name, "deleted").run_id for name in runs))
        tracking.runs.restore_runs(ids)
    return RestoreResult(restored=ids)
