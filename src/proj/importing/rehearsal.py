"""Records that are thrown away: what an import would do is found out by doing it to a copy."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from proj.importing.snapshot import save_snapshot
from proj.tracking.database import Database
from proj.tracking.local import over

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.tracking import Tracking


@contextlib.contextmanager
def rehearsal(home: Path) -> Iterator[Tracking]:
    """Open a copy of the records in a folder; the places of their files are the true ones.

    Args:
        home: The folder. Nothing in it is changed.

    Raises:
        StoreError: The records cannot be read or copied.
    """
    with tempfile.TemporaryDirectory(prefix="proj-import-") as folder:
        copy = Path(folder) / "proj.db"
        original = home / "proj.db"
        if original.exists():
            save_snapshot(original, copy)
        with over(Database(copy), home) as tracking:
            yield tracking
