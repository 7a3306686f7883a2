"""URIs below the store's home are kept relative to it, so that the home can be moved."""

from __future__ import annotations

_HOME = "home:"


def relative(home: str, uri: str) -> str:
    """Return a URI as it is kept: what is below the URI `home` loses that part."""
    return _HOME + uri[len(home) + 1 :] if uri.startswith(f"{home}/") else uri


def absolute(home: str, kept: str) -> str:
    """Return the URI that was kept."""
    return f"{home}/{kept[len(_HOME) :]}" if kept.startswith(_HOME) else kept
