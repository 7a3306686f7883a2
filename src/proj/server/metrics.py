"""Handlers of `metrics/…`: histories, whole, in pages, of several runs, and thinned out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from proj.server import limits
from proj.server.routes import RawRoute, Route
from proj.wire.entities import metric_out
from proj.wire.errors import invalid, missing
from proj.wire.metrics import GetHistory, GetHistoryBulk, GetHistoryInterval, MetricsAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proj.server.routes import Context
    from proj.wire.entities import MetricOut

_MAX_BULK_POINTS = 25_000
_MAX_BULK_RUNS = 100
_MAX_INTERVAL_POINTS = 2500


def get_history(context: Context, request: GetHistory) -> MetricsAnswer:
    """`GET metrics/get-history`."""
    runs = context.tracking.runs
    if request.max_results is None and not request.page_token:
        history = runs.metric_history(request.run, request.metric_key)
        return MetricsAnswer(metrics=tuple(metric_out(point) for point in history))
    limit = _MAX_BULK_POINTS if request.max_results is None else request.max_results
    limits.check_results(limit, 2**31 - 1)
    page = runs.metric_page(
        request.run, request.metric_key, limit=limit, page_token=request.page_token or None
    )
    return MetricsAnswer(
        metrics=tuple(metric_out(point) for point in page.points),
        next_page_token=page.next_page_token or UNSET,
    )


def get_history_bulk(context: Context, request: GetHistoryBulk) -> MetricsAnswer:
    """`GET metrics/get-history-bulk`: the histories of one metric in several runs."""
    if not request.run_id:
        raise invalid("GetMetricHistoryBulk request must specify at least one run_id.")
    _check_runs(request.run_id)
    limits.check_results(request.max_results, 2**31 - 1)
    found = context.tracking.runs.metric_histories(
        request.run_id, request.metric_key, limit=min(request.max_results, _MAX_BULK_POINTS)
    )
    return MetricsAnswer(metrics=tuple(metric_out(point, run_id) for run_id, point in found))


def get_history_interval(context: Context, request: GetHistoryInterval) -> MetricsAnswer:
    """`GET metrics/get-history-bulk-interval`: as many points of each run as a chart can show."""
    if not request.run_ids:
        raise missing("run_ids")
    _check_runs(request.run_ids)
    limits.check_results(request.max_results, _MAX_INTERVAL_POINTS)
    first, last = request.start_step, request.end_step
    if (first is None) != (last is None):
        raise invalid("If either start step or end step are specified, both must be specified.")
    if first is not None and last is not None and first > last:
        raise invalid(
            f"end_step must be greater than start_step. Found start_step={first} and end_step={last}."
        )
    steps = None if first is None or last is None else (first, last)
    sample, limit = context.tracking.runs.metric_sample, request.max_results
    found: list[MetricOut] = []
    for run_id in request.run_ids:
        points = sample(run_id, request.metric_key, limit=limit, steps=steps)
        found += [metric_out(point, run_id) for point in points]
    return MetricsAnswer(metrics=tuple(found))


def _check_runs(run_ids: Sequence[str]) -> None:
    if len(run_ids) > _MAX_BULK_RUNS:
        raise invalid(
            f"The request cannot specify more than {_MAX_BULK_RUNS} run_ids. Received {len(run_ids)} run_ids."
        )


ROUTES: tuple[Route | RawRoute, ...] = (
    Route("GET", "metrics/get-history", get_history, GetHistory),
    Route("GET", "metrics/get-history-bulk", get_history_bulk, GetHistoryBulk),
    Route("GET", "metrics/get-history-bulk-interval", get_history_interval, GetHistoryInterval),
)
