"""The only package that starts processes."""

from __future__ import annotations

from proj.process.run import Completed, run

__all__ = ["Completed", "run"]
