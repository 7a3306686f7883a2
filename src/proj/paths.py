"""Where things live: `PROJ_HOME` (records), `PROJ_CACHE` (all that can be deleted at any time), programs."""

from __future__ import annotations

import os
import re
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

_DATABASE = r"\.db(?:-wal|-shm|-journal)?$"
_RUN = r"[0-9a-f]{32}"
_RECORDS = (
    rf"proj{_DATABASE}",
    r"server-tokens\.json(?:\.lock|\.\d+)?$",
    rf"active/{_RUN}(?:\.new)?$",
    rf"artifacts/(?:[^/]+/)?{_RUN}/",
    rf"(?:artifacts/(?:[^/]+/)?)?models/m-{_RUN}/",
    rf"journal/(?:waiting$|journal{_DATABASE}|{_RUN}\.lock$)",
    rf"workspaces/{_RUN}(?:/|\.json$)",
)
"""What lies in a folder of records, and is named as nobody else names files: the folder may be the user's."""

_HASH = r"\.?[0-9a-f]{8,64}(?:[./-]|$)"
_CACHES = (
    r"\.?(?:project-files|current-python\.json|interpreters\.json)(?:\.[0-9a-f]{8})?$",
    rf"(?:blobs/(?:sha256|incoming|layers|inside)|building|checkouts|environments|locks|no-download)/{_HASH}",
    r"blobs/pruned$",
    rf"(?:snapshots|listings|archives)/(?:\.\d+-{_HASH}|{_HASH}|snapshot-[0-9a-f]+\.)",
    r"repos/[^/]+[.-][0-9a-f]{12,16}(?:[./]|$)",
    rf"(?:artifacts|downloads)/{_RUN}/",
    r"images/[^/]+\.lock$",
    r"work/tmp\w{8}/",
    r"conda/(?:packages/|repodata/|index/|lock$)",
)
"""What lies in a folder of caches."""


def opened(folder: Path) -> None:
    """Remember a folder of records, which need not be `home`."""
    if folder not in _opened:
        _opened.append(folder)


def own_below(folder: Path) -> re.Pattern[str]:
    """What paths of our own records and caches begin with, seen from `folder`: they are no part of a tree.

    Whatever else lies in these folders is the user's, who may have named a folder that is in use.
    """
    found: dict[str, None] = {}
    for own, names in ((home(), _RECORDS), (cache(), _CACHES), *((each, _RECORDS) for each in _opened)):
        for base, place in ((str(folder), str(own)), (os.path.realpath(folder), os.path.realpath(own))):
            below = f"{place.rstrip('/')}/"
            top = f"{base.rstrip('/')}/"
            if below.startswith(top):
                found[f"{re.escape(below[len(top) :])}(?:{'|'.join(names)})"] = None
    return re.compile("|".join(found) or "(?!)")


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
