"""What looks for metrics in a program's output, where the project asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from proj.backends.base import MetricSink
    from proj.model import Execution


def metrics_tap(execution: Execution, on_metric: MetricSink | None) -> Callable[[bytes], None] | None:
    """Return what takes stdout in pieces; None where nobody looks for metrics in it."""
    if not execution.metrics_from_stdout or on_metric is None:
        return None
    from proj.backends.stdout_metrics import MetricReader

    return MetricReader(on_metric).feed
