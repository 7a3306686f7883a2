"""Rows of `proj.db` to logged models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.errors import NotFoundError
from proj.model import Metric
from proj.tracking.logged_models import LoggedModel, LoggedModelStatus, ModelMetric
from proj.tracking.places import absolute
from proj.tracking.records import chunks, load_values
from proj.tracking.sqlsearch import marks

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

_COLUMNS = (
    "id, model_id, experiment, name, model_type, source_run_id, status, status_message, artifact_location, "
    "created_ms, updated_ms, deleted_ms"
)


def logged_model_row(connection: sqlite3.Connection, model_id: str, *, allow_deleted: bool = False) -> int:
    """Return the row number of a logged model.

    Raises:
        NotFoundError: There is none with that id.
    """
    row = connection.execute(
        "SELECT id, deleted_ms FROM logged_models WHERE model_id = ?", (model_id,)
    ).fetchone()
    if row is None or (row[1] is not None and not allow_deleted):
        raise NotFoundError(f"There is no logged model {model_id!r}.")
    found: int = row[0]
    return found


def artifact_location(connection: sqlite3.Connection, model_id: str, home: str) -> tuple[str, str | None]:
    """Return where a logged model's files are, and the run that made it.

    Raises:
        NotFoundError: There is none with that id.
    """
    model = load_logged_models(connection, (logged_model_row(connection, model_id),), home)[0]
    return model.artifact_location, model.source_run_id


def load_logged_models(
    connection: sqlite3.Connection, rows: Sequence[int], home: str
) -> tuple[LoggedModel, ...]:
    """Return the logged models with these row numbers, in their order."""
    found: dict[int, LoggedModel] = {}
    for some in chunks(rows):
        found.update(_load(connection, some, home))
    return tuple(found[row] for row in rows)


def _load(connection: sqlite3.Connection, rows: Sequence[int], home: str) -> dict[int, LoggedModel]:
    params = load_values(connection, "logged_model_params", "model", rows)
    tags = load_values(connection, "logged_model_tags", "model", rows)
    metrics = _load_metrics(connection, rows)
    found = connection.execute(f"SELECT {_COLUMNS} FROM logged_models WHERE id IN ({marks(rows)})", rows)  # noqa: S608  our own words
    return {
        row[0]: LoggedModel(
            model_id=row[1],
            experiment_id=str(row[2]),
            name=row[3],
            model_type=row[4],
            source_run_id=row[5],
            status=LoggedModelStatus(row[6]),
            status_message=row[7],
            artifact_location=absolute(home, row[8]),
            created_ms=row[9],
            updated_ms=row[10],
            lifecycle_stage="active" if row[11] is None else "deleted",
            params=params[row[0]],
            tags=tags[row[0]],
            metrics=tuple(metrics[row[0]]),
        )
        for row in found
    }


def _load_metrics(connection: sqlite3.Connection, rows: Sequence[int]) -> dict[int, list[ModelMetric]]:
    metrics: dict[int, list[ModelMetric]] = {row: [] for row in rows}
    for row, model_id, key, timestamp_ms, step, run_id, value, is_nan, name, digest in connection.execute(
        "SELECT logged_models.id, points.model_id, key, timestamp_ms, step, runs.run_id, value, is_nan, "  # noqa: S608  our own words
        "dataset_name, dataset_digest FROM logged_models "
        "JOIN logged_model_metrics AS points ON points.model_id = logged_models.model_id "
        f"JOIN runs ON runs.id = points.run WHERE logged_models.id IN ({marks(rows)}) "
        "ORDER BY key, timestamp_ms, step, value",
        rows,
    ):
        metric = Metric(
            key=key,
            value=float("nan") if is_nan else value,
            timestamp_ms=timestamp_ms,
            step=step,
            model_id=model_id,
            dataset_name=name or None,
            dataset_digest=digest or None,
        )
        metrics[row].append(ModelMetric(metric=metric, run_id=run_id))
    return metrics
