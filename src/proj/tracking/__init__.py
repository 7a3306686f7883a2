"""What is remembered: runs, experiments, artifacts."""

from __future__ import annotations

from proj.tracking.local import Tracking, open_tracking
from proj.tracking.naming import new_run_name

__all__ = ["Tracking", "new_run_name", "open_tracking"]
