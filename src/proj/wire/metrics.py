"""Requests and responses of `metrics/…`."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from proj.wire.codec import Int64, Message, Text
from proj.wire.entities import MetricOut, OfRun


class GetHistory(OfRun, frozen=True, kw_only=True):
    """`GET metrics/get-history`."""

    metric_key: Text
    max_results: Int64 | None = None
    page_token: str = ""


class GetHistoryBulk(Message, frozen=True, kw_only=True):
    """`GET metrics/get-history-bulk`."""

    run_id: tuple[str, ...] = ()
    metric_key: Text
    max_results: Int64 = 25_000


class GetHistoryInterval(Message, frozen=True, kw_only=True):
    """`GET metrics/get-history-bulk-interval`."""

    run_ids: tuple[str, ...] = ()
    metric_key: Text
    start_step: Int64 | None = None
    end_step: Int64 | None = None
    max_results: Int64 = 2500


class MetricsAnswer(Message, frozen=True, kw_only=True):
    """What they answer."""

    metrics: tuple[MetricOut, ...] = ()
    next_page_token: str | UnsetType = UNSET
