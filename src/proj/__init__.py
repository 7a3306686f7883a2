"""proj: run a project, keep a record, make the same run again."""

from __future__ import annotations

__version__ = "0.1.0"
