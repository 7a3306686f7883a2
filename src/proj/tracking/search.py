"""Searching runs: conditions and orders to SQL with bound values, one page at a time."""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import TYPE_CHECKING

import msgspec

from proj.errors import UsageError
from proj.tracking.filters import Condition, Field, Kind, Order, parse_filter, parse_order
from proj.tracking.records import ALIVE, load_runs
from proj.tracking.store import RunPage

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from proj.tracking.store import RunQuery

_TABLES = {Kind.METRIC: "latest_metrics", Kind.PARAM: "params", Kind.TAG: "tags"}
_COLUMNS = {
    "run_id": "runs.run_id",
    "run_name": "runs.name",
    "status": "runs.status",
    "user_id": "runs.user",
    "start_time": "runs.started_ms",
    "end_time": "runs.ended_ms",
}
_SQL_OPERATORS = {"LIKE": "GLOB", "ILIKE": "LIKE"}  # SQLite's LIKE does not tell a from A, its GLOB does

_Value = float | int | str | None


class _Sql(msgspec.Struct):
    """A piece of SQL and the values of its question marks."""

    text: str
    values: tuple[_Value, ...] = ()


class _Key(msgspec.Struct, frozen=True):
    """Something never NULL to sort by."""

    expression: str
    descending: bool = False


class _Token(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ended: the sort keys of its last run, and the query they belong to."""

    query: int
    last: tuple[_Value, ...]


def search(connection: sqlite3.Connection, query: RunQuery, artifact_base: str) -> RunPage:
    """Return the page of runs that a query asks for.

    Raises:
        UsageError: The filter, an order, the limit or the page token cannot be understood.
    """
    if query.limit < 1:
        raise UsageError(f"The limit {query.limit} is not a positive number.")
    where = _conditions(query, artifact_base)
    joins, keys = _ordering(tuple(parse_order(text) for text in query.order_by), artifact_base)
    after = _Sql("1")
    digest = _digest(query)
    if query.page_token is not None:
        after = _after(keys, _decode(query.page_token, digest, len(keys)))
    columns = "".join(f", {key.expression} AS k{number}" for number, key in enumerate(keys))
    order = ", ".join(f"k{number}{' DESC' if key.descending else ''}" for number, key in enumerate(keys))
    rows = connection.execute(
        f"SELECT * FROM (SELECT runs.id{columns} FROM runs {joins.text} WHERE {where.text}) "  # noqa: S608  our own words, values are bound
        f"WHERE {after.text} ORDER BY {order} LIMIT ?",
        (*joins.values, *where.values, *after.values, query.limit + 1),
    ).fetchall()
    token = None
    if len(rows) > query.limit:
        rows.pop()
        token = _encode(_Token(digest, tuple(rows[-1][1:])))
    runs = load_runs(connection, [row[0] for row in rows], artifact_base)
    return RunPage(runs=runs, next_page_token=token)


# --- conditions ---------------------------------------------------------------------------------------


def _conditions(query: RunQuery, artifact_base: str) -> _Sql:
    parts = [_Sql(f"runs.{ALIVE[query.lifecycle]}")] if query.lifecycle != "all" else [_Sql("1")]
    if query.deleted_before_ms is not None:
        parts.append(_Sql("runs.deleted_ms < ?", (query.deleted_before_ms,)))
    if query.experiment_ids is not None:
        # Text that is no number is the id of nothing.
        numbers = tuple(int(text) for text in query.experiment_ids if text.isascii() and text.isdigit())
        parts.append(_Sql(f"runs.experiment IN ({_marks(numbers)})", numbers))
    parts.extend(_condition(condition, artifact_base) for condition in parse_filter(query.filter))
    text = " AND ".join(part.text for part in parts)
    return _Sql(text, tuple(value for part in parts for value in part.values))


def _condition(condition: Condition, artifact_base: str) -> _Sql:
    field = condition.field
    if field.kind is Kind.ATTRIBUTE:
        return _compare(_column(field, artifact_base), condition)
    rows = f"SELECT run FROM {_TABLES[field.kind]} WHERE key = ?"  # noqa: S608  our own words
    if condition.operator == "IS NULL":
        return _Sql(f"runs.id NOT IN ({rows})", (field.key,))
    if condition.operator == "IS NOT NULL":
        return _Sql(f"runs.id IN ({rows})", (field.key,))
    compared = _compare("value", condition)
    if field.kind is Kind.METRIC:  # NaN is unequal to everything, and else compares with nothing
        compared.text += " OR is_nan = 1" if condition.operator == "!=" else " AND is_nan = 0"
    return _Sql(f"runs.id IN ({rows} AND ({compared.text}))", (field.key, *compared.values))


def _compare(expression: str, condition: Condition) -> _Sql:
    operator, value = condition.operator, condition.value
    if value is None:
        return _Sql(f"{expression} {operator}")
    if isinstance(value, tuple):
        return _Sql(f"{expression} {operator} ({_marks(value)})", value)
    if operator == "LIKE" and isinstance(value, str):
        value = _glob(value)
    return _Sql(f"{expression} {_SQL_OPERATORS.get(operator, operator)} ?", (value,))


def _column(field: Field, artifact_base: str) -> str:
    if field.key != "artifact_uri":
        return _COLUMNS[field.key]
    quoted = artifact_base.replace("'", "''")
    return f"('{quoted}/' || runs.run_id)"


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def _glob(pattern: str) -> str:
    """Translate a LIKE pattern, `%` and `_`, to a GLOB pattern, `*` and `?`."""
    wild = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
    return "".join(wild.get(character, character) for character in pattern)


# --- order and pages ----------------------------------------------------------------------------------


def _ordering(orders: tuple[Order, ...], artifact_base: str) -> tuple[_Sql, tuple[_Key, ...]]:
    """Return the joins that the sort keys need, and the keys; the last one makes the order total.

    What a run does not have comes last, whatever the direction, and NaN just before that.
    """
    joins = _Sql("")
    keys: list[_Key] = []
    for number, order in enumerate(orders):
        field = order.field
        if field.kind is Kind.ATTRIBUTE:
            column = _column(field, artifact_base)
            if field.key == "end_time":
                keys.append(_Key(f"{column} IS NULL"))
                column = f"coalesce({column}, 0)"
            keys.append(_Key(column, order.descending))
            continue
        alias = f"o{number}"
        table = _TABLES[field.kind]
        joins.text += f"LEFT JOIN {table} {alias} ON {alias}.run = runs.id AND {alias}.key = ? "
        joins.values += (field.key,)
        missing = f"coalesce({alias}.is_nan, 2)" if field.kind is Kind.METRIC else f"{alias}.value IS NULL"
        nothing = "0" if field.kind is Kind.METRIC else "''"
        keys += (_Key(missing), _Key(f"coalesce({alias}.value, {nothing})", order.descending))
    if Field(Kind.ATTRIBUTE, "start_time") not in [order.field for order in orders]:
        keys.append(_Key("runs.started_ms", descending=True))
    keys.append(_Key("runs.run_id"))
    return joins, tuple(keys)


def _after(keys: tuple[_Key, ...], last: tuple[_Value, ...]) -> _Sql:
    """Return the condition for what comes after a run in the order.

    It compares keys, it does not count rows: runs that are added or removed meanwhile shift nothing.
    """
    text = "0"
    values: tuple[_Value, ...] = ()
    for number in reversed(range(len(keys))):
        sign = "<" if keys[number].descending else ">"
        # The part before AND says nothing new, but an index can begin there.
        text = f"(k{number} {sign}= ? AND (k{number} {sign} ? OR {text}))"
        values = (last[number], last[number], *values)
    return _Sql(text, values)


def _digest(query: RunQuery) -> int:
    same = (query.experiment_ids, query.filter, query.order_by, query.lifecycle, query.deleted_before_ms)
    return zlib.crc32(msgspec.msgpack.encode(same))


def _encode(token: _Token) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(token)).decode()


def _decode(text: str, digest: int, keys: int) -> tuple[_Value, ...]:
    try:
        token = msgspec.msgpack.decode(base64.urlsafe_b64decode(text), type=_Token)
    except (binascii.Error, UnicodeError, ValueError, msgspec.MsgspecError) as error:
        raise UsageError("The page token is damaged.", hint="Begin again without one.") from error
    if token.query != digest or len(token.last) != keys:
        raise UsageError("The page token belongs to another search.", hint="Begin again without one.")
    return token.last
