"""Reads a database of MLflow in SQLite, of 1.x, 2.x and 3.x.

What is read is a copy, made at once: so the records fit each other, a server that uses the database waits for
a moment only, and nothing in it is ever changed. Columns and tables that a version does not have are nothing;
those that are new are not looked at. See `mlflow/store/tracking/dbmodels/models.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proj.errors import StoreError
from proj.importing.files import ArtifactPlaces
from proj.importing.folders import BadMetaError
from proj.importing.model import ForeignExperiment, ForeignRun
from proj.importing.rules import RUN_ID, note_traces, number, run_status
from proj.importing.snapshot import snapshot
from proj.importing.sqlite_models import read_logged_models, read_models
from proj.importing.tables import Row, Stream, Tables, integer, qualified, text
from proj.model import Metric
from proj.tracking.inputs import Dataset, DatasetInput, ModelOutput, RunInputs
from proj.tracking.values import RUN_NAME_TAG

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from proj.importing.model import Files, ForeignLoggedModel, ForeignModel, Problems, Source


class SqliteSource:
    """A `Source` that is a database of MLflow.

    Args:
        path: The file.
        problems: Takes what cannot be read.
        beside: Further folders in which artifacts are looked for that are not where they are said to be.

    Raises:
        NotFoundError: There is no such file.
        StoreError: It is no database of MLflow, damaged, or cannot be read.
    """

    def __init__(self, path: Path, problems: Problems, beside: tuple[Path, ...] = ()) -> None:
        self._path = path
        self._problems = problems
        self._places = ArtifactPlaces((path.absolute().parent, *beside), problems)
        self.missing_roots = self._places.missing
        self.uri = f"sqlite:///{path.absolute()}"
        self._connection = snapshot(path)
        try:
            self._tables = Tables(self._connection, path)
            _check(self._tables, path)
            note_traces(sum(count for (count,) in self._tables.select("trace_info", ("count(*)",))))
        except BaseException:
            self._connection.close()
            raise

    def experiments(self) -> Iterator[ForeignExperiment]:
        """See `Source.experiments`."""
        first_run = {
            text(row[0]): integer(row[1])
            for row in self._tables.select(
                "runs", ("experiment_id", "min(start_time)"), after="GROUP BY experiment_id"
            )
        }
        tags = Stream(
            self._tables.select("experiment_tags", ("experiment_id", "key", "value"), after="ORDER BY 1")
        )
        columns = (
            "experiment_id",
            "name",
            "artifact_location",
            "lifecycle_stage",
            "creation_time",
            "last_update_time",
            "workspace",
        )
        for row in self._tables.select("experiments", columns, after="ORDER BY 1"):
            experiment_id = text(row[0])
            created_ms = integer(row[4]) or first_run.get(experiment_id)
            yield ForeignExperiment(
                experiment_id=experiment_id,
                name=qualified(row[6], text(row[1])),
                artifact_location=row[2],
                created_ms=created_ms,
                updated_ms=integer(row[5]) or created_ms,
                deleted=row[3] == "deleted",
                tags={text(key): text(value) for _, key, value in tags.of(row[0])},
            )

    # --- runs -----------------------------------------------------------------------------------------

    def runs(
        self, experiments: Collection[ForeignExperiment]
    ) -> Iterator[tuple[ForeignRun, Iterator[Metric]]]:
        """See `Source.runs`.

        Runs and all that belongs to them come sorted by id, and are put together as they come: it takes no
        index, which old databases do not have, and no more memory for many runs than for a few.
        """
        self._tables.choose(experiments)
        streams = _Streams(self._tables)
        deleted = {each.experiment_id for each in experiments if each.deleted}
        columns = (
            "run_uuid",
            "name",
            "user_id",
            "status",
            "start_time",
            "end_time",
            "deleted_time",
            "lifecycle_stage",
            "artifact_uri",
            "experiment_id",
        )
        where = "WHERE CAST(experiment_id AS TEXT) IN (SELECT id FROM temp.chosen) ORDER BY 1"
        for row in self._tables.select("runs", columns, after=where):
            place = Row(f"{self._path}: run {row[0]}")
            try:
                run = _run(row, streams, place, deleted)
            except BadMetaError as error:
                self._problems.add(error.place, error.message)
                continue
            yield run, self._points(run.run_id, streams)

    def _points(self, run_id: str, streams: _Streams) -> Iterator[Metric]:
        for _, key, value, is_nan, timestamp_ms, step in streams.metrics.of(run_id):
            try:
                yield Metric(
                    key=text(key),
                    value=_value(value, is_nan),
                    timestamp_ms=int(timestamp_ms or 0),
                    step=int(step or 0),
                )
            except (TypeError, ValueError, OverflowError):  # noqa: PERF203  each point may be bad
                self._problems.add(
                    f"{self._path}: run {run_id}", f"A point of the metric {key!r} is no number."
                )

    # --- models ---------------------------------------------------------------------------------------

    def logged_models(self, experiments: Collection[ForeignExperiment]) -> Iterator[ForeignLoggedModel]:
        """See `Source.logged_models`."""
        self._tables.choose(experiments)
        deleted = {each.experiment_id for each in experiments if each.deleted}
        return read_logged_models(self._tables, self._problems, deleted)

    def models(self) -> Iterator[ForeignModel]:
        """See `Source.models`."""
        return read_models(self._tables, self._problems)

    def files(self, owner: ForeignRun | ForeignLoggedModel) -> Files | None:
        """See `Source.files`."""
        return self._places.files(owner)

    def close(self) -> None:
        """See `Source.close`."""
        self._connection.close()


class _Streams:
    """What belongs to runs, by run."""

    def __init__(self, tables: Tables) -> None:
        runs = "(SELECT run_uuid FROM runs WHERE CAST(experiment_id AS TEXT) IN (SELECT id FROM temp.chosen))"
        of_run = f"WHERE run_uuid IN {runs} ORDER BY 1"
        self.params = Stream(tables.select("params", ("run_uuid", "key", "value"), after=of_run))
        self.tags = Stream(tables.select("tags", ("run_uuid", "key", "value"), after=of_run))
        columns = ("run_uuid", "key", "value", "is_nan", "timestamp", "step")
        self.metrics = Stream(tables.select("metrics", columns, after=of_run))
        self.datasets = Stream(_datasets(tables))
        model = "WHERE source_type = '{}' ORDER BY 1"
        ids = ("source_id", "destination_id", "step")
        self.models = Stream(tables.select("inputs", ids, after=model.format("RUN_INPUT")))
        self.outputs = Stream(tables.select("inputs", ids, after=model.format("RUN_OUTPUT")))

    def inputs(self, run_id: str) -> RunInputs:
        """Put together what went into a run and came out of it."""
        used: dict[str, DatasetInput] = {}
        for _, input_id, name, digest, kind, source, schema, profile, key, value in self.datasets.of(run_id):
            tags = dict(used[input_id].tags) if input_id in used else {}
            if key is not None:
                tags[text(key)] = text(value)
            dataset = Dataset(
                name=text(name),
                digest=text(digest),
                source_type=text(kind),
                source=text(source),
                schema=schema,
                profile=profile,
            )
            used[input_id] = DatasetInput(dataset=dataset, tags=tags)
        return RunInputs(
            datasets=tuple(used.values()),
            models=tuple(text(model) for _, model, _ in self.models.of(run_id)),
            outputs=tuple(
                ModelOutput(model_id=text(model), step=int(step or 0))
                for _, model, step in self.outputs.of(run_id)
            ),
        )


def _datasets(tables: Tables) -> Iterator[tuple[Any, ...]]:
    if not tables.has("inputs", "datasets", "input_tags"):
        return iter(())
    return tables.rows(
        "SELECT inputs.destination_id, inputs.input_uuid, datasets.name, digest, dataset_source_type, "
        "dataset_source, dataset_schema, dataset_profile, input_tags.name, input_tags.value FROM inputs "
        "JOIN datasets ON datasets.dataset_uuid = inputs.source_id "
        "LEFT JOIN input_tags ON input_tags.input_uuid = inputs.input_uuid "
        "WHERE inputs.source_type = 'DATASET' AND inputs.destination_type = 'RUN' ORDER BY 1, 2"
    )


def _run(row: tuple[Any, ...], streams: _Streams, place: Row, deleted: Collection[str]) -> ForeignRun:
    run_id, name, user, status, started, ended, deleted_time, lifecycle, artifact_uri, experiment = row
    if not isinstance(run_id, str) or not RUN_ID.fullmatch(run_id):
        raise place.bad("its id is none that MLflow gives")
    tags = {text(key): text(value) for _, key, value in streams.tags.of(run_id)}
    started_ms, ended_ms = integer(started) or 0, integer(ended)
    gone = lifecycle == "deleted" or text(experiment) in deleted
    return ForeignRun(
        run_id=run_id,
        experiment_id=text(experiment),
        name=name or tags.get(RUN_NAME_TAG) or "",
        user=user or tags.get("mlflow.user") or "",
        status=run_status(status, place),
        started_ms=started_ms,
        ended_ms=ended_ms,
        deleted_ms=(integer(deleted_time) or ended_ms or started_ms) if gone else None,
        artifact_uri=artifact_uri,
        params={text(key): text(value) for _, key, value in streams.params.of(run_id)},
        tags=tags,
        inputs=streams.inputs(run_id),
    )


def _value(value: Any, is_nan: Any) -> float:
    if is_nan or value is None:
        return float("nan")
    return number(float(value))


def _check(tables: Tables, path: Path) -> None:
    if tables.has("runs", "experiments") and "run_uuid" in tables.columns("runs"):
        return
    if path.name == "proj.db" and tables.has("runs", "experiments"):
        raise StoreError(f"{path} is a database of proj, not of MLflow.")
    raise StoreError(f"{path} is no database of MLflow: it has no table of its runs.")


if TYPE_CHECKING:

    def _conforms(source: SqliteSource) -> Source:
        return source
