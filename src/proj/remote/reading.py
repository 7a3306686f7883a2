"""One run of a tracking server, and its metrics point by point."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from proj.errors import NotFoundError, StoreError, UsageError
from proj.remote.client import UnknownCallError
from proj.tracking.histories import spread
from proj.tracking.records import is_run_id, no_run
from proj.tracking.store import MetricPage
from proj.tracking.values import storable
from proj.wire.entities import OfRun
from proj.wire.metrics import GetHistory, GetHistoryBulk, MetricsAnswer
from proj.wire.runs import RunAnswer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from proj.model import Metric, RunRecord
    from proj.remote.client import Client

_BULK = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
"""MLflow's server has it for its pages alone."""
_BULK_RUNS = 100
_BULK_POINTS = 25_000
_PAGE_POINTS = 25_000
_OFFSET, _TOKEN = "offset:", "token:"


class RunReader:
    """The part of a `RunStore` that reads what belongs to runs that are known by their ids.

    Args:
        client: The server.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def run(self, run_id: str) -> RunRecord:
        """See `RunStore.run`.

        Raises:
            StoreError: Also where the server answers with another run.
        """
        if not is_run_id(run_id):
            raise no_run(run_id)
        try:
            found = self._client.get("runs/get", OfRun(run_id=run_id), RunAnswer).run.to_model()
        except UnknownCallError:
            raise
        except (NotFoundError, UsageError) as error:
            raise no_run(run_id) from error
        if found.run_id != run_id:
            raise StoreError(
                f"The tracking server {self._client.url} was asked for the run {run_id}, and answers with "
                f"{found.run_id}.",
                hint="It is defective: ask who runs it.",
            )
        return found

    def metric_history(self, run_id: str, key: str) -> tuple[Metric, ...]:
        """See `RunStore.metric_history`."""
        points: list[Metric] = []
        token = ""
        while True:
            page = self._history(run_id, key, limit=_PAGE_POINTS, page_token=token)
            points += [point.to_model() for point in page.metrics]
            token = page.next_page_token or ""
            if not token or not page.metrics:
                break
        if not points:  # some servers say the same of a run that is not there
            self.run(run_id)
        return _in_order(points)

    def metric_page(
        self, run_id: str, key: str, *, limit: int = 1000, page_token: str | None = None
    ) -> MetricPage:
        """See `RunStore.metric_page`.

        MLflow's server orders its pages by timestamp, then step; before 3.0 it has none, and each page here
        costs the whole history.
        """
        if limit < 1:
            raise UsageError(f"The limit {limit} is not a positive number.")
        given = page_token or _TOKEN
        if given.startswith(_OFFSET) and given.removeprefix(_OFFSET).isdecimal():
            return _part(self.metric_history(run_id, key), int(given.removeprefix(_OFFSET)), limit)
        if not given.startswith(_TOKEN):
            raise UsageError(f"{given!r} is no page token of this history.")
        found = self._history(run_id, key, limit=limit, page_token=given.removeprefix(_TOKEN))
        points = tuple(point.to_model() for point in found.metrics)
        if found.next_page_token:
            return MetricPage(points=points, next_page_token=_TOKEN + found.next_page_token)
        if len(points) > limit:
            return _part(_in_order(points), 0, limit)
        if not points:
            self.run(run_id)
        return MetricPage(points=points if page_token else _in_order(points))

    def _history(self, run_id: str, key: str, *, limit: int, page_token: str) -> MetricsAnswer:
        # The limit is always named: some versions of MLflow read none as 0, and send empty pages for ever.
        message = GetHistory(
            run_id=storable(run_id), metric_key=storable(key), max_results=limit, page_token=page_token
        )
        return self._client.get("metrics/get-history", message, MetricsAnswer)

    def metric_histories(
        self, run_ids: Sequence[str], key: str, *, limit: int = 25_000
    ) -> tuple[tuple[str, Metric], ...]:
        """See `RunStore.metric_histories`. A request for each hundred runs, or for each long history."""
        found: list[tuple[str, Metric]] = []
        wanted = sorted(set(run_ids))
        for start in range(0, len(wanted), _BULK_RUNS):
            if len(found) >= limit:
                break
            found += self._some_histories(wanted[start : start + _BULK_RUNS], key)
        return tuple(found[:limit])

    def _some_histories(self, run_ids: Sequence[str], key: str) -> list[tuple[str, Metric]]:
        message = GetHistoryBulk(
            run_id=tuple(storable(run_id) for run_id in run_ids),
            metric_key=storable(key),
            max_results=_BULK_POINTS,
        )
        points: dict[str, list[Metric]] = {}
        try:
            answer = self._client.get(_BULK, message, MetricsAnswer).metrics
        except (NotFoundError, UnknownCallError):  # MLflow's servers do not leave out what is not there
            answer = None
        if answer is not None and len(answer) < _BULK_POINTS:
            for point in answer:
                points.setdefault(point.run_id or "", []).append(point.to_model())
            return [(run_id, each) for run_id in run_ids for each in _in_order(points.get(run_id, ()))]
        return [(run_id, each) for run_id in run_ids for each in self._history_if_there(run_id, key)]

    def _history_if_there(self, run_id: str, key: str) -> tuple[Metric, ...]:
        try:
            return self.metric_history(run_id, key)
        except NotFoundError:
            return ()

    def metric_sample(
        self, run_id: str, key: str, *, limit: int = 2500, steps: tuple[int, int] | None = None
    ) -> tuple[Metric, ...]:
        """See `RunStore.metric_sample`. It reads the whole history."""
        if limit < 1:
            raise UsageError(f"The limit {limit} is not a positive number.")
        points = self.metric_history(run_id, key)
        if steps is not None:
            points = tuple(point for point in points if steps[0] <= point.step <= steps[1])
        return tuple(points[number] for number in spread(len(points), limit))


def _part(points: tuple[Metric, ...], offset: int, limit: int) -> MetricPage:
    end = offset + limit
    return MetricPage(
        points=points[offset:end], next_page_token=f"{_OFFSET}{end}" if end < len(points) else None
    )


def _in_order(points: Iterable[Metric]) -> tuple[Metric, ...]:
    return tuple(sorted(points, key=_order))


def _order(point: Metric) -> tuple[int, int, float, bool]:
    is_nan = math.isnan(point.value)
    return point.step, point.timestamp_ms, 0.0 if is_nan else point.value, is_nan
