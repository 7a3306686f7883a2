"""Numbers of bytes for people."""

from __future__ import annotations

_UNIT = 1024


def in_words(size_bytes: int) -> str:
    """Tell a size: `17 B`, `4.2 KiB`, `1.3 GiB`."""
    if size_bytes < _UNIT:
        return f"{size_bytes} B"
    value = float(size_bytes)
    for unit in ("KiB", "MiB", "GiB"):
        value /= _UNIT
        if value < _UNIT:
            return f"{value:.1f} {unit}"
    return f"{value / _UNIT:.1f} TiB"
