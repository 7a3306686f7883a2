"""`proj wait`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from proj import control, paths
from proj.cli import complete, output, reading
from proj.cli.options import tracking_option
from proj.exitcodes import exit_code as exit_code_of
from proj.model import Outcome
from proj.times import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterator


EXIT_TIMEOUT = 124


class WaitedRun(msgspec.Struct, frozen=True, kw_only=True):
    """How one run ended; `outcome` is None when it has not yet."""

    run_id: str
    status: str
    outcome: Outcome | None


class WaitResult(msgspec.Struct, frozen=True, kw_only=True):
    """How runs ended."""

    runs: tuple[WaitedRun, ...]
    exit_code: int

    def text(self) -> Iterator[output.Block]:
        """Yield a line for each run."""
        for run in self.runs:
            cause = f": {run.outcome.message}" if run.outcome and run.outcome.message else ""
            yield f"{run.run_id} {run.status}{cause}"


@click.command()
@click.argument("runs", nargs=-1, required=True, shell_complete=complete.run_ids)
@click.option(
    "--timeout", metavar="TIME", help="Give up after this time (exit code 124), such as 90s or 10m."
)
@tracking_option
@output.json_option
def command(runs: tuple[str, ...], timeout: str | None) -> WaitResult:
    """Wait until RUNS have ended; the exit code is that of the first one that did not succeed."""
    home = paths.home()
    timeout_s = parse_duration(timeout) if timeout else None
    waited = []
    code = 0
    with reading.opened() as tracking:
        for run in [tracking.runs.find_run(name) for name in runs]:
            ended = control.wait(run, tracking, home, timeout_s)
            if ended is None:
                waited.append(WaitedRun(run_id=run.run_id, status=run.status.value, outcome=None))
                code = code or EXIT_TIMEOUT
                continue
            outcome = control.outcome(ended, tracking)
            waited.append(WaitedRun(run_id=run.run_id, status=outcome.status.value, outcome=outcome))
            code = code or exit_code_of(outcome)
    return WaitResult(runs=tuple(waited), exit_code=code)
