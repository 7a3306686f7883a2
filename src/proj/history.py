"""The history of a metric as the API returns it: compact, since a run may log millions of points."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Any, overload

from proj.model import Metric


class MetricHistory(Sequence[Metric]):
    """All points of a metric in the order of step, then timestamp; 24 bytes each.

    Args:
        run_id: The run.
        key: The metric's name.
        points: Its points.
    """

    __slots__ = ("_steps", "_timestamps_ms", "_values", "key", "run_id")

    def __init__(self, run_id: str, key: str, points: Iterable[Metric]) -> None:
        self.run_id = run_id
        self.key = key
        self._steps = array("q")
        self._timestamps_ms = array("q")
        self._values = array("d")
        for point in points:
            self._steps.append(point.step)
            self._timestamps_ms.append(point.timestamp_ms)
            self._values.append(point.value)

    def __repr__(self) -> str:
        return f"<MetricHistory of {self.key!r} of the run {self.run_id}: {len(self)} points>"

    def __len__(self) -> int:
        return len(self._steps)

    @overload
    def __getitem__(self, index: int) -> Metric: ...

    @overload
    def __getitem__(self, index: slice) -> list[Metric]: ...

    def __getitem__(self, index: int | slice) -> Metric | list[Metric]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        return Metric(
            key=self.key,
            value=self._values[index],
            timestamp_ms=self._timestamps_ms[index],
            step=self._steps[index],
        )

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame`: run_id, key, step, timestamp (UTC) and value.

        Raises:
            UsageError: pandas is not installed.
        """
        from proj.frames import history_frame

        return history_frame(self.run_id, self.key, self._steps, self._timestamps_ms, self._values)
