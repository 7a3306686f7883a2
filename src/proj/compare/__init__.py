"""Are two runs the same? What is known of each, row by row, and whether it differs.

`facts` reads a record, `compare` is pure, `code` shows what differs between two trees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.compare.causes import cause_rows
from proj.compare.facts import RunFacts, read_facts
from proj.compare.results import result_rows
from proj.compare.rows import GROUPS, Comparison, Row, RunName, Settings, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "GROUPS",
    "Comparison",
    "Row",
    "RunFacts",
    "RunName",
    "Settings",
    "Status",
    "compare",
    "read_facts",
]


def compare(left: RunFacts, right: RunFacts, settings: Settings | None = None) -> Comparison:
    """Compare two runs: first what could explain a difference, then what came out.

    Args:
        left: The run to compare with.
        right: The other one.
        settings: Tolerances and what is ignored; None: the defaults.

    Returns:
        Rows in the order of `GROUPS`. It is symmetric: with the runs exchanged, the same rows come out with
        their values exchanged; a run compared with itself differs in nothing.

    Raises:
        StoreError: An artifact or a metric's history cannot be read.
    """
    chosen = settings or Settings()
    rows: Sequence[Row] = [*cause_rows(left, right), *result_rows(left, right, chosen)]
    return Comparison(
        left=RunName(run_id=left.run_id, name=left.run_name),
        right=RunName(run_id=right.run_id, name=right.run_name),
        rows=tuple(sorted(rows, key=lambda row: GROUPS.index(row.group))),
        ignored=tuple(
            sorted({path for run in (left, right) for path in run.artifacts if chosen.ignores(path)})
        ),
    )
