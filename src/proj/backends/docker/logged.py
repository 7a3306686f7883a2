"""How much of a stream the engine's own log of it has."""

from __future__ import annotations

import codecs
import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_CHUNK_BYTES: Final = 1 << 20


class Logged:
    """Counts bytes as they are in the engine's log, which is JSON (the driver `json-file`, docker's default).

    Text is as long there as it was; each byte that is no UTF-8 has become U+FFFD, which is three.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("proj.each-byte")
        self._size_bytes = 0

    def add(self, data: bytes) -> None:
        """More of the stream."""
        self._size_bytes += len(self._decoder.decode(data).encode("utf-8"))

    def add_file(self, file: Path) -> None:
        """More of the stream, as it is stored; nothing where there is no such file."""
        with contextlib.suppress(FileNotFoundError), file.open("rb") as stored:
            while data := stored.read(_CHUNK_BYTES):
                self.add(data)

    @property
    def size_bytes(self) -> int:
        """How long it is in the log; of a character that has not come whole, its bytes so far."""
        return self._size_bytes + len(self._decoder.getstate()[0])


def _each_byte(error: UnicodeError) -> tuple[str, int]:
    """As Go's encoder replaces them: one by one, where Python would take some together."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\N{REPLACEMENT CHARACTER}", error.start + 1


codecs.register_error("proj.each-byte", _each_byte)
