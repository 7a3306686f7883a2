"""Ports on loopback that no other test takes meanwhile."""

from __future__ import annotations

import contextlib
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FIRST = 12_000
"""Below are those of a cluster's parts."""
_LAST = 29_999
"""Above are those that a cluster publishes services at."""


def own_port() -> int:
    """A port for a server that is started later, or again and again.

    If there are others, it is none of those that the system gives to whoever asks for any: such a one may be
    given to another test as soon as nobody listens there.
    """
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    ours = _outside(low, high)
    while True:
        port = secrets.choice(ours)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _outside(low: int, high: int) -> Sequence[int]:
    """Ports of ours that are none from `low` to `high`; all of ours where that leaves none."""
    ours = range(_FIRST, _LAST + 1)
    return [port for port in ours if not low <= port <= high] or ours


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """A port where nobody listens, for as long as the block lasts."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])
