"""Inputs and outputs of runs in `proj.db`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.tracking.inputs import Dataset, DatasetInput, DatasetSummary, ModelOutput, RunInputs
from proj.tracking.records import active_run, chunks, load_values
from proj.tracking.sqlsearch import marks
from proj.tracking.values import optional, put_values, storable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from proj.tracking.database import Database
    from proj.tracking.inputs import InputStore

_MAX_SUMMARIES = 1000
"""MLflow's limit."""


class SqliteInputs:
    """An `InputStore` in one SQLite file; safe for many threads and many processes.

    Args:
        database: The open database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def log_inputs(
        self, run_id: str, *, datasets: Sequence[DatasetInput] = (), models: Sequence[str] = ()
    ) -> None:
        """See `InputStore.log_inputs`."""
        with self._database.write() as connection:
            add_inputs(connection, active_run(connection, run_id), datasets, models)

    def log_outputs(self, run_id: str, models: Sequence[ModelOutput]) -> None:
        """See `InputStore.log_outputs`."""
        with self._database.write() as connection:
            add_outputs(connection, active_run(connection, run_id), models)

    def of_runs(self, run_ids: Sequence[str]) -> dict[str, RunInputs]:
        """See `InputStore.of_runs`."""
        found: dict[str, RunInputs] = {}
        with self._database.read() as connection:
            for some in chunks(run_ids):
                rows = connection.execute(
                    f"SELECT id, run_id FROM runs WHERE run_id IN ({marks(some)})",  # noqa: S608  our own words
                    some,
                ).fetchall()
                loaded = _load(connection, [row for row, _ in rows])
                found.update((run_id, loaded[row]) for row, run_id in rows if row in loaded)
        return found

    def search_datasets(self, experiment_ids: Sequence[str]) -> tuple[DatasetSummary, ...]:
        """See `InputStore.search_datasets`."""
        from proj.tracking.search import in_experiments

        where = in_experiments("datasets.experiment", experiment_ids)
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT DISTINCT experiment, name, digest, input_tags.value FROM datasets "  # noqa: S608  our own words
                "JOIN inputs ON inputs.dataset = datasets.id "
                "LEFT JOIN input_tags ON input = inputs.id AND key = 'mlflow.data.context' "
                f"WHERE {where.text} ORDER BY experiment, name, digest, input_tags.value LIMIT ?",
                (*where.values, _MAX_SUMMARIES),
            ).fetchall()
        return tuple(
            DatasetSummary(experiment_id=str(experiment), name=name, digest=digest, context=context)
            for experiment, name, digest, context in rows
        )


def add_inputs(
    connection: sqlite3.Connection, run: int, datasets: Sequence[DatasetInput], models: Sequence[str]
) -> int:
    """Add datasets and models to what went into a run; return how many are new."""
    new = sum(_add_dataset(connection, run, each) for each in datasets)
    return (
        new
        + connection.executemany(
            "INSERT OR IGNORE INTO model_inputs (run, model_id) VALUES (?, ?)",
            [(run, storable(model_id)) for model_id in models],
        ).rowcount
    )


def add_outputs(connection: sqlite3.Connection, run: int, models: Sequence[ModelOutput]) -> int:
    """Add models to what came out of a run; return how many are new."""
    return connection.executemany(
        "INSERT OR IGNORE INTO model_outputs (run, model_id, step) VALUES (?, ?, ?)",
        [(run, storable(model.model_id), model.step) for model in models],
    ).rowcount


def _add_dataset(connection: sqlite3.Connection, run: int, given: DatasetInput) -> bool:
    """Record a dataset as a run's input, and return whether it is new; one that is there is not changed."""
    dataset = given.dataset
    (experiment,) = connection.execute("SELECT experiment FROM runs WHERE id = ?", (run,)).fetchone()
    named = (experiment, storable(dataset.name), storable(dataset.digest))
    connection.execute(
        "INSERT OR IGNORE INTO datasets (experiment, name, digest, source_type, source, schema, profile) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            *named,
            storable(dataset.source_type),
            storable(dataset.source),
            optional(dataset.schema),
            optional(dataset.profile),
        ),
    )
    (row,) = connection.execute(
        "SELECT id FROM datasets WHERE experiment = ? AND name = ? AND digest = ?", named
    ).fetchone()
    added = connection.execute("INSERT OR IGNORE INTO inputs (run, dataset) VALUES (?, ?)", (run, row))
    if not added.rowcount:
        return False
    assert added.lastrowid is not None  # noqa: S101  an INSERT that succeeds has a row number
    put_values(connection, "input_tags", "input", added.lastrowid, given.tags)
    return True


def _load(connection: sqlite3.Connection, runs: Sequence[int]) -> dict[int, RunInputs]:
    among = f"IN ({marks(runs)})"
    datasets = _load_datasets(connection, runs)
    models: dict[int, list[str]] = {}
    for run, model_id in connection.execute(
        f"SELECT run, model_id FROM model_inputs WHERE run {among} ORDER BY model_id",  # noqa: S608  our own words
        runs,
    ):
        models.setdefault(run, []).append(model_id)
    outputs: dict[int, list[ModelOutput]] = {}
    for run, model_id, step in connection.execute(
        f"SELECT run, model_id, step FROM model_outputs WHERE run {among} ORDER BY step, model_id",  # noqa: S608  our own words
        runs,
    ):
        outputs.setdefault(run, []).append(ModelOutput(model_id=model_id, step=step))
    return {
        run: RunInputs(
            datasets=tuple(datasets.get(run, ())),
            models=tuple(models.get(run, ())),
            outputs=tuple(outputs.get(run, ())),
        )
        for run in {*datasets, *models, *outputs}
    }


def _load_datasets(connection: sqlite3.Connection, runs: Sequence[int]) -> dict[int, list[DatasetInput]]:
    rows = connection.execute(
        "SELECT inputs.id, run, name, digest, source_type, source, schema, profile FROM inputs "  # noqa: S608  our own words
        f"JOIN datasets ON datasets.id = inputs.dataset WHERE run IN ({marks(runs)}) ORDER BY inputs.id",
        runs,
    ).fetchall()
    tags: dict[int, dict[str, str]] = {}
    for some in chunks([row[0] for row in rows]):
        tags.update(load_values(connection, "input_tags", "input", some))
    found: dict[int, list[DatasetInput]] = {}
    for row, run, name, digest, source_type, source, schema, profile in rows:
        dataset = Dataset(
            name=name, digest=digest, source_type=source_type, source=source, schema=schema, profile=profile
        )
        found.setdefault(run, []).append(DatasetInput(dataset=dataset, tags=tags[row]))
    return found


if TYPE_CHECKING:

    def _conforms(store: SqliteInputs) -> InputStore:
        return store
