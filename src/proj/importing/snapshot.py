"""A copy of an SQLite database as it is at one moment, for reading."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from pathlib import Path

from proj.errors import NotFoundError, StoreError

_MAGIC = b"SQLite format 3\0"
_PATIENCE_S = 60.0
"""How long another program may keep the database locked."""
_BUSY_S = 0.2
"""How long SQLite waits for a lock before it tells us that it is there."""
_LIVE = ("-wal", "-journal")
"""Files beside a database that belong to what it holds."""


def snapshot(path: Path) -> sqlite3.Connection:
    """Copy a database into a temporary one, which is gone when it is closed, or its program killed.

    It is opened for reading only. Where that does not do (a folder without write permission and a database in
    WAL mode, or one whose last program was killed within a transaction), copies of its files are opened.

    Raises:
        NotFoundError: There is no such file.
        StoreError: It is no database, damaged, locked, or cannot be read.
    """
    copy = _open_copy(path, "")  # the empty name: a temporary file, removed as soon as it is opened
    copy.text_factory = _text
    return copy


def save_snapshot(path: Path, target: Path) -> None:
    """Copy a database into a new file.

    Raises:
        NotFoundError: There is no such file.
        StoreError: It is no database, damaged, locked, or cannot be read.
    """
    _open_copy(path, str(target)).close()


def _open_copy(path: Path, target: str) -> sqlite3.Connection:
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except FileNotFoundError as error:
        raise NotFoundError(f"There is no file {path}.") from error
    except OSError as error:
        raise StoreError(f"The file {path} cannot be read: {error.strerror}.") from error
    if magic != _MAGIC:
        raise StoreError(f"{path} is no SQLite database.")
    try:
        try:
            return _copy(f"{path.absolute().as_uri()}?mode=ro", path, target)
        except sqlite3.OperationalError:
            with tempfile.TemporaryDirectory() as folder:
                return _copy(_copied(path, Path(folder)).as_uri(), path, target)
    except sqlite3.Error as error:
        raise StoreError(f"The database {path} cannot be read: {error}.") from error
    except OSError as error:
        raise StoreError(f"The database {path} cannot be copied: {error.strerror or error}.") from error


def _copied(path: Path, folder: Path) -> Path:
    for suffix in ("", *_LIVE):
        file = path.with_name(path.name + suffix)
        if file.exists():
            shutil.copyfile(file, folder / f"copy.db{suffix}")
    return folder / "copy.db"


def _copy(uri: str, path: Path, target: str) -> sqlite3.Connection:
    deadline = time.monotonic() + _PATIENCE_S

    def check(_status: int, _remaining: int, _total: int) -> None:
        if time.monotonic() > deadline:
            raise StoreError(
                f"The database {path} was locked by another program for {_PATIENCE_S:g} s.",
                hint="Try again when that has finished.",
            )

    source = sqlite3.connect(uri, uri=True, timeout=_BUSY_S)
    try:
        copy = sqlite3.connect(target)
        try:
            source.backup(copy, progress=check)
        except BaseException:
            copy.close()
            raise
    finally:
        source.close()
    return copy


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
