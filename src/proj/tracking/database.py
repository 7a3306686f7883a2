"""Connections to `proj.db`: one for a program of one thread, a few for a server."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from proj.errors import ConflictError, ProjError, StoreError, UsageError
from proj.files import make_private

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

T = TypeVar("T")

BUSY_TIMEOUT_S = 120.0
"""How long a transaction waits for those of other processes; each takes about a millisecond."""
_TURN_S = 0.25
"""How long a thread waits for the others before it leaves it to SQLite to say whose turn it is."""
_BUSY_SLICE_S = 0.5
"""How long SQLite waits by itself, deaf to Ctrl-C; then Python looks around and tries again."""

SCHEMA = 3
"""How many changes led to the newest schema: of a database that has it, they need not be known."""
_MAX_IDLE = 4
"""Connections that are kept for later; each may hold 2 MiB of the database in memory."""

_MAX_LOG_BYTES = 64 << 20

_FOREIGN = (sqlite3.Error, OverflowError, UnicodeEncodeError)
"""What SQLite's module raises."""
_CORRUPT = ("not a database", "malformed", "file is encrypted")
_BUSY = ("database is locked", "locking protocol", "table is locked")


class Database:
    """Connections, the lock of the writers among the threads, and the translation of SQLite's errors.

    Any number of threads may call at once: each transaction has a connection to itself. Readers wait for
    nobody; writers of this process wait for each other here, since SQLite would let them wait by sleeping.

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
        self.writing = threading.Lock()
        """Held by the thread that writes."""
        self.writer: Transaction | None = None
        """What it writes."""
        self.writes: dict[int, Transaction] = {}
        """Thread -> the write transaction that it has begun and not ended."""
        self._keep = _MAX_IDLE
        self._free: list[sqlite3.Connection] = []
        """Those that nobody uses; the last one used is taken first, its cache is warm."""
        _make_folder(path.parent)
        with self._translated():
            connection = self._connect()
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
        self._free.append(connection)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path,
            timeout=_BUSY_SLICE_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        try:
            connection.execute("PRAGMA synchronous = NORMAL")
            # What a burst of writing made of the log is given back to the disk later.
            connection.execute(f"PRAGMA journal_size_limit = {_MAX_LOG_BYTES}").close()
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        version: int = _patiently(lambda: connection.execute("PRAGMA user_version").fetchone()[0])
        if version == SCHEMA:
            return
        from proj.tracking.migrations import migrate, refuse_newer

        refuse_newer(version, self.path)
        # SQLite does not wait by itself for others who are about to switch to WAL.
        _patiently(lambda: connection.execute("PRAGMA journal_mode = WAL").close())
        _patiently(lambda: _begin(connection, "BEGIN IMMEDIATE"))
        try:
            migrate(connection, self.path)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def read(self) -> Transaction:
        """Run SELECTs that see one state of the database: `with database.read() as connection`.

        Raises:
            StoreError: The database cannot be read.
        """
        return Transaction(self, writes=False)

    def write(self) -> Transaction:
        """Run one write transaction: all of it, or after an exception nothing.

        Raises:
            StoreError: The database cannot be written.
        """
        return Transaction(self, writes=True)

    def take(self) -> sqlite3.Connection:
        """Lend a connection to one transaction."""
        if not self._keep:
            raise StoreError(f"The database {self.path} is closed.")
        try:
            return self._free.pop()
        except IndexError:  # each is in use
            return self._connect()

    def give_back(self, connection: sqlite3.Connection) -> None:
        """Take a connection back."""
        if len(self._free) >= self._keep:
            connection.close()
        else:
            self._free.append(connection)

    def close(self) -> None:
        """Release the connections; closing twice is no error.

        One that is in use is released when it is given back.
        """
        self._keep = 0
        while self._free:
            self._free.pop().close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except _FOREIGN as error:
            raise self.translated(error) from error

    def translated(self, error: BaseException) -> ProjError:
        """Return our error for one of SQLite, or of values that it cannot take."""
        if isinstance(error, sqlite3.Error):
            return self._error(error)
        if isinstance(error, UnicodeEncodeError):
            return UsageError(f"{error.object!r} is no text that could be stored.")
        return ConflictError(
            f"A number does not fit into the record: {error}.",
            hint="Steps and timestamps are 64-bit integers.",
        )

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
            make_private(folder)
    except OSError as error:
        raise StoreError(
            f"The folder {folder} cannot be made: {error.strerror}.",
            hint="Set PROJ_HOME to a folder that you may write to.",
        ) from error


class Transaction:
    """One transaction, as a context manager; entered once.

    Signals raise wherever they find us, even on the way into `__exit__`: then a transaction stays open that
    nobody will end. The next one of its thread ends it, and no lock is waited for without end.

    Args:
        database: Whose connections are used.
        writes: Whether it is a write transaction.
    """

    __slots__ = ("_connection", "_database", "_thread", "_writes")

    def __init__(self, database: Database, *, writes: bool) -> None:
        self._database = database
        self._writes = writes
        self._thread = threading.get_ident()
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> sqlite3.Connection:
        database = self._database
        try:
            if self._writes:
                self._await_turn()
            connection = self._connection = database.take()
            # IMMEDIATE: a transaction that begins by reading could find the database changed under it when
            # it comes to write (SQLITE_BUSY_SNAPSHOT), which no waiting cures.
            _patiently(lambda: _begin(connection, "BEGIN IMMEDIATE" if self._writes else "BEGIN"))
        except BaseException as error:
            self._leave()
            if isinstance(error, _FOREIGN):
                raise database.translated(error) from error
            raise
        return connection

    def _await_turn(self) -> None:
        database = self._database
        before = database.writes.get(self._thread)
        if before is not None:
            before.abandon()
        database.writes[self._thread] = self
        # Who is interrupted here leaves the lock behind. It only spares waiting: SQLite has one of its own.
        database.writing.acquire(timeout=_TURN_S)
        database.writer = self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                if self._connection is None:
                    raise RuntimeError("a write transaction within this one ended it")
                self._connection.execute("COMMIT")
        except sqlite3.Error as failure:
            raise self._database.translated(failure) from failure
        finally:
            self._leave()
        if isinstance(error, _FOREIGN):
            raise self._database.translated(error) from error

    def _leave(self) -> None:
        """End what has not ended, and let others go on."""
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                if connection.in_transaction:  # a full disk makes SQLite roll back by itself
                    connection.execute("ROLLBACK")
                self._database.give_back(connection)
        finally:
            self._pass_on()

    def abandon(self) -> None:
        """End what was interrupted, or what a call within it ends by mistake."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()  # and so roll back; nobody else may get it, it could still be in use
        self._pass_on()

    def _pass_on(self) -> None:
        database = self._database
        if database.writes.get(self._thread) is self:
            del database.writes[self._thread]
        if database.writer is self:
            database.writer = None
            with contextlib.suppress(RuntimeError):  # nobody holds it: somebody did not wait longer
                database.writing.release()


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
