"""What a comparison says: rows, each with both values and whether they are the same."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import msgspec

from proj.model import Tolerance, Verification

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FLOAT_RTOL = 1e-9
"""How far metrics that are no whole numbers may be apart, relative to the greater one."""

GROUPS = (
    "code",
    "packages",
    "parameters",
    "inputs",
    "variables",
    "interpreter",
    "host",
    "image",
    "backend",
    "command",
    "outcome",
    "metrics",
    "artifacts",
    "stdout",
)
"""The order of rows: what could explain a difference, then what came out."""

CAUSES = frozenset(GROUPS[: GROUPS.index("outcome")])


class Status(str, enum.Enum):
    """Whether the two values of a row are the same."""

    SAME = "same"
    DIFFERENT = "different"
    NOT_COMPARABLE = "not comparable"
    """One of the two is not known."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a comparison."""

    group: str
    """One of `GROUPS`."""
    item: str
    status: Status
    left: str | None
    """What it was; None where there was none."""
    right: str | None
    reason: str | None = None
    """Why the two differ and may yet mean the same, or why they cannot be compared."""
    required: bool = False
    """Whether a run counts as reproduced only if this is the same."""


class RunName(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is compared."""

    run_id: str
    name: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two runs, row by row."""

    left: RunName
    right: RunName
    rows: tuple[Row, ...]
    ignored: tuple[str, ...] = ()
    """Artifacts that the settings leave out."""

    @property
    def differs(self) -> bool:
        """Whether any row is different."""
        return any(row.status is Status.DIFFERENT for row in self.rows)

    @property
    def reproduced(self) -> bool:
        """Whether all that is required is the same."""
        return all(row.status is Status.SAME for row in self.rows if row.required)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the user allows to differ."""

    ignore: tuple[str, ...] = ()
    """Globs of artifacts."""
    tolerance: Tolerance = Tolerance()
    """For all metrics."""
    metrics: tuple[tuple[str, Tolerance], ...] = ()
    """Name of a metric or glob -> its own tolerance; the first that fits counts, a full name before globs."""
    stdout: bool = False
    """Whether what the programs printed is compared, too."""

    def ignores(self, path: str) -> bool:
        """Whether an artifact need not be the same: a glob fits its path, its name, or a folder above it."""
        import fnmatch

        parts = path.split("/")
        tops = ["/".join(parts[: index + 1]) for index in range(len(parts))]
        return any(
            fnmatch.fnmatchcase(name, pattern.rstrip("/"))
            for pattern in self.ignore
            for name in (*tops, parts[-1])
        )

    def of_metric(self, key: str) -> Tolerance:
        """The tolerance for a metric: its own, and where that says nothing, the one for all."""
        import fnmatch

        named = [own for name, own in self.metrics if name == key]
        named += [own for name, own in self.metrics if fnmatch.fnmatchcase(key, name)]
        own = named[0] if named else Tolerance()
        return Tolerance(
            rtol=self.tolerance.rtol if own.rtol is None else own.rtol,
            atol=self.tolerance.atol if own.atol is None else own.atol,
            ignore=own.ignore,
        )


def settings(
    verification: Verification,
    *,
    ignore: Iterable[str] = (),
    rtol: float | None = None,
    atol: float | None = None,
    stdout: bool = False,
) -> Settings:
    """What the project file says, with what is given beside it.

    Args:
        verification: `proj: {verify: …}` of the project file.
        ignore: More globs of artifacts.
        rtol: Relative tolerance for metrics without one of their own.
        atol: Absolute tolerance for them.
        stdout: Whether what the programs printed is compared, too.
    """
    return Settings(
        ignore=(*verification.ignore, *ignore),
        tolerance=Tolerance(
            rtol=verification.rtol if rtol is None else rtol, atol=verification.atol if atol is None else atol
        ),
        metrics=tuple(verification.metrics.items()),
        stdout=stdout,
    )


def row(
    group: str,
    item: str,
    left: str | None,
    right: str | None,
    *,
    required: bool = False,
    reason: str | None = None,
) -> Row:
    """A row of two values that are known, or known to be absent (None)."""
    status = Status.SAME if left == right else Status.DIFFERENT
    told = reason if status is Status.DIFFERENT else None
    return Row(group=group, item=item, status=status, left=left, right=right, required=required, reason=told)


def unknown(
    group: str, item: str, values: Sequence[str | None], reason: str, *, required: bool = False
) -> Row:
    """A row that cannot be decided."""
    return Row(
        group=group,
        item=item,
        status=Status.NOT_COMPARABLE,
        left=values[0],
        right=values[1],
        reason=reason,
        required=required,
    )
