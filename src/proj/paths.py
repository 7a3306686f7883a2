"""Where things live: `PROJ_HOME` (records), `PROJ_CACHE` (all that can be deleted at any time), programs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal


def home() -> Path:
    """Folder of the store: `PROJ_HOME`, else the platform's user data folder."""
    configured = os.environ.get("PROJ_HOME")
    if configured:
        return Path(configured).expanduser().absolute()
    return _xdg("XDG_DATA_HOME", "~/.local/share") or _platform_folder("user_data_dir")


_opened: list[Path] = []
_RECORDS = ("proj.db", "active/", "artifacts/", "journal/", "models/m-", "workspaces/", "server-tokens.json")
"""How the paths of what lies in a folder of records begin."""


def opened(folder: Path) -> None:
    """Remember a folder of records, which need not be `home`."""
    if folder not in _opened:
        _opened.append(folder)


def own_below(folder: Path) -> tuple[str, ...]:
    """How paths of our own records and caches begin, seen from `folder`: they are no part of a tree."""
    found: list[str] = []
    for own in (home(), cache(), *_opened):
        for base, place in ((str(folder), str(own)), (os.path.realpath(folder), os.path.realpath(own))):
            if place.startswith(base.rstrip("/") + "/"):
                found.append(place[len(base.rstrip("/")) + 1 :] + "/")
            elif place == base:
                found += _RECORDS
    return tuple(dict.fromkeys(found))


def journal(home: Path) -> Path:
    """Folder of what waits for tracking servers; the file `waiting` is in it while something does."""
    return home / "journal"


def find_program(name: str) -> str | None:
    """The path of the program that PATH finds first, as `shutil.which` (whose import takes a millisecond)."""
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder, name)  # noqa: PTH118  no Path per folder
        if os.path.isfile(path) and os.access(path, os.X_OK):  # noqa: PTH113  same
            return path
    return None


def cache() -> Path:
    """Folder of the caches: `PROJ_CACHE`, else the platform's user cache folder."""
    configured = os.environ.get("PROJ_CACHE")
    if configured:
        return Path(configured).expanduser().absolute()
    return _xdg("XDG_CACHE_HOME", "~/.cache") or _platform_folder("user_cache_dir")


def _xdg(variable: str, default: str) -> Path | None:
    """On Linux, what platformdirs would say by the XDG Base Directory Specification, without its import.

    That import takes a twelfth of a no-op run (it brings tempfile).
    """
    if sys.platform != "linux" or "ANDROID_DATA" in os.environ:
        return None
    configured = Path(os.environ.get(variable, ""))
    return (configured if configured.is_absolute() else Path(default).expanduser()) / "proj"


def _platform_folder(function: Literal["user_data_dir", "user_cache_dir"]) -> Path:
    import platformdirs

    return Path(getattr(platformdirs, function)("proj", appauthor=False))
