"""Files as bodies of requests: from an offset on, as long as they should be, with the progress told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

Told = Callable[[int], None]
"""Is told how many bytes have been moved so far."""
_PIECE_BYTES = 1 << 18


class Rest:
    """The rest of a file. Its length is known, so that it is sent without chunked encoding.

    Args:
        path: The file.
        offset: Where the rest begins.
        size: That of the whole file.
        told: Called before each piece is sent.
    """

    def __init__(self, path: Path, offset: int, size: int, told: Told) -> None:
        self._stream = path.open("rb")
        self._stream.seek(offset)
        self._at = offset
        self._size = size
        self._told = told

    def __len__(self) -> int:
        return self._size - self._at

    def read(self, wanted: int = -1) -> bytes:
        """Take the next piece."""
        limit = _PIECE_BYTES if wanted < 0 else min(wanted, _PIECE_BYTES)
        data = self._stream.read(min(limit, self._size - self._at))
        self._at += len(data)
        self._told(self._at)
        return data

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
