"""Searching runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.tracking.filters import RUNS, Kind
from proj.tracking.records import ALIVE, load_runs, row_number
from proj.tracking.sqlsearch import (
    Beside,
    Key,
    Scope,
    Sql,
    Subject,
    compare,
    conditions,
    find,
    marks,
    ordering,
)
from proj.tracking.store import RunPage

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from proj.tracking.filters import Condition
    from proj.tracking.store import RunQuery

_DATASET_COLUMNS = {"name": "datasets.name", "digest": "datasets.digest", "context": "input_tags.value"}


def search(connection: sqlite3.Connection, query: RunQuery, artifact_base: str) -> RunPage:
    """Return the page of runs that a query asks for.

    Raises:
        UsageError: The filter, an order, the limit or the page token cannot be understood.
    """
    subject = _subject(artifact_base)
    where = [Sql(ALIVE[query.lifecycle])]
    if query.deleted_before_ms is not None:
        where.append(Sql("runs.deleted_ms < ?", (query.deleted_before_ms,)))
    if query.experiment_ids is not None:
        where.append(in_experiments("runs.experiment", query.experiment_ids))
    where += conditions(subject, query.filter)
    joins, keys = ordering(subject, query.order_by)
    scope = Scope(
        where=tuple(where),
        joins=joins,
        keys=keys,
        limit=query.limit,
        page_token=query.page_token,
        same=(query.experiment_ids, query.filter, query.order_by, query.lifecycle, query.deleted_before_ms),
    )
    page = find(connection, subject, scope)
    return RunPage(runs=load_runs(connection, page.rows, artifact_base), next_page_token=page.next_page_token)


def in_experiments(column: str, experiment_ids: Sequence[str]) -> Sql:
    """Return the condition that a column is one of these ids; text that is no number is the id of nothing."""
    numbers = tuple(number for text in experiment_ids if (number := row_number(text)) is not None)
    return Sql(f"{column} IN ({marks(numbers)})", numbers)


def _subject(artifact_base: str) -> Subject:
    quoted = artifact_base.replace("'", "''")
    return Subject(
        vocabulary=RUNS,
        table="runs",
        id="runs.id",
        columns={
            "run_id": "runs.run_id",
            "run_name": "runs.name",
            "status": "runs.status",
            "user_id": "runs.user",
            "start_time": "runs.started_ms",
            "end_time": "runs.ended_ms",
            "artifact_uri": f"coalesce(runs.artifact_uri, '{quoted}/' || runs.run_id)",
        },
        nullable=frozenset(("end_time",)),
        beside={
            Kind.METRIC: Beside("latest_metrics", "run"),
            Kind.PARAM: Beside("params", "run"),
            Kind.TAG: Beside("tags", "run"),
        },
        special=_by_dataset,
        ties=(
            ("start_time", Key("runs.started_ms", descending=True)),
            ("", Key("runs.run_id")),
        ),
    )


def _by_dataset(condition: Condition) -> Sql:
    """Return the condition on a run's input datasets."""
    column = _DATASET_COLUMNS[condition.field.key]
    rows = (
        "SELECT inputs.run FROM inputs JOIN datasets ON datasets.id = inputs.dataset "
        "LEFT JOIN input_tags ON input_tags.input = inputs.id AND input_tags.key = 'mlflow.data.context'"
    )
    if condition.operator == "IS NULL":
        return Sql(f"runs.id NOT IN ({rows} WHERE {column} IS NOT NULL)")
    compared = compare(column, condition)
    return Sql(f"runs.id IN ({rows} WHERE {compared.text})", compared.values)
