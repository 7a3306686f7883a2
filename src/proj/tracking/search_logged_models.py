"""Searching logged models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from proj.tracking.filters import Kind, Vocabulary, parse_filter, parse_order
from proj.tracking.logged_model_rows import load_logged_models
from proj.tracking.logged_models import LoggedModelPage
from proj.tracking.records import ALIVE
from proj.tracking.search import in_experiments
from proj.tracking.sqlsearch import (
    Beside,
    Key,
    Scope,
    Sql,
    Subject,
    attribute_keys,
    compare,
    conditions,
    find,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from proj.tracking.filters import Condition, Field
    from proj.tracking.logged_models import DatasetChoice, LoggedModelOrder, LoggedModelQuery
    from proj.tracking.sqlsearch import Value

_SUBJECT = Subject(
    vocabulary=Vocabulary(
        noun="a logged model",
        kinds=(Kind.METRIC, Kind.PARAM, Kind.TAG, Kind.ATTRIBUTE),
        attributes=(
            "name",
            "model_id",
            "model_type",
            "status",
            "source_run_id",
            "creation_timestamp",
            "last_updated_timestamp",
        ),
        numeric=("creation_timestamp", "last_updated_timestamp"),
        aliases={
            "creation_time": "creation_timestamp",
            "creation_timestamp_ms": "creation_timestamp",
            "last_updated_time": "last_updated_timestamp",
            "last_updated_timestamp_ms": "last_updated_timestamp",
        },
    ),
    table="logged_models",
    id="logged_models.id",
    columns={
        "name": "logged_models.name",
        "model_id": "logged_models.model_id",
        "model_type": "logged_models.model_type",
        "status": "logged_models.status",
        "source_run_id": "logged_models.source_run_id",
        "creation_timestamp": "logged_models.created_ms",
        "last_updated_timestamp": "logged_models.updated_ms",
    },
    nullable=frozenset(("model_type", "source_run_id")),
    beside={
        Kind.PARAM: Beside("logged_model_params", "model"),
        Kind.TAG: Beside("logged_model_tags", "model"),
    },
)
_ORDERS = msgspec.structs.replace(_SUBJECT.vocabulary, kinds=(Kind.METRIC, Kind.ATTRIBUTE))
_TIES = (
    ("creation_timestamp", Key("logged_models.created_ms", descending=True)),
    ("model_id", Key("logged_models.model_id")),
)


def search_logged_models(
    connection: sqlite3.Connection, query: LoggedModelQuery, home: str
) -> LoggedModelPage:
    """Return the page of logged models that a query asks for.

    Raises:
        UsageError: The filter, an order, the limit or the page token cannot be understood.
    """
    keys, bound = _ordering(query.order_by)
    scope = Scope(
        where=_where(query),
        joins=Sql(""),
        keys=keys,
        key_values=bound,
        limit=query.limit,
        page_token=query.page_token,
        same=(
            query.experiment_ids,
            query.filter,
            query.datasets,
            query.order_by,
            query.lifecycle,
            query.deleted_before_ms,
        ),
    )
    page = find(connection, _SUBJECT, scope)
    return LoggedModelPage(
        models=load_logged_models(connection, page.rows, home), next_page_token=page.next_page_token
    )


def _where(query: LoggedModelQuery) -> tuple[Sql, ...]:
    where = [Sql(ALIVE[query.lifecycle])]
    if query.deleted_before_ms is not None:
        where.append(Sql("deleted_ms < ?", (query.deleted_before_ms,)))
    if query.experiment_ids is not None:
        where.append(in_experiments("logged_models.experiment", query.experiment_ids))
    parsed = parse_filter(query.filter, _SUBJECT.vocabulary)
    on_metrics = [each for each in parsed if each.field.kind is Kind.METRIC]
    where += conditions(_SUBJECT, [each for each in parsed if each not in on_metrics])
    datasets = _measured_on(query.datasets)
    where += [_by_metric(each, datasets) for each in on_metrics]
    if query.datasets and not on_metrics:
        where.append(_having_points(datasets))
    return tuple(where)


def _by_metric(condition: Condition, datasets: Sql) -> Sql:
    """Return the condition that some point of a metric, measured on some datasets, compares so."""
    key = condition.field.key
    if condition.operator in ("IS NULL", "IS NOT NULL"):
        having = _having_points(Sql(f"key = ? AND {datasets.text}", (key, *datasets.values)))
        negated = "NOT " if condition.operator == "IS NULL" else ""
        return Sql(negated + having.text, having.values)
    compared = compare("value", condition)
    nan = "OR is_nan = 1" if condition.operator == "!=" else "AND is_nan = 0"
    text = f"key = ? AND ({compared.text} {nan}) AND {datasets.text}"
    return _having_points(Sql(text, (key, *compared.values, *datasets.values)))


def _having_points(condition: Sql) -> Sql:
    points = f"SELECT model_id FROM logged_model_metrics WHERE {condition.text}"  # noqa: S608  our own words
    return Sql(f"logged_models.model_id IN ({points})", condition.values)


def _measured_on(datasets: Sequence[DatasetChoice]) -> Sql:
    """Return the condition that a point was measured on one of the datasets; on none given, any."""
    if not datasets:
        return Sql("1")
    texts: list[str] = []
    values: list[Value] = []
    for each in datasets:
        texts.append("dataset_name = ?" if each.digest is None else "dataset_name = ? AND dataset_digest = ?")
        values += (each.name,) if each.digest is None else (each.name, each.digest)
    return Sql("(" + " OR ".join(f"({text})" for text in texts) + ")", tuple(values))


def _ordering(orders: Sequence[LoggedModelOrder]) -> tuple[tuple[Key, ...], tuple[Value, ...]]:
    """Return the sort keys, and the values of the question marks in them."""
    keys: list[Key] = []
    values: tuple[Value, ...] = ()
    named: set[str] = set()
    for order in orders:
        field = parse_order(_quoted(order.field), _ORDERS).field
        if field.kind is Kind.ATTRIBUTE:
            keys += attribute_keys(_SUBJECT, field.key, descending=not order.ascending)
            named.add(field.key)
            continue
        found, bound = _metric_keys(field, order)
        keys += found
        values += bound
    keys += [key for attribute, key in _TIES if attribute not in named]
    return tuple(keys), values


def _quoted(field: str) -> str:
    """Write `metrics.val loss` so that the grammar reads it."""
    kind, dot, name = field.partition(".")
    plain = not dot or name[:1] in ("`", '"')
    return field if plain else f'{kind}."{name.replace(chr(34), chr(34) * 2)}"'


def _metric_keys(field: Field, order: LoggedModelOrder) -> tuple[tuple[Key, ...], tuple[Value, ...]]:
    """Return what sorts by the newest point of a metric; models without one come last, NaN before them."""
    datasets = _measured_on(() if order.dataset is None else (order.dataset,))
    newest = (
        "(SELECT {} FROM logged_model_metrics AS p WHERE p.model_id = logged_models.model_id AND key = ? "  # noqa: S608  our own words
        f"AND {datasets.text} ORDER BY timestamp_ms DESC, step DESC, run LIMIT 1)"
    )
    bound = (field.key, *datasets.values)
    return (
        Key(f"coalesce({newest.format('is_nan')}, 2)"),
        Key(f"coalesce({newest.format('value')}, 0)", descending=not order.ascending),
    ), bound * 2
