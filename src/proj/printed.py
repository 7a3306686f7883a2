"""Metrics that a program printed while nobody, or somebody who is gone, read them of its output."""

from __future__ import annotations

import contextlib
import math
import time
from collections import Counter
from typing import TYPE_CHECKING

from proj import events, paths, sync
from proj.aside import MetricBuffer
from proj.backends.stdout_metrics import MetricReader
from proj.errors import StoreError
from proj.model import Metric
from proj.times import now_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from proj.tracking import Tracking

_LARGEST = 1.7976931348623157e308
"""What MLflow keeps for an infinite value."""
_CHUNK_BYTES = 1 << 20
_PAUSE_S = 1.0
"""How long a record that could not be read is left alone: the output waits while it is tried."""


class Unlogged:
    """Hands on the points of metrics that a record does not have yet; each of its own is left out once.

    Where the record cannot be read, points wait until it can: `finish` once there are no more.

    Args:
        tracking: The records.
        run_id: The run.
        sink: Takes key, value, step of what is new.
    """

    def __init__(self, tracking: Tracking, run_id: str, sink: Callable[[str, float, int], None]) -> None:
        self._tracking = tracking
        self._run_id = run_id
        self._sink = sink
        self._known: dict[str, Counter[tuple[int, str]]] = {}
        self._waiting: dict[str, list[tuple[float, int]]] = {}
        """Points of keys whose history is not known yet, in their order."""
        self._next_s = 0.0

    def __call__(self, key: str, value: float, step: int) -> None:
        """See `MetricSink`.

        Raises:
            ProjError: As the sink's.
        """
        if key in self._known:
            self._hand_on(key, value, step)
            return
        self._waiting.setdefault(key, []).append((value, step))
        if time.monotonic() < self._next_s:
            return
        try:
            self._look_at(key)
        except StoreError:
            self._next_s = time.monotonic() + _PAUSE_S

    def finish(self) -> None:
        """Hand on what waits.

        Raises:
            StoreError: The record cannot be read: what still waits is lost.
            ProjError: As the sink's.
        """
        for key in tuple(self._waiting):
            self._look_at(key)

    def _look_at(self, key: str) -> None:
        history = self._tracking.runs.metric_history(self._run_id, key)
        self._known[key] = Counter((point.step, _kept(point.value)) for point in history)
        for value, step in self._waiting.pop(key):
            self._hand_on(key, value, step)

    def _hand_on(self, key: str, value: float, step: int) -> None:
        point = step, _kept(value)
        if self._known[key][point] > 0:
            self._known[key][point] -= 1
            return
        self._sink(key, value, step)


def _kept(value: float) -> str:
    """A value as it is found again, whoever keeps it."""
    return "nan" if math.isnan(value) else repr(max(-_LARGEST, min(_LARGEST, value)))


@contextlib.contextmanager
def reading_on(handle: object, tracking: Tracking, run_id: str) -> Iterator[None]:
    """Record what the program of a handle that was found again prints, for as long as the block lasts.

    Args:
        handle: It; see `proj.backends.base.Handle` for `read_metrics`.
        tracking: The records.
        run_id: The run.
    """
    read = getattr(handle, "read_metrics", None)
    if read is None:
        yield
        return
    if not tracking.uri.startswith("file:"):
        # What waits for the server is no part of its history yet.
        sync.deliver_quickly(paths.home(), tracking.uri)
    buffer = MetricBuffer(tracking, run_id, lenient=True)
    unlogged = Unlogged(tracking, run_id, buffer)
    read(unlogged)
    try:
        yield
    finally:
        try:
            unlogged.finish()
        except StoreError as error:
            events.warning(f"Metrics that the run {run_id} printed are not recorded: {error.message}")
        buffer.flush()


def catch_up(tracking: Tracking, run_id: str, log: Path) -> None:
    """Record the metrics of a whole output that the record does not have.

    Raises:
        StoreError: The record cannot be read or written.
    """
    found: list[Metric] = []

    def take(key: str, value: float, step: int) -> None:
        found.append(Metric(key=key, value=value, timestamp_ms=now_ms(), step=step))

    unlogged = Unlogged(tracking, run_id, take)
    reader = MetricReader(unlogged)
    with contextlib.suppress(FileNotFoundError), log.open("rb") as file:
        while data := file.read(_CHUNK_BYTES):
            reader.feed(data)
        reader.feed(b"")
    try:
        unlogged.finish()
    finally:
        if found:
            tracking.runs.log(run_id, metrics=found)
