"""Bodies of requests that wait: small ones go into the journal's database, large ones are files beside it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from proj.files import make_private
from proj.times import now_ms

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_INLINE_BYTES = 64 << 10
"""Bodies up to this size are kept in the database."""
_ORPHAN_MS = 24 * 3600 * 1000
"""Age from which a file that no request names is removed: whoever made it died before it could."""


class Bodies:
    """The files of a journal.

    Args:
        folder: The journal's own.

    Raises:
        OSError: It cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._kept = folder / "bodies"
        self._spool = folder / "spool"
        for each in (self._kept, self._spool):
            make_private(each)

    def spool(self) -> Path:
        """A new path for a body that may have to wait: `keep` takes such a file as it is, uncopied."""
        return self._spool / _new_name()

    def keep(self, body: bytes | Path | None) -> tuple[bytes | None, str | None]:
        """What the database keeps of a body: itself, or the name of its file.

        A body that is a file is copied; one at a path from `spool` is moved.

        Raises:
            OSError: It cannot be written.
        """
        if body is None or (isinstance(body, bytes) and len(body) <= _INLINE_BYTES):
            return body, None
        path = self._kept / _new_name()
        if isinstance(body, bytes):
            path.write_bytes(body)
        elif body.parent == self._spool:
            body.replace(path)
        else:
            import shutil

            shutil.copyfile(body, path)
        return None, path.name

    def path(self, name: str) -> Path:
        """The file of a name that `keep` gave."""
        return self._kept / name

    def sweep(self, named: Collection[str]) -> None:
        """Remove old files that no request names; whatever stays only takes space."""
        with contextlib.suppress(OSError):
            for path in (*self._kept.iterdir(), *self._spool.iterdir()):
                old = now_ms() - int(path.stat().st_mtime * 1000) > _ORPHAN_MS
                if old and path.name not in named:
                    path.unlink(missing_ok=True)


def _new_name() -> str:
    return f"{now_ms():x}-{os.urandom(8).hex()}"
