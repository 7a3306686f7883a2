"""Reading tables of a database whose version is not known."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from proj.errors import StoreError
from proj.importing.folders import BadMetaError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from proj.importing.model import ForeignExperiment

_DEFAULT_WORKSPACE = "default"


class Row:
    """Names the row that a value stands in.

    Args:
        place: For messages.
    """

    def __init__(self, place: str) -> None:
        self._place = place

    def bad(self, message: str) -> BadMetaError:
        """Return the error that names the row."""
        return BadMetaError(self._place, f"It is left out: {message}.")


class Tables:
    """The tables of a database, as far as they are there.

    Args:
        connection: To a copy of the database.
        path: The database, for messages.

    Raises:
        StoreError: It is damaged.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._columns: dict[str, tuple[str, ...]] = {}
        names = list(self.rows("SELECT name FROM sqlite_master WHERE type = 'table'"))
        for (name,) in names:
            info = self.rows("SELECT name FROM pragma_table_info(?)", (name,))
            self._columns[name] = tuple(column for (column,) in info)
        self._run("CREATE TEMP TABLE chosen (id TEXT PRIMARY KEY)")

    def has(self, *tables: str) -> bool:
        """Whether all these tables are there."""
        return all(table in self._columns for table in tables)

    def columns(self, table: str) -> tuple[str, ...]:
        """Return the names of a table's columns; none if there is no such table."""
        return self._columns.get(table, ())

    def choose(self, experiments: Collection[ForeignExperiment]) -> None:
        """Put the ids of experiments into the table `temp.chosen`."""
        self._run("DELETE FROM temp.chosen")
        for experiment in experiments:
            self._run("INSERT INTO temp.chosen VALUES (?)", (experiment.experiment_id,))

    def select(
        self, table: str, columns: Sequence[str], *, after: str = "", values: Sequence[object] = ()
    ) -> Iterator[tuple[Any, ...]]:
        """Yield rows of a table; a column that is not there is None, and so is all of a missing table.

        Args:
            table: Its name.
            columns: Their names, or expressions.
            after: What follows the table in the statement.
            values: For its question marks.
        """
        known = self._columns.get(table)
        if known is None:
            return iter(())
        chosen = ", ".join(each if each in known or "(" in each else "NULL" for each in columns)
        return self.rows(f"SELECT {chosen} FROM {table} {after}", values)  # noqa: S608  our own words

    def rows(self, statement: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield what a statement finds.

        Raises:
            StoreError: The database is damaged.
        """
        try:
            for row in self._connection.execute(statement, values):  # noqa: UP028
                yield row  # `yield from` closes the cursor of who stops early, perhaps after the database
        except sqlite3.Error as error:
            raise self._damaged(error) from error

    def _run(self, statement: str, values: Sequence[object] = ()) -> None:
        try:
            self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise self._damaged(error) from error

    def _damaged(self, error: sqlite3.Error) -> StoreError:
        return StoreError(
            f"The database {self._path} cannot be read: {error}.",
            hint=f"To save what can be read: sqlite3 {self._path} .recover | sqlite3 recovered.db",
        )


class Stream:
    """Rows sorted by their first column, taken key by key in that order.

    Args:
        rows: The rows.
    """

    def __init__(self, rows: Iterator[tuple[Any, ...]]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def of(self, key: Any) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a key; those of lesser keys are left behind."""
        while self._next is not None and (self._next[0] is None or self._next[0] < key):
            self._next = next(self._rows, None)
        while self._next is not None and self._next[0] == key:
            yield self._next
            self._next = next(self._rows, None)


def text(value: Any) -> str:
    """Return a value as text; nothing is the empty one."""
    return "" if value is None else str(value)


def integer(value: Any) -> int | None:
    """Return a value as a number; None where it is none."""
    return value if isinstance(value, int) else None


def qualified(workspace: str | None, name: str) -> str:
    """Return a name as it is unique among all workspaces, which MLflow has since 3.10."""
    return name if workspace in (None, "", _DEFAULT_WORKSPACE) else f"{workspace}/{name}"
