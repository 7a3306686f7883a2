"""Rows of `proj.db` to runs and experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from proj.errors import ConflictError, NotFoundError, StoreError
from proj.model import Experiment, Metric, RunRecord, RunStatus

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from proj.tracking.store import Lifecycle

T = TypeVar("T")

PARENT_TAG = "mlflow.parentRunId"
"""Id of the run that this one is a part of."""
OWNER_TAG = "proj.owner"
"""Id of the run whose program made this one."""
MADE_BY_TAGS = (PARENT_TAG, OWNER_TAG)
"""What only runs have that another run made: `latest` means none of them."""

_RUN_COLUMNS = "id, run_id, experiment, name, user, status, started_ms, ended_ms, deleted_ms, artifact_uri"
_AT_ONCE = 500
"""Ids in one statement; SQLite's oldest limit is 999 variables."""

_MAX_DIGITS = 18
"""Any number of so many digits fits into 64 bits."""

ALIVE: dict[Lifecycle, str] = {
    "active": "deleted_ms IS NULL",
    "deleted": "deleted_ms IS NOT NULL",
    "all": "1",
}
"""Lifecycle -> SQL condition on the table `runs` or `experiments`."""


def row_number(text: str) -> int | None:
    """Return the row number that an id in decimal digits stands for; None if it can be none."""
    # The length comes first: Python refuses to read numbers of thousands of digits.
    if len(text) > _MAX_DIGITS or not (text.isascii() and text.isdigit()):
        return None
    return int(text)


def run_row(connection: sqlite3.Connection, run_id: str) -> tuple[int, int | None]:
    """Return a run's row number, and when it was deleted.

    Raises:
        NotFoundError: There is no such run.
    """
    row = connection.execute("SELECT id, deleted_ms FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    if row is None:
        raise no_run(run_id)
    return row[0], row[1]


def active_run(connection: sqlite3.Connection, run_id: str) -> int:
    """Return the row number of a run that can be written to.

    Raises:
        NotFoundError: There is no such run.
        ConflictError: It is deleted.
    """
    row, deleted_ms = run_row(connection, run_id)
    if deleted_ms is not None:
        raise ConflictError(
            f"The run {run_id} is deleted: nothing can be logged to it.",
            hint=f"`proj restore {run_id}` brings it back.",
        )
    return row


_MAX_ID = 256


def is_run_id(text: str) -> bool:
    """Whether a text can be the id of a run: letters, digits, `_` and `-`, as in MLflow.

    Folders and files are named by it, and a server may say anything.
    """
    plain = text.replace("-", "").replace("_", "")
    return 0 < len(text) <= _MAX_ID and text.isascii() and (plain.isalnum() or not plain)


def check_run_id(text: str) -> str:
    """Return the id of a run that is to name a folder or a file.

    Raises:
        StoreError: It is none.
    """
    if not is_run_id(text):
        raise StoreError(
            f"{text[:_MAX_ID]!r} cannot be the id of a run.",
            hint="A tracking server that answers so is defective, or none: check its address.",
        )
    return text


def no_run(name: str) -> NotFoundError:
    """The error for a run that is not there."""
    return NotFoundError(f"There is no run {name!r}.", hint="`proj runs` lists the runs.")


MIN_PREFIX = 4
"""Shortest part of a run id that stands for the run; what is unique today must not soon be two."""
MAX_LISTED = 8
"""How many of the runs that a name stands for are shown."""


def chosen_run(name: str, runs: Sequence[RunRecord], lifecycle: Lifecycle, *, elsewhere: bool) -> RunRecord:
    """Return the one run that a name stands for.

    Args:
        name: What was asked for.
        runs: The runs that it may stand for, newest first.
        lifecycle: Among which they were looked for.
        elsewhere: Whether there are some of another stage of life.

    Raises:
        NotFoundError: There is none, or there are several.
    """
    if len(runs) == 1:
        return runs[0]
    if runs:
        raise _ambiguous(name, runs)
    if elsewhere and lifecycle == "active":
        raise NotFoundError(f"The run {name!r} is deleted.", hint=f"`proj restore {name}` brings it back.")
    if elsewhere:
        raise NotFoundError(f"The run {name!r} is not deleted.")
    raise no_run(name)


def _ambiguous(name: str, runs: Sequence[RunRecord]) -> NotFoundError:
    listed = tuple(f"{run.run_id}  {run.run_name}  {run.status.value}" for run in runs[:MAX_LISTED])
    more = "More than that match, the newest are:" if len(runs) > MAX_LISTED else "They are:"
    return NotFoundError(
        f"{name!r} stands for several runs. {more}", hint="Give more of the id.", details=listed
    )


def run_prefix(name: str) -> str | None:
    """Return the beginning of run ids that a name may be; None if it can be none."""
    lowered = name.lower()
    return lowered if len(lowered) >= MIN_PREFIX and set(lowered) <= set("0123456789abcdef") else None


def chunks(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield row numbers or ids, as many at a time as fit into one statement."""
    for start in range(0, len(rows), _AT_ONCE):
        yield rows[start : start + _AT_ONCE]


def load_values(
    connection: sqlite3.Connection, table: str, owner: str, rows: Sequence[int]
) -> dict[int, dict[str, str]]:
    """Return row -> key -> value of what belongs to rows, such as their tags."""
    found: dict[int, dict[str, str]] = {row: {} for row in rows}
    for row, key, value in connection.execute(
        f"SELECT {owner}, key, value FROM {table} WHERE {owner} IN ({','.join('?' * len(rows))}) "  # noqa: S608  our own words
        f"ORDER BY {owner}, key",
        rows,
    ):
        found[row][key] = value
    return found


def load_runs(
    connection: sqlite3.Connection, rows: Sequence[int], artifact_base: str
) -> tuple[RunRecord, ...]:
    """Return the runs with these row numbers, in their order."""
    records: dict[int, RunRecord] = {}
    for some in chunks(rows):
        records.update(_load_some(connection, some, artifact_base))
    return tuple(records[row] for row in rows if row in records)


def _load_some(
    connection: sqlite3.Connection, rows: Sequence[int], artifact_base: str
) -> dict[int, RunRecord]:
    marks = ",".join("?" * len(rows))
    params = load_values(connection, "params", "run", rows)
    tags = load_values(connection, "tags", "run", rows)
    metrics: dict[int, dict[str, Metric]] = {row: {} for row in rows}
    for run, key, value, is_nan, timestamp_ms, step in connection.execute(
        "SELECT run, key, value, is_nan, timestamp_ms, step FROM latest_metrics "  # noqa: S608  our own words
        f"WHERE run IN ({marks}) ORDER BY run, key",
        rows,
    ):
        metrics[run][key] = Metric(
            key=key, value=float("nan") if is_nan else value, timestamp_ms=timestamp_ms, step=step
        )
    found = connection.execute(f"SELECT {_RUN_COLUMNS} FROM runs WHERE id IN ({marks})", rows)  # noqa: S608  our own words
    return {row[0]: _run(row, artifact_base, params[row[0]], tags[row[0]], metrics[row[0]]) for row in found}


def _run(
    row: tuple[Any, ...],
    artifact_base: str,
    params: dict[str, str],
    tags: dict[str, str],
    metrics: dict[str, Metric],
) -> RunRecord:
    _, run_id, experiment, name, user, status, started_ms, ended_ms, deleted_ms, artifact_uri = row
    return RunRecord(
        run_id=run_id,
        experiment_id=str(experiment),
        run_name=name,
        user=user,
        status=RunStatus(status),
        started_ms=started_ms,
        ended_ms=ended_ms,
        artifact_uri=artifact_uri or f"{artifact_base}/{run_id}",
        lifecycle_stage="active" if deleted_ms is None else "deleted",
        params=params,
        tags=tags,
        metrics=metrics,
    )


def load_experiments(
    connection: sqlite3.Connection, condition: str, values: Sequence[object], artifact_base: str
) -> tuple[Experiment, ...]:
    """Return the experiments that fulfil an SQL condition, oldest first."""
    rows = connection.execute(
        "SELECT id, name, created_ms, updated_ms, deleted_ms, artifact_location FROM experiments "  # noqa: S608  our own words
        f"WHERE {condition} ORDER BY id",
        values,
    ).fetchall()
    tags: dict[int, dict[str, str]] = {row[0]: {} for row in rows}
    for some in chunks([row[0] for row in rows]):
        for experiment, key, value in connection.execute(
            "SELECT experiment, key, value FROM experiment_tags "  # noqa: S608  our own words
            f"WHERE experiment IN ({','.join('?' * len(some))})",
            some,
        ):
            tags[experiment][key] = value
    return tuple(
        Experiment(
            experiment_id=str(row),
            name=name,
            artifact_location=location or artifact_base,
            lifecycle_stage="active" if deleted_ms is None else "deleted",
            created_ms=created_ms,
            updated_ms=updated_ms,
            tags=tags[row],
        )
        for row, name, created_ms, updated_ms, deleted_ms, location in rows
    )
