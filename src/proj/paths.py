"""Where things live: `PROJ_HOME` (records) and `PROJ_CACHE` (all that can be deleted at any time)."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """Folder of the store: `PROJ_HOME`, else the platform's user data folder."""
    configured = os.environ.get("PROJ_HOME")
    if configured:
        return Path(configured).expanduser().absolute()
    import platformdirs  # 6 ms that are saved wherever PROJ_HOME is set

    return Path(platformdirs.user_data_dir("proj", appauthor=False))


def cache() -> Path:
    """Folder of the caches: `PROJ_CACHE`, else the platform's user cache folder."""
    configured = os.environ.get("PROJ_CACHE")
    if configured:
        return Path(configured).expanduser().absolute()
    import platformdirs  # see above

    return Path(platformdirs.user_cache_dir("proj", appauthor=False))
