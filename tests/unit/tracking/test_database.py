from __future__ import annotations

import subprocess  # noqa: TID251  real processes are the point
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from proj.errors import StoreError
from proj.testing.threads import in_threads
from proj.tracking.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "proj.db")
    yield database
    database.close()


def _names(database: Database) -> list[str]:
    with database.read() as connection:
        return [row[0] for row in connection.execute("SELECT name FROM experiments ORDER BY id")]


def _add(database: Database, name: str) -> None:
    with database.write() as connection:
        connection.execute("INSERT INTO experiments (name, created_ms, updated_ms) VALUES (?, 1, 1)", (name,))


def test_a_reader_sees_what_was_there_before_a_write_began(database: Database) -> None:
    with database.write() as connection:
        connection.execute("UPDATE experiments SET name = 'changed'")
        assert _names(database) == ["Default"]
    assert _names(database) == ["changed"]


def test_a_reader_sees_one_state(database: Database) -> None:
    with database.read() as connection:
        statement = "SELECT count(*) FROM experiments"
        before = connection.execute(statement).fetchone()
        _add(database, "meanwhile")
        assert connection.execute(statement).fetchone() == before


def test_one_thread_needs_one_connection(database: Database) -> None:
    for number in range(5):
        _add(database, str(number))
        _names(database)
    assert len(database._free) == 1


def test_many_threads_leave_few_connections(database: Database) -> None:
    together = threading.Barrier(20)

    def look() -> None:
        with database.read():
            together.wait(60)

    in_threads([look] * 20)
    assert len(database._free) < 20
    assert _names(database) == ["Default"]


def test_a_write_within_a_write_ends_it_and_it_says_so(database: Database) -> None:
    def add_within() -> None:
        with database.write() as connection:
            connection.execute("UPDATE experiments SET name = 'outer'")
            _add(database, "inner")

    with pytest.raises(RuntimeError, match="ended it"):
        add_within()
    _add(database, "later")
    assert _names(database) == ["Default", "inner", "later"]


def test_a_transaction_that_nobody_ended_is_in_nobodys_way(database: Database) -> None:
    """As when a signal raises on the way into `__exit__`."""
    interrupted = database.write()
    interrupted.__enter__().execute("UPDATE experiments SET name = 'half'")
    _add(database, "next")
    assert _names(database) == ["Default", "next"]


_INTERRUPTED = """
import signal, sys
from pathlib import Path
from proj.tracking.database import Database

class Stop(Exception):
    pass

def stop(*_):
    raise Stop

def touch():
    with database.write() as connection:
        connection.execute("UPDATE experiments SET updated_ms = updated_ms + 1")

signal.signal(signal.SIGALRM, stop)
database = Database(Path(sys.argv[1]))
interruptions = 0
for number in range(60):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.00003 + number * 0.000005)
        while True:
            touch()
    except Stop:
        interruptions += 1
        touch()  # while the exception is still alive, as when the end of a run is recorded
database.close()
print(interruptions)
"""


def test_a_database_that_is_interrupted_anywhere_stays_usable(tmp_path: Path) -> None:
    """In a process of its own: the alarm is pytest's, too."""
    script = [sys.executable, "-c", _INTERRUPTED, str(tmp_path / "proj.db")]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.stdout == "60\n", done.stderr


def test_writers_of_other_threads_wait(database: Database) -> None:
    entered = threading.Event()

    def add_second() -> None:
        entered.set()
        _add(database, "second")

    with database.write() as connection:
        thread = threading.Thread(target=add_second)
        thread.start()
        entered.wait(60)
        connection.execute("INSERT INTO experiments (name, created_ms, updated_ms) VALUES ('first', 1, 1)")
    thread.join()
    assert _names(database) == ["Default", "first", "second"]


def test_a_closed_database_says_so(database: Database) -> None:
    with database.read() as connection:
        database.close()
        assert connection.execute("SELECT 1").fetchone() == (1,), "who uses it may finish"
    database.close()
    with pytest.raises(StoreError, match="closed"):
        _names(database)
