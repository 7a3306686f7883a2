"""Scripts that run in pods: of what images have, `sh` alone or any Python from 3.6 on, nothing of `proj`."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent


def script(name: str) -> str:
    """The text of a script of this folder."""
    return (_FOLDER / name).read_text(encoding="utf-8")
