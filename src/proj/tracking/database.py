"""The connection to `proj.db`: opened once, used by all threads of the process, one transaction at a time."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from proj.errors import ConflictError, StoreError
from proj.tracking.migrations import MIGRATIONS, migrate, refuse_newer, schema_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T = TypeVar("T")

BUSY_TIMEOUT_S = 120.0
"""How long a transaction waits for those of other processes; each takes about a millisecond."""
_BUSY_SLICE_S = 0.5
"""How long SQLite waits by itself, deaf to Ctrl-C; then Python looks around and tries again."""

_CORRUPT = ("not a database", "malformed", "file is encrypted")
_BUSY = ("database is locked", "locking protocol", "table is locked")


class Database:
    """A connection, its lock, and the translation of SQLite's errors.

    A commit is in the operating system's hands when it returns: a process killed right after loses nothing.
    The disk is not waited for (`synchronous=NORMAL` in WAL mode), so a power failure may take the last
    transactions, whole ones, and never damages the file.

    Args:
        path: The database file; made if it is not there, and its folder too.

    Raises:
        StoreError: It cannot be opened: no permission, a full disk, a damaged file, a newer schema.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # Reentrant, so that a forgotten nesting is an error of SQLite's and no deadlock.
        self._lock = threading.RLock()
        _make_folder(path.parent)
        with self._translated():
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_SLICE_S, isolation_level=None, check_same_thread=False
            )
        try:
            with self._translated():
                self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        connection = self._connection
        version: int = _patiently(lambda: schema_version(connection))
        if version != len(MIGRATIONS):
            refuse_newer(version, self.path)
            # SQLite does not wait by itself for others who are about to switch to WAL.
            _patiently(lambda: connection.execute("PRAGMA journal_mode = WAL").close())
            with self.write():
                migrate(connection, self.path)
        connection.execute("PRAGMA synchronous = NORMAL")

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Run SELECTs that see one state of the database.

        Raises:
            StoreError: The database cannot be read.
        """
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run one write transaction: all of it, or after an exception nothing.

        Raises:
            StoreError: The database cannot be written.
        """
        # IMMEDIATE: a transaction that begins by reading could find the database changed under it when it
        # comes to write (SQLITE_BUSY_SNAPSHOT), which no waiting cures.
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        connection = self._connection
        with self._lock, self._translated():
            # Signals raise wherever they find us: from the beginning on, each way out ends the transaction.
            try:
                _patiently(lambda: _begin(connection, begin))
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk makes SQLite roll back by itself
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Release the connection; closing twice is no error."""
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._error(error) from error
        except OverflowError as error:
            raise ConflictError(
                f"A number does not fit into the record: {error}.",
                hint="Steps and timestamps are 64-bit integers.",
            ) from error

    def _error(self, error: sqlite3.Error) -> StoreError:
        text = str(error)
        if any(sign in text for sign in _CORRUPT):
            return StoreError(
                f"The database {self.path} is damaged: {text}.",
                hint=(
                    "It is left as it is. To begin a new one, move it away with the files next to it: "
                    f"{self.path.name}, {self.path.name}-wal, {self.path.name}-shm. "
                    f"To save what can be read: sqlite3 {self.path} .recover | sqlite3 recovered.db"
                ),
            )
        if any(sign in text for sign in _BUSY):
            return StoreError(
                f"The database {self.path} was in use by other processes for {BUSY_TIMEOUT_S:g} s.",
                hint="Look for a stopped process that holds it.",
            )
        hint = {
            "database or disk is full": "Free some space on its disk, or set PROJ_HOME to another one.",
            "disk I/O error": "Is the disk full, or gone? Free some space, or set PROJ_HOME to another one.",
            "attempt to write a readonly database": "Set PROJ_HOME to a folder that you may write to.",
            "unable to open database file": "Check the permissions of the folder, or set PROJ_HOME.",
        }.get(text)
        return StoreError(f"The database {self.path} cannot be used: {text}.", hint=hint)


def _make_folder(folder: Path) -> None:
    try:
        if not folder.is_dir():  # raises where a folder above may not be entered
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The folder {folder} cannot be made: {error.strerror}.",
            hint="Set PROJ_HOME to a folder that you may write to.",
        ) from error


def _begin(connection: sqlite3.Connection, statement: str) -> None:
    """Begin, and take hold of the database's state: what is in the way is met here and nowhere later."""
    connection.execute(statement)
    try:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").close()
    except sqlite3.OperationalError:
        connection.execute("ROLLBACK")
        raise


def _patiently(action: Callable[[], T]) -> T:
    """Do something again until nobody is in the way."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            return action()
        except sqlite3.OperationalError as error:  # noqa: PERF203  it is a loop of tries
            if time.monotonic() > deadline or not any(sign in str(error) for sign in _BUSY):
                raise
            time.sleep(0.01)
