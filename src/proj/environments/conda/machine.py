"""What packages may ask of this machine, told cheaply: a lock that is kept for one need not do for another.

Machines may share a cache. The solver finds out more (`solver`), which takes a process; these are the traces
of what it goes by.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

DRIVER = Path("/proc/driver/nvidia/version")
_CPU = Path("/proc/cpuinfo")
_CPU_BYTES = 8192
_LEVELS = ("sse4_2", "avx2", "avx512f")
"""A flag of each of the levels of x86-64 that builds are made for."""


def overrides() -> tuple[tuple[str, str], ...]:
    """The variables by which the user says what the machine has."""
    return tuple(sorted(pair for pair in os.environ.items() if pair[0].startswith("CONDA_OVERRIDE_")))


def traces() -> tuple[str, ...]:
    """The machine's kind and its CPU's level, its C library, its GPU driver; empty what is not there."""
    libc = ""
    with contextlib.suppress(ValueError, OSError):  # not everywhere is glibc
        libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
    flags = re.search(r"(?m)^flags\s*:(.*)$", _start(_CPU))
    known = flags[1].split() if flags else []
    levels = " ".join(level for level in _LEVELS if level in known)
    return os.uname().machine, levels, libc, _start(DRIVER).partition("\n")[0]


def _start(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_CPU_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
