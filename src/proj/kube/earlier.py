"""What is new of a log that comes again; its beginning may be gone, since kubelets keep the end alone."""

from __future__ import annotations

import mmap
import os

GAP = b"[proj: the cluster no longer has what may have been here]\n"
"""Stands where the log goes on whose beginning is nowhere in what was kept."""
_HEAD_BYTES = 64


class Earlier:
    """Tells of a log that comes again what is not in the file yet.

    Nothing that the file holds is ever taken away: it may be all that is left.

    Args:
        descriptor: Of the file, which holds what came earlier, and can be read.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        self._start = self._at = 0
        """What has come so far is what the file holds between the two."""

    def new_part(self, data: bytes) -> bytes:
        """What is to be appended of the next piece of the log."""
        if self._at >= self._size:
            return data
        with mmap.mmap(self._descriptor, self._size, access=mmap.ACCESS_READ) as held:
            if _agrees(held, self._at, data):
                return self._take(len(data), data)
            so_far = held[self._start : self._at] + data
            found = _place(held, so_far, self._start + 1)
            if found is not None:
                self._start = self._at = found
                return self._take(len(so_far), so_far)
            self._at = self._size
            return (b"" if held[-1:] == b"\n" else b"\n") + GAP + so_far

    def _take(self, size: int, data: bytes) -> bytes:
        known = min(size, self._size - self._at)
        self._at += known
        return data[known:]


def _agrees(held: mmap.mmap, at: int, data: bytes) -> bool:
    """Whether the file goes on with some bytes, or ends within them."""
    found = held[at : at + len(data)]
    return data.startswith(found)


def _place(held: mmap.mmap, data: bytes, start: int) -> int | None:
    """From where on the file holds some bytes, or ends within them: always where a line begins."""
    head = data[:_HEAD_BYTES]
    at = held.find(b"\n", max(0, start - 1)) + 1
    while 0 < at < len(held):
        if head.startswith(held[at : at + len(head)]) and _agrees(held, at, data):
            return at
        at = _next_line(held, head, at)
    return None


def _next_line(held: mmap.mmap, head: bytes, at: int) -> int:
    """The next line that may be the one that is looked for; 0: there is none."""
    if len(held) - at > 2 * len(head):  # far from the end, all of the head has to be there
        found = held.find(b"\n" + head, at)
        if found >= 0:
            return found + 1
        at = len(held) - len(head) - 1
    return held.find(b"\n", at) + 1
