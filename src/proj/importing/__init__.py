"""Records of MLflow, read from where it keeps them and written into a `Tracking` of ours."""

from __future__ import annotations

from proj.importing.api import import_from
from proj.importing.model import ImportReport, Problem, Tally

__all__ = ["ImportReport", "Problem", "Tally", "import_from"]
