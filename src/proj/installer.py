"""The uv program, and a folder to run it in that no settings of a project reach."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from proj import paths

if TYPE_CHECKING:
    from collections.abc import Iterator


def uv_binary() -> str:
    """Path of the uv program: the one that was installed with this package, else the one on PATH.

    Returns:
        The path, or the bare name where none was found: starting it then fails with a clear message.
    """
    beside = Path(sys.executable).parent / "uv"
    if os.access(beside, os.X_OK):
        return str(beside)
    with contextlib.suppress(ImportError, FileNotFoundError):
        import uv

        return str(uv.find_uv_bin())
    return "uv"


@contextlib.contextmanager
def work_folder() -> Iterator[Path]:
    """A private folder to run uv in, gone afterwards.

    Its empty `uv.toml` ends uv's search for a project's settings in the folders above. Folders whose process
    was killed are removed on the way: nobody holds their lock.
    """
    import fcntl
    import shutil
    import tempfile

    base = paths.cache() / "work"
    base.mkdir(parents=True, exist_ok=True)
    with _locked(base, fcntl.LOCK_EX):
        _remove_abandoned(base)
        folder = Path(tempfile.mkdtemp(dir=base))
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        (folder / "uv.toml").touch()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _remove_abandoned(base: Path) -> None:
    import fcntl
    import shutil

    for folder in base.iterdir():
        with contextlib.suppress(OSError), _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path, mode: int) -> Iterator[None]:
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, mode)
        yield
    finally:
        os.close(descriptor)
