"""What is found in the records: `proj.search_runs`, `proj.metric_history`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from proj import table
from proj.api import Run
from proj.errors import UsageError
from proj.place import open_tracking

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proj.history import MetricHistory
    from proj.model import Metric, RunRecord
    from proj.table import Cell


class RunRow(Run, Mapping[str, "Cell"]):
    """A run as it was when it was found: a mapping of columns to values, which are attributes as well.

    `row["metrics.rmse"]` is a number, `row.metrics["rmse"]` the point with its step. A column that the run
    has no value for is not there: `row.get("metrics.rmse")` is None. What else a `Run` can do asks anew.

    Args:
        record: What the store knew of the run.
        experiment: The name of its experiment.
    """

    def __init__(self, record: RunRecord, experiment: str) -> None:
        super().__init__(record.run_id)
        self._record = record
        self.experiment = experiment

    def __repr__(self) -> str:
        return f"RunRow({self.run_id!r}, {self.run_name!r}, {self.status})"

    def __getitem__(self, column: str) -> Cell:
        kind, dot, key = column.partition(".")
        if not dot:
            return table.run_cells(self._record, self.experiment)[column]
        if kind == "metrics":
            return self._record.metrics[key].value
        if kind == "params":
            return self._record.params[key]
        if kind == "tags":
            return self._record.tags[key]
        raise KeyError(column)

    def __iter__(self) -> Iterator[str]:
        yield from table.RUN_COLUMNS
        for kind in ("metrics", "params", "tags"):
            yield from (f"{kind}.{key}" for key in getattr(self._record, kind))

    def __len__(self) -> int:
        record = self._record
        return len(table.RUN_COLUMNS) + len(record.metrics) + len(record.params) + len(record.tags)

    def __hash__(self) -> int:
        return hash(self.run_id)

    @property
    def run_name(self) -> str:
        """The run's name."""
        return self._record.run_name

    @property
    def status(self) -> str:
        """MLflow's word for the state: SCHEDULED, RUNNING, FINISHED, FAILED or KILLED."""
        return self._record.status.value

    @property
    def params(self) -> Mapping[str, str]:
        """The parameters as given."""
        return self._record.params

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Metric name -> its latest point."""
        return self._record.metrics

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags."""
        return self._record.tags

    @property
    def found(self) -> RunRecord:
        """All that the store knew of the run."""
        return self._record


class Runs(tuple[RunRow, ...]):
    """Runs that were found, in the order asked for."""

    __slots__ = ()

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame` with the columns that `mlflow.search_runs` has, and a few more.

        Raises:
            UsageError: pandas is not installed.
        """
        from proj.frames import runs_frame

        return runs_frame([(row.found, row.experiment) for row in self])


def search_runs(
    filter: str = "",  # noqa: A002  MLflow's name for it
    *,
    experiment_names: Sequence[str] | None = None,
    order_by: Sequence[str] = (),
    limit: int | None = 1000,
) -> Runs:
    """Return the runs that match, newest first unless `order_by` says otherwise.

    Args:
        filter: Conditions in MLflow's grammar, such as `metrics.rmse < 60 and params.alpha = '0.5' and
            attributes.status = 'FINISHED'`; empty: all runs.
        experiment_names: Only runs of these experiments; None: of all. A name that does not exist has none.
        order_by: Keys such as `metrics.rmse ASC`.
        limit: Return at most this many; None: all.

    Raises:
        UsageError: The filter or an order cannot be understood; names the position.
    """
    from proj.tracking.store import RunQuery

    if limit is not None and limit < 1:
        raise UsageError(f"The limit {limit} is not a positive number.")
    with open_tracking() as tracking:
        names = table.experiment_names(tracking.runs.experiments("all"))
        ids = None
        if experiment_names is not None:
            known = tracking.runs.experiments()
            ids = tuple(found.experiment_id for found in known if found.name in experiment_names)
        query = RunQuery(experiment_ids=ids, filter=filter, order_by=tuple(order_by))
        found = table.runs(tracking.runs, query, limit=limit)
        return Runs(RunRow(run, names.get(run.experiment_id, "")) for run in found)


def metric_history(run_id: str, key: str) -> MetricHistory:
    """Return all points of a metric of a run; none where the run has no such metric.

    Args:
        run_id: The run's id: 32 hexadecimal digits.
        key: The metric's name.

    Raises:
        NotFoundError: There is no such run.
    """
    return Run(run_id).metric_history(key)
