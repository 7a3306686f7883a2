"""What is logged to a run, in as few requests as MLflow's limits allow (`mlflow/utils/validation.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from proj.errors import UsageError
from proj.tracking.values import storable
from proj.wire.codec import encode_request
from proj.wire.entities import KeyValue, MetricIn
from proj.wire.runs import LogBatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from proj.model import Metric

T = TypeVar("T", KeyValue, MetricIn)

MAX_PARAMS = 100
MAX_TAGS = 100
MAX_METRICS = 1000
MAX_ENTITIES = 1000
MAX_BYTES = 900_000
"""A megabyte is the limit; some is for what stands around the items."""
MAX_PARAM_VALUE = 6000
MAX_TAG_VALUE = 8000


def check_lengths(params: Mapping[str, str], tags: Mapping[str, str]) -> None:
    """See that nothing is so long that a server would keep its beginning only, and say nothing.

    Raises:
        UsageError: Something is.
    """
    for noun, values, limit in (("parameter", params, MAX_PARAM_VALUE), ("tag", tags, MAX_TAG_VALUE)):
        for key, value in values.items():
            if len(value) > limit:
                raise UsageError(
                    f"The value of the {noun} {key!r} has {len(value)} characters; tracking servers keep "
                    f"{limit}.",
                    hint="Keep it in a file, and log that as an artifact.",
                )


def key_values(given: Mapping[str, str]) -> tuple[KeyValue, ...]:
    """Return parameters or tags as they are sent."""
    return tuple(KeyValue(key=storable(key), value=storable(value)) for key, value in given.items())


def batches(
    run_id: str, params: Mapping[str, str], metrics: Sequence[Metric], tags: Mapping[str, str]
) -> Iterator[LogBatch]:
    """Yield the requests that log all of it: parameters first, since they may be refused, and tags last."""
    batch = _Batch(run_id)
    for param in key_values(params):
        yield from batch.add(batch.params, param, MAX_PARAMS)
    # Some versions of MLflow refuse a request that holds the same point twice.
    for metric in {_identity(metric): metric for metric in metrics}.values():
        yield from batch.add(batch.metrics, _point(metric), MAX_METRICS)
    for tag in key_values(tags):
        yield from batch.add(batch.tags, tag, MAX_TAGS)
    yield from batch.flush()


def _point(metric: Metric) -> MetricIn:
    return MetricIn(
        key=storable(metric.key),
        value=metric.value,
        timestamp=metric.timestamp_ms,
        step=metric.step,
        model_id=storable(metric.model_id or ""),
        dataset_name=storable(metric.dataset_name or ""),
        dataset_digest=storable(metric.dataset_digest or ""),
    )


def _identity(metric: Metric) -> tuple[object, ...]:
    """What makes a point the same as another; NaN is the same as NaN."""
    of_model = (metric.model_id, metric.dataset_name, metric.dataset_digest)
    return metric.key, metric.step, metric.timestamp_ms, repr(metric.value), of_model


class _Batch:
    """A request in the making."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self.params: list[KeyValue] = []
        self.metrics: list[MetricIn] = []
        self.tags: list[KeyValue] = []
        self._bytes = 0

    def add(self, items: list[T], item: T, limit: int) -> Iterator[LogBatch]:
        """Put an item into one of the lists; yield first the request that is full without it."""
        size = len(encode_request(item)) + 1
        count = len(self.params) + len(self.metrics) + len(self.tags)
        if len(items) >= limit or count >= MAX_ENTITIES or self._bytes + size > MAX_BYTES:
            yield from self.flush()
        items.append(item)
        self._bytes += size

    def flush(self) -> Iterator[LogBatch]:
        """Yield the request, if there is anything in it."""
        if self._bytes:
            yield LogBatch(
                run_id=self._run_id,
                params=tuple(self.params),
                metrics=tuple(self.metrics),
                tags=tuple(self.tags),
            )
        self._bytes = 0
        self.params.clear()
        self.metrics.clear()
        self.tags.clear()
