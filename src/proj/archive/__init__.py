"""Runs as one file: record, code, locks, logs, artifacts, checked by digests, signed if wanted."""

from __future__ import annotations

from proj.archive.adding import AddedRun, add, preview
from proj.archive.documents import ArchivedRun
from proj.archive.failures import DamagedError, SignatureError
from proj.archive.reading import Archive, open_archive
from proj.archive.writing import Exported, Options, export, with_children

__all__ = [
    "AddedRun",
    "Archive",
    "ArchivedRun",
    "DamagedError",
    "Exported",
    "Options",
    "SignatureError",
    "add",
    "export",
    "open_archive",
    "preview",
    "with_children",
]
