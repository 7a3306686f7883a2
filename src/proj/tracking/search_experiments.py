"""Searching experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.tracking.experiments import ExperimentPage
from proj.tracking.filters import Kind, Vocabulary
from proj.tracking.records import ALIVE, load_experiments
from proj.tracking.sqlsearch import Beside, Key, Scope, Sql, Subject, conditions, find, marks, ordering

if TYPE_CHECKING:
    import sqlite3

    from proj.tracking.experiments import ExperimentQuery

_SUBJECT = Subject(
    vocabulary=Vocabulary(
        noun="an experiment",
        kinds=(Kind.TAG, Kind.ATTRIBUTE),
        attributes=("name", "experiment_id", "creation_time", "last_update_time"),
        numeric=("creation_time", "last_update_time"),
    ),
    table="experiments",
    id="experiments.id",
    columns={
        "name": "experiments.name",
        "experiment_id": "CAST(experiments.id AS TEXT)",
        "creation_time": "experiments.created_ms",
        "last_update_time": "experiments.updated_ms",
    },
    beside={Kind.TAG: Beside("experiment_tags", "experiment")},
    ties=(("experiment_id", Key("experiments.id", descending=True)),),
)
# Ids sort as the numbers they are.
_SORTED = Subject(
    vocabulary=_SUBJECT.vocabulary,
    table=_SUBJECT.table,
    id=_SUBJECT.id,
    columns={**_SUBJECT.columns, "experiment_id": "experiments.id"},
    beside=_SUBJECT.beside,
    ties=_SUBJECT.ties,
)
_DEFAULT_ORDER = ("creation_time DESC", "experiment_id ASC")
"""MLflow's."""


def search_experiments(
    connection: sqlite3.Connection, query: ExperimentQuery, artifact_base: str
) -> ExperimentPage:
    """Return the page of experiments that a query asks for.

    Raises:
        UsageError: The filter, an order, the limit or the page token cannot be understood.
    """
    joins, keys = ordering(_SORTED, query.order_by or _DEFAULT_ORDER)
    scope = Scope(
        where=(Sql(ALIVE[query.lifecycle]), *conditions(_SUBJECT, query.filter)),
        joins=joins,
        keys=keys,
        limit=query.limit,
        page_token=query.page_token,
        same=(query.filter, query.order_by, query.lifecycle),
    )
    page = find(connection, _SUBJECT, scope)
    found = load_experiments(connection, f"id IN ({marks(page.rows)})", page.rows, artifact_base)
    by_id = {experiment.experiment_id: experiment for experiment in found}
    return ExperimentPage(
        experiments=tuple(by_id[str(row)] for row in page.rows), next_page_token=page.next_page_token
    )
