"""Building local packages without leaving anything in their folders."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from proj import paths
from proj.environments.cache import exclusively
from proj.environments.localcode import SKIPPED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_RESULTS = ("*.egg-info", "src/*.egg-info", "*/*.egg-info", "build")
"""What setuptools leaves beside the sources; an installed package needs none of it."""


@contextlib.contextmanager
def kept_clean(folders: Sequence[str]) -> Iterator[None]:
    """Remove what builds leave in these folders while the block runs; one build at a time in each.

    A stray folder would make a clean commit look changed, and its next run take other packages.

    Raises:
        EnvironmentFailedError: The cache cannot be written.
    """
    with contextlib.ExitStack() as stack:
        for folder in sorted(set(folders)):
            name = hashlib.sha256(folder.encode("utf-8", "surrogateescape")).hexdigest()[:24]
            waiting = f"Another run is building {folder}; waiting."
            stack.enter_context(exclusively(paths.cache() / "building" / name, waiting))
        before = {path for folder in folders for path in _results(folder)}
        try:
            yield
        finally:
            for folder in folders:
                for path in _results(folder):
                    if path not in before:
                        shutil.rmtree(path, ignore_errors=True)


def copy_of(package: Path, into: Path) -> Path:
    """A copy of a local package's sources, without what is no source.

    Raises:
        OSError: It cannot be copied.
    """
    target = (
        into / hashlib.sha256(str(package).encode("utf-8", "surrogateescape")).hexdigest()[:12] / package.name
    )
    if package.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy2(package, target))
    ignored = shutil.ignore_patterns(*(SKIPPED - {".git"}))
    return Path(shutil.copytree(package, target, symlinks=True, ignore=ignored, dirs_exist_ok=True))


def _results(folder: str) -> list[Path]:
    return [path for pattern in _RESULTS for path in Path(folder).glob(pattern) if path.is_dir()]
