"""Searching registered models and versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.tracking.filters import Kind, Vocabulary, parse_filter
from proj.tracking.registry import ModelVersionPage, RegisteredModelPage
from proj.tracking.registry_rows import VERSIONS, load_models, load_versions
from proj.tracking.sqlsearch import Beside, Key, Scope, Sql, Subject, conditions, find, ordering

if TYPE_CHECKING:
    import sqlite3

    from proj.tracking.registry import RegistryQuery
    from proj.tracking.sqlsearch import Page

_PROMPT_TAG = "mlflow.prompt.is_prompt"
_PROMPTS = "SELECT model FROM registered_model_tags WHERE key = 'mlflow.prompt.is_prompt' AND value = 'true'"

_MODELS = Subject(
    vocabulary=Vocabulary(
        noun="a registered model",
        kinds=(Kind.TAG, Kind.ATTRIBUTE),
        attributes=("name", "creation_timestamp", "last_updated_timestamp"),
        numeric=("creation_timestamp", "last_updated_timestamp"),
        aliases={"timestamp": "last_updated_timestamp"},
    ),
    table="registered_models",
    id="registered_models.id",
    columns={
        "name": "registered_models.name",
        "creation_timestamp": "registered_models.created_ms",
        "last_updated_timestamp": "registered_models.updated_ms",
    },
    beside={Kind.TAG: Beside("registered_model_tags", "model")},
    ties=(("name", Key("registered_models.name")),),
)
_VERSIONS = Subject(
    vocabulary=Vocabulary(
        noun="a model version",
        kinds=(Kind.TAG, Kind.ATTRIBUTE),
        attributes=(
            "name",
            "version_number",
            "run_id",
            "source_path",
            "creation_timestamp",
            "last_updated_timestamp",
        ),
        numeric=("version_number", "creation_timestamp", "last_updated_timestamp"),
        quoted_numbers=("version_number",),
    ),
    table=VERSIONS,
    id="model_versions.id",
    columns={
        "name": "registered_models.name",
        "version_number": "model_versions.version",
        "run_id": "model_versions.run_id",
        "source_path": "model_versions.source",
        "creation_timestamp": "model_versions.created_ms",
        "last_updated_timestamp": "model_versions.updated_ms",
    },
    nullable=frozenset(("run_id", "source_path")),
    beside={Kind.TAG: Beside("model_version_tags", "version")},
    ties=(
        ("name", Key("registered_models.name")),
        ("version_number", Key("model_versions.version", descending=True)),
    ),
)
_NEWEST_FIRST = ("last_updated_timestamp DESC", "name ASC", "version_number DESC")
"""MLflow's default for versions."""


def search_models(connection: sqlite3.Connection, query: RegistryQuery, home: str) -> RegisteredModelPage:
    """Return the page of registered models that a query asks for.

    Raises:
        UsageError: The filter, an order, the limit or the page token cannot be understood.
    """
    page = _find(connection, _MODELS, query, query.order_by)
    return RegisteredModelPage(
        models=load_models(connection, page.rows, home), next_page_token=page.next_page_token
    )


def search_versions(connection: sqlite3.Connection, query: RegistryQuery, home: str) -> ModelVersionPage:
    """Return the page of versions that a query asks for.

    Raises:
        UsageError: The filter, an order, the limit or the page token cannot be understood.
    """
    page = _find(connection, _VERSIONS, query, query.order_by or _NEWEST_FIRST)
    return ModelVersionPage(
        versions=load_versions(connection, page.rows, home), next_page_token=page.next_page_token
    )


def _find(
    connection: sqlite3.Connection, subject: Subject, query: RegistryQuery, order_by: tuple[str, ...]
) -> Page:
    joins, keys = ordering(subject, order_by)
    scope = Scope(
        where=_where(subject, query.filter),
        joins=joins,
        keys=keys,
        limit=query.limit,
        page_token=query.page_token,
        same=(subject.table, query.filter, query.order_by),
    )
    return find(connection, subject, scope)


def _where(subject: Subject, text: str) -> tuple[Sql, ...]:
    """Return a filter's conditions; MLflow shows prompts only to those who ask for them."""
    parsed = parse_filter(text, subject.vocabulary)
    about = [each for each in parsed if each.field.kind is Kind.TAG and each.field.key == _PROMPT_TAG]
    asked = [
        (each.operator, each.value.lower()) in (("=", "true"), ("!=", "false"))
        for each in about
        if isinstance(each.value, str)
    ]
    if asked[:1] == [True]:
        return conditions(subject, parsed)
    rest = tuple(each for each in parsed if each not in about)
    return *conditions(subject, rest), Sql(f"registered_models.id NOT IN ({_PROMPTS})")
