"""Requests that a server has not taken yet, kept on disk until it has: in order, each delivered once.

One SQLite database below `PROJ_HOME` and, beside it, a file for each body that is large. It holds no
credentials. A request is in the operating system's hands when `add` returns, and leaves the journal when the
server has answered: whatever is killed in between, nothing is lost, and what is sent again changes nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from proj import paths
from proj.errors import StoreError
from proj.remote.bodies import Bodies
from proj.remote.transport import Request
from proj.times import now_ms

if TYPE_CHECKING:
    from collections.abc import Iterator

_FORMAT = 1
_BUSY_S = 60.0
NOT_AGAIN_MS = 30_000
"""A server that was away is left alone by other commands for so long."""
_RUN_ID = re.compile(r"[\w-]{1,256}", re.ASCII)
_HEADERS = frozenset({"content-type", "content-encoding"})
"""All that is kept of a request's headers."""

_SCHEMA = """
CREATE TABLE requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    place TEXT NOT NULL,
    run_id TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    query TEXT NOT NULL,
    headers TEXT NOT NULL,
    body BLOB,
    file TEXT,
    made_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    status INTEGER,
    message TEXT
);
CREATE INDEX of_run ON requests (place, run_id, id) WHERE status IS NULL;
CREATE TABLE failures (place TEXT PRIMARY KEY, at_ms INTEGER NOT NULL);
"""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A request that waits."""

    id: int
    request: Request
    attempts: int
    """How often the server has failed at it."""


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for one run."""

    place: str
    """The server's URL."""
    run_id: str
    requests: int
    since_ms: int


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A request that the server does not take; it is kept, and keeps nothing else waiting."""

    id: int
    place: str
    run_id: str
    what: str
    """Method and path."""
    status: int
    message: str
    made_ms: int


class Journal:
    """The journal below a home. Any number of threads and processes may use it at once.

    Args:
        home: Folder that the journal's folder is in.

    Raises:
        StoreError: It cannot be used.
    """

    def __init__(self, home: Path) -> None:
        self._folder = paths.journal(home)
        self._mark = self._folder / "waiting"
        """There while something waits, so that nobody has to open the database to know."""
        self._lock = threading.Lock()
        with self._translated():
            self._bodies = Bodies(self._folder)
            self._connection = sqlite3.connect(
                self._folder / "journal.db", timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def _prepare(self) -> None:
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > _FORMAT:
            raise StoreError(f"{self._folder} was written by a newer proj (format {version}): upgrade proj.")
        self._connection.execute("PRAGMA journal_mode = WAL").close()
        self._connection.execute("PRAGMA synchronous = NORMAL")
        if version == 0:
            with self._writing() as connection:
                if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
                    for statement in filter(str.strip, _SCHEMA.split(";")):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version = {_FORMAT}")

    # --- writing --------------------------------------------------------------------------------------

    def spool(self) -> Path:
        """A new path for a body that may have to wait: `add` takes such a file as it is, uncopied.

        Else the caller removes it.
        """
        return self._bodies.spool()

    def add(self, place: str, run_id: str, request: Request) -> None:
        """Keep a request behind all others of its run.

        A body that is a file is copied; one at a path from `spool` is moved.

        Raises:
            StoreError: It cannot be written.
        """
        with self._translated():
            body, file = self._bodies.keep(request.body)
            row = (
                place,
                run_id,
                request.method,
                request.path,
                msgspec.json.encode(request.query).decode(),
                msgspec.json.encode(_kept(request)).decode(),
                body,
                file,
                now_ms(),
            )
            with self._writing() as connection:
                self._mark.touch()
                connection.execute(
                    "INSERT INTO requests (place, run_id, method, path, query, headers, body, file, made_ms) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    row,
                )

    def delivered(self, item: Item) -> None:
        """Drop a request that the server has taken."""
        with self._translated():
            with self._writing() as connection:
                connection.execute("DELETE FROM requests WHERE id = ?", (item.id,))
            if isinstance(item.request.body, Path):
                item.request.body.unlink(missing_ok=True)

    def refuse(self, item: Item, status: int, message: str) -> None:
        """Set a request aside that the server does not take."""
        with self._translated(), self._writing() as connection:
            connection.execute(
                "UPDATE requests SET status = ?, message = ? WHERE id = ?", (status, message, item.id)
            )

    def put_off(self, place: str, item: Item) -> None:
        """Count that a server failed at a request, and remember it as `failed` does.

        What follows within half a minute of another failure is not counted: many commands in a row are no
        reason to give up.
        """
        now = now_ms()
        with self._translated(), self._writing() as connection:
            connection.execute(
                "UPDATE requests SET attempts = attempts + 1 WHERE id = ? "
                "AND NOT EXISTS (SELECT 1 FROM failures WHERE place = ? AND at_ms > ?)",
                (item.id, place, now - NOT_AGAIN_MS),
            )
            connection.execute("INSERT OR REPLACE INTO failures VALUES (?, ?)", (place, now))

    def retry(self) -> int:
        """Let what was set aside wait again, in its old place; returns how many requests."""
        with self._translated(), self._writing() as connection:
            self._mark.touch()
            return connection.execute(
                "UPDATE requests SET status = NULL, message = NULL, attempts = 0 WHERE status IS NOT NULL"
            ).rowcount

    def drop_refused(self) -> int:
        """Forget what was set aside; returns how many requests."""
        with self._translated():
            with self._writing() as connection:
                files = connection.execute("SELECT file FROM requests WHERE status IS NOT NULL").fetchall()
                connection.execute("DELETE FROM requests WHERE status IS NOT NULL")
            for (name,) in files:
                if name is not None:
                    self._bodies.path(name).unlink(missing_ok=True)
        return len(files)

    def settle(self) -> None:
        """Take the mark away, if nothing waits."""
        with self._translated(), self._writing() as connection:
            if connection.execute("SELECT 1 FROM requests WHERE status IS NULL LIMIT 1").fetchone() is None:
                self._mark.unlink(missing_ok=True)

    def failed(self, place: str) -> None:
        """Remember that a server was away just now."""
        with self._translated(), self._writing() as connection:
            connection.execute("INSERT OR REPLACE INTO failures VALUES (?, ?)", (place, now_ms()))

    def answered(self, place: str) -> None:
        """Remember that a server is there."""
        with self._translated(), self._writing() as connection:
            connection.execute("DELETE FROM failures WHERE place = ?", (place,))

    def forget_failures(self) -> None:
        """Let every server be asked again at once."""
        with self._translated(), self._writing() as connection:
            connection.execute("DELETE FROM failures")

    # --- reading --------------------------------------------------------------------------------------

    def first(self, place: str, run_id: str) -> Item | None:
        """The request of a run that is to be delivered next; None when nothing waits."""
        row = self._one(
            "SELECT id, method, path, query, headers, body, file, attempts FROM requests "
            "WHERE place = ? AND run_id = ? AND status IS NULL ORDER BY id LIMIT 1",
            (place, run_id),
        )
        if row is None:
            return None
        number, method, path, query, headers, body, file, attempts = row
        return Item(
            id=number,
            attempts=attempts,
            request=Request(
                method=method,
                path=path,
                query=msgspec.json.decode(query, type=tuple[tuple[str, str], ...]),
                headers=msgspec.json.decode(headers, type=dict[str, str]),
                body=self._bodies.path(file) if file is not None else body,
            ),
        )

    def waits(self, place: str, run_id: str) -> int:
        """How many requests of a run wait."""
        row = self._one(
            "SELECT COUNT(*) FROM requests WHERE place = ? AND run_id = ? AND status IS NULL", (place, run_id)
        )
        count: int = row[0] if row else 0
        return count

    def queues(self) -> tuple[Queue, ...]:
        """What waits, by run, the oldest first."""
        rows = self._all(
            "SELECT place, run_id, COUNT(*), MIN(made_ms) FROM requests WHERE status IS NULL "
            "GROUP BY place, run_id ORDER BY MIN(id)"
        )
        return tuple(Queue(place=row[0], run_id=row[1], requests=row[2], since_ms=row[3]) for row in rows)

    def refused(self) -> tuple[Refused, ...]:
        """What was set aside, the oldest first."""
        rows = self._all(
            "SELECT id, place, run_id, method || ' ' || path, status, message, made_ms FROM requests "
            "WHERE status IS NOT NULL ORDER BY id"
        )
        return tuple(Refused(**dict(zip(Refused.__struct_fields__, row, strict=True))) for row in rows)

    def failed_ms(self, place: str) -> int | None:
        """When a server was found to be away, if it has not answered since."""
        row = self._one("SELECT at_ms FROM failures WHERE place = ?", (place,))
        return None if row is None else int(row[0])

    # --- who delivers ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def delivering(self, run_id: str) -> Iterator[bool]:
        """Be the one who delivers what waits for a run; False when somebody else does.

        Raises:
            StoreError: That is no id of a run.
        """
        if not _RUN_ID.fullmatch(run_id):
            raise StoreError(f"{run_id!r} is no id of a run: nothing is delivered for it.")
        path = self._folder / f"{run_id}.lock"
        descriptor = _locked(path)
        try:
            yield descriptor is not None
        finally:
            if descriptor is not None:
                path.unlink(missing_ok=True)
                os.close(descriptor)

    def sweep(self) -> None:
        """Remove files of bodies that no request names any more."""
        self._bodies.sweep({row[0] for row in self._all("SELECT file FROM requests WHERE file IS NOT NULL")})

    def close(self) -> None:
        """Release the connection; closing twice is no error."""
        with self._lock:
            self._connection.close()

    # --- SQLite ---------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _one(self, statement: str, values: tuple[object, ...]) -> tuple[Any, ...] | None:
        rows = self._all(statement, values)
        return rows[0] if rows else None

    def _all(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with self._translated(), self._lock:
            return self._connection.execute(statement, values).fetchall()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"What waits for the server cannot be kept in {self._folder}: {error}.",
                hint="Check the disk's space and permissions.",
            ) from error


def _kept(request: Request) -> dict[str, str]:
    return {name: value for name, value in request.headers.items() if name.lower() in _HEADERS}


def _locked(path: Path) -> int | None:
    """Lock a file that whoever had it locked removes; None while somebody has."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
