"""Models in a database of MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proj.importing.folders import BadMetaError
from proj.importing.model import ForeignLoggedModel, ForeignModel
from proj.importing.rules import DELETED_STAGE, MODEL_ID, model_status, number, stage
from proj.importing.tables import Row, Stream, integer, qualified, text
from proj.model import Metric
from proj.tracking.logged_models import ModelMetric
from proj.tracking.registry import ModelVersion

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from proj.importing.model import Problems
    from proj.importing.tables import Tables

_LOGGED = (
    "model_id",
    "experiment_id",
    "name",
    "artifact_location",
    "creation_timestamp_ms",
    "last_updated_timestamp_ms",
    "status",
    "lifecycle_stage",
    "model_type",
    "source_run_id",
    "status_message",
)
_MEASURED = (
    "model_id",
    "metric_name",
    "metric_value",
    "metric_timestamp_ms",
    "metric_step",
    "run_id",
    "dataset_name",
    "dataset_digest",
)
_VERSION = (
    "version",
    "creation_time",
    "last_updated_time",
    "description",
    "user_id",
    "current_stage",
    "source",
    "storage_location",
    "run_id",
    "run_link",
    "status",
    "status_message",
)


def read_logged_models(
    tables: Tables, problems: Problems, deleted: Collection[str]
) -> Iterator[ForeignLoggedModel]:
    """Yield the logged models of the experiments in `temp.chosen`.

    Args:
        tables: The database.
        problems: Takes what is left out.
        deleted: Ids of the experiments that are deleted.
    """
    params = Stream(
        tables.select("logged_model_params", ("model_id", "param_key", "param_value"), after="ORDER BY 1")
    )
    tags = Stream(
        tables.select("logged_model_tags", ("model_id", "tag_key", "tag_value"), after="ORDER BY 1")
    )
    measured = Stream(tables.select("logged_model_metrics", _MEASURED, after="ORDER BY 1"))
    where = "WHERE CAST(experiment_id AS TEXT) IN (SELECT id FROM temp.chosen) ORDER BY 1"
    for row in tables.select("logged_models", _LOGGED, after=where):
        model_id, experiment, name, uri, created, updated, status, lifecycle, kind, run_id, message = row
        place = Row(f"logged model {model_id}")
        try:
            if not isinstance(model_id, str) or not MODEL_ID.fullmatch(model_id):
                raise place.bad("its id is none that MLflow gives")
            yield ForeignLoggedModel(
                model_id=model_id,
                experiment_id=text(experiment),
                name=text(name),
                status=model_status(status, place),
                created_ms=integer(created) or 0,
                updated_ms=integer(updated) or integer(created) or 0,
                deleted=lifecycle == "deleted" or text(experiment) in deleted,
                model_type=kind,
                source_run_id=run_id,
                status_message=message,
                artifact_uri=uri,
                params={text(key): text(value) for _, key, value in params.of(model_id)},
                tags={text(key): text(value) for _, key, value in tags.of(model_id)},
                metrics=tuple(_measured(point) for point in measured.of(model_id)),
            )
        except BadMetaError as error:
            problems.add(error.place, error.message)


def _measured(row: tuple[Any, ...]) -> ModelMetric:
    model_id, key, value, timestamp_ms, step, run_id, dataset, digest = row
    metric = Metric(
        key=text(key),
        value=float("nan") if value is None else number(float(value)),
        timestamp_ms=integer(timestamp_ms) or 0,
        step=integer(step) or 0,
        model_id=model_id,
        dataset_name=dataset,
        dataset_digest=digest,
    )
    return ModelMetric(metric=metric, run_id=text(run_id))


def read_models(tables: Tables, problems: Problems) -> Iterator[ForeignModel]:
    """Yield the registered models.

    Args:
        tables: The database.
        problems: Takes what is left out.
    """
    columns = ("name", "creation_time", "last_updated_time", "description", "workspace")
    for name, created, updated, description, workspace in list(
        tables.select("registered_models", columns, after="ORDER BY 1")
    ):
        one = _One(tables, name, workspace)
        versions, last = _versions(one, qualified(workspace, text(name)), problems)
        yield ForeignModel(
            name=qualified(workspace, text(name)),
            created_ms=integer(created) or 0,
            updated_ms=integer(updated) or integer(created) or 0,
            description=description,
            tags={
                text(key): text(value) for key, value in one.select("registered_model_tags", "key", "value")
            },
            aliases={
                text(alias): int(version)
                for alias, version in one.select("registered_model_aliases", "alias", "version")
            },
            versions=versions,
            last_version=last,
        )


class _One:
    """The rows of one registered model."""

    def __init__(self, tables: Tables, name: str, workspace: str | None) -> None:
        self._tables = tables
        self._name = name
        self._workspace = workspace

    def select(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        """Return its rows of a table."""
        where, values = "WHERE name = ?", [self._name]
        if self._workspace is not None and "workspace" in self._tables.columns(table):
            where, values = f"{where} AND workspace = ?", [self._name, self._workspace]
        return list(self._tables.select(table, columns, after=where, values=values))


def _versions(one: _One, name: str, problems: Problems) -> tuple[tuple[ModelVersion, ...], int]:
    """Return the versions of a model, and the greatest number that was given."""
    tags: dict[int, dict[str, str]] = {}
    for version, key, value in one.select("model_version_tags", "version", "key", "value"):
        tags.setdefault(version, {})[text(key)] = text(value)
    found = []
    last = 0
    for row in one.select("model_versions", *_VERSION):
        last = max(last, int(row[0]))
        if row[5] == DELETED_STAGE:
            continue
        try:
            found.append(_version(row, name, tags.get(row[0], {})))
        except BadMetaError as error:
            problems.add(error.place, error.message)
    return tuple(found), last


def _version(row: tuple[Any, ...], name: str, tags: dict[str, str]) -> ModelVersion:
    version, created, updated, description, user, current, source, storage, run_id, link, status, message = (
        row
    )
    return ModelVersion(
        name=name,
        version=int(version),
        created_ms=integer(created) or 0,
        updated_ms=integer(updated) or integer(created) or 0,
        description=description,
        user=user,
        stage=stage(current, Row(f"version {version} of {name}")),
        source=source,
        storage_location=storage or source,
        run_id=run_id,
        run_link=link,
        status=status or "READY",
        status_message=message,
        tags=tags,
    )
