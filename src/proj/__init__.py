"""proj: run a project, keep a record, make the same run again.

The public API; everything else is private. Names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.version import __version__

if TYPE_CHECKING:
    from proj.api import Reproduction, Run, RunFailedError, reproduce, run, submit
    from proj.errors import ProjError
    from proj.search import metric_history, search_runs

__all__ = [
    "ProjError",
    "Reproduction",
    "Run",
    "RunFailedError",
    "__version__",
    "metric_history",
    "reproduce",
    "run",
    "search_runs",
    "submit",
]

_HOMES = {
    "ProjError": "proj.errors",
    "Reproduction": "proj.api",
    "Run": "proj.api",
    "RunFailedError": "proj.api",
    "metric_history": "proj.search",
    "reproduce": "proj.api",
    "run": "proj.api",
    "search_runs": "proj.search",
    "submit": "proj.api",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'proj' has no attribute {name!r}")
    import importlib

    value: object = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
