"""The table of runs: what matters first, and as many parameters and metrics as fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from proj.cli import wording
from proj.cli.output import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from proj.cli.runs import RunSummary

_GAP = 2
_MAX_CELL = 24
_IDENTITY = ("STARTED", "EXPERIMENT", "ENTRY POINT", "COMMIT", "TOOK")
"""What tells runs apart, the most telling first."""
_TITLES = dict.fromkeys(("start_time", "attributes.start_time", "attribute.start_time", "Created"), "STARTED")
_SHORT_ID = 8
_SHORT_COMMIT = 7


class _Column(msgspec.Struct, frozen=True):
    title: str
    cells: tuple[str, ...]
    numeric: bool = False

    @property
    def width(self) -> int:
        return max(map(len, (self.title, *self.cells))) + _GAP


def runs_table(
    runs: tuple[RunSummary, ...], width: int, wanted: tuple[str, ...] = ()
) -> tuple[Table, tuple[str, ...]]:
    """Lay runs out in at most `width` characters.

    The id, the name, the state and what was asked for are always there; then comes what tells the runs apart
    by where they come from, then metrics and parameters: what differs between the runs before what is the
    same in all.

    Args:
        runs: At least one.
        width: Of the terminal, in characters.
        wanted: What the runs were sorted and filtered by, such as `metrics.rmse`.

    Returns:
        The table, and the names of the parameters and metrics that did not fit.
    """
    columns = [
        _id_column(runs),
        _column(runs, "NAME", lambda run: run.run_name),
        _column(runs, "STATUS", _state),
    ]
    left = width + _GAP - sum(column.width for column in columns)
    wanted = tuple(_TITLES.get(name) or wording.shortened(name, _MAX_CELL) for name in wanted)
    candidates = [*_fixed(runs), *_values(runs, wanted)]
    chosen: list[_Column] = []
    for column in sorted(candidates, key=lambda column: _rank(column, wanted)):
        if column.width <= left or column.title in wanted:
            left -= column.width
            chosen.append(column)
    columns += [column for column in candidates if column in chosen]
    table = Table(
        columns=tuple(column.title for column in columns),
        rows=tuple(zip(*(column.cells for column in columns), strict=True)),
        right_aligned=frozenset(column.title for column in columns if column.numeric),
    )
    left_out = [column.title for column in candidates if column not in chosen and "." in column.title]
    return table, tuple(left_out)


def _rank(column: _Column, wanted: tuple[str, ...]) -> tuple[bool, int, bool, bool, int]:
    """What sorts first is shown first; among what differs, metrics are what people compare by."""
    identity = _IDENTITY.index(column.title) if column.title in _IDENTITY else len(_IDENTITY)
    same = len(set(column.cells)) == 1 and len(column.cells) > 1
    lesser = column.title.startswith("params.") if same else not column.title.startswith("metrics.")
    filled = sum(map(bool, column.cells))
    return (column.title not in wanted, identity, same, lesser, -filled)


def _fixed(runs: tuple[RunSummary, ...]) -> Iterable[_Column]:
    yield _column(runs, "STARTED", lambda run: wording.ago(run.started_ms))
    if len({run.experiment_id for run in runs}) > 1:
        yield _column(runs, "EXPERIMENT", lambda run: run.experiment)
    yield _column(
        runs, "TOOK", lambda run: "" if run.duration_s is None else wording.span(run.duration_s), numeric=True
    )
    yield _column(runs, "ENTRY POINT", lambda run: run.entry_point or "")
    if any(run.commit for run in runs):
        yield _column(runs, "COMMIT", _commit)


def _values(runs: tuple[RunSummary, ...], wanted: tuple[str, ...]) -> Iterable[_Column]:
    for key in dict.fromkeys(key for run in runs for key in run.metrics):
        cells = tuple(wording.number(run.metrics[key]) if key in run.metrics else "" for run in runs)
        yield _Column(wording.shortened(f"metrics.{key}", _MAX_CELL), cells, numeric=True)
    for key in dict.fromkeys(key for run in runs for key in run.params):
        cells = tuple(wording.shortened(run.params.get(key, ""), _MAX_CELL) for run in runs)
        yield _Column(wording.shortened(f"params.{key}", _MAX_CELL), cells)
    for key in dict.fromkeys(key for run in runs for key in run.tags):
        title = wording.shortened(f"tags.{key}", _MAX_CELL)
        if title in wanted:
            yield _Column(title, tuple(wording.shortened(run.tags.get(key, ""), _MAX_CELL) for run in runs))


def _column(
    runs: tuple[RunSummary, ...], title: str, cell: Callable[[RunSummary], str], *, numeric: bool = False
) -> _Column:
    return _Column(title, tuple(wording.shortened(cell(run), _MAX_CELL) for run in runs), numeric)


def _id_column(runs: tuple[RunSummary, ...]) -> _Column:
    """Eight digits, or as many as tell the runs of this list apart."""
    length = _SHORT_ID
    while len({run.run_id[:length] for run in runs}) < len(runs):
        length += 1
    return _Column("RUN", tuple(run.run_id[:length] for run in runs))


def _state(run: RunSummary) -> str:
    parts = [run.status, run.failure or "", "" if run.exit_code in (None, 0) else str(run.exit_code)]
    return " ".join(filter(None, parts))


def _commit(run: RunSummary) -> str:
    if not run.commit:
        return ""
    return run.commit[:_SHORT_COMMIT] + ("+" if run.dirty else "")
