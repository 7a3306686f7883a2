"""Searches as SQL with bound values, one page at a time; what is searched is described by a `Subject`."""

from __future__ import annotations

import base64
import binascii
import sqlite3
import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from proj.errors import UsageError
from proj.tracking.filters import Condition, Kind, Order, Vocabulary, parse_filter, parse_order

if TYPE_CHECKING:
    from collections.abc import Sequence

Value = float | int | str | None

_SQL_OPERATORS = {"LIKE": "GLOB", "ILIKE": "LIKE"}  # SQLite's LIKE does not tell a from A, its GLOB does


_TOO_MUCH = ("too many", "too large", "too complex", "too big", "at most", "stack overflow")
"""What SQLite says of statements beyond its limits."""


class Sql(msgspec.Struct, frozen=True):
    """A piece of SQL and the values of its question marks."""

    text: str
    values: tuple[Value, ...] = ()


class Key(msgspec.Struct, frozen=True):
    """Something never NULL to sort by."""

    expression: str
    descending: bool = False


class Beside(msgspec.Struct, frozen=True):
    """A table of keys and values that belong to what is searched: columns `key`, `value` and an owner."""

    table: str
    owner: str


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What a search is about. All strings are SQL of our own."""

    vocabulary: Vocabulary
    table: str
    """Or a join; it has a table with the column `id`, and that is `id`."""
    id: str
    columns: Mapping[str, str]
    """Attribute -> expression."""
    nullable: frozenset[str] = frozenset()
    """Attributes that may be NULL."""
    beside: Mapping[Kind, Beside] = {}
    special: Callable[[Condition], Sql] | None = None
    """The condition for a kind that is in no table beside."""
    ties: tuple[tuple[str, Key], ...] = ()
    """What orders are completed by, unless they name the attribute already; the last one is unique."""


class Page(msgspec.Struct, frozen=True):
    """Row numbers, and where the next page begins."""

    rows: tuple[int, ...]
    next_page_token: str | None


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """All that says which page of which search is meant."""

    where: tuple[Sql, ...]
    joins: Sql
    keys: tuple[Key, ...]
    key_values: tuple[Value, ...] = ()
    """The values of question marks in the keys."""
    limit: int
    page_token: str | None
    same: tuple[object, ...]
    """What must be equal for a page token to fit."""


class _Token(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ended: the sort keys of its last row, and the query they belong to."""

    query: int
    last: tuple[Value, ...]


def find(connection: sqlite3.Connection, subject: Subject, scope: Scope) -> Page:
    """Return one page of the rows that are in a scope.

    Raises:
        UsageError: The limit or the page token cannot be understood.
    """
    if scope.limit < 1:
        raise UsageError(f"The limit {scope.limit} is not a positive number.")
    keys = scope.keys
    after = Sql("1")
    digest = zlib.crc32(msgspec.msgpack.encode(scope.same))
    if scope.page_token is not None:
        after = _after(keys, _decode(scope.page_token, digest, len(keys)))
    where = joined(scope.where)
    columns = "".join(f", {key.expression} AS k{number}" for number, key in enumerate(keys))
    order = ", ".join(f"k{number}{' DESC' if key.descending else ''}" for number, key in enumerate(keys))
    rows = _execute(
        connection,
        f"SELECT * FROM (SELECT {subject.id}{columns} FROM {subject.table} {scope.joins.text} "  # noqa: S608  our own words, values are bound
        f"WHERE {where.text}) WHERE {after.text} ORDER BY {order} LIMIT ?",
        (*scope.key_values, *scope.joins.values, *where.values, *after.values, scope.limit + 1),
    )
    token = None
    if len(rows) > scope.limit:
        rows.pop()
        token = _encode(_Token(digest, tuple(rows[-1][1:])))
    return Page(tuple(row[0] for row in rows), token)


def _execute(
    connection: sqlite3.Connection, statement: str, values: tuple[Value, ...]
) -> list[tuple[Any, ...]]:
    try:
        return connection.execute(statement, values).fetchall()
    except sqlite3.OperationalError as error:
        if not any(sign in str(error) for sign in _TOO_MUCH):
            raise
        raise UsageError(
            f"The search asks for too much at once: {error}.",
            hint="Use fewer conditions, fewer values, or fewer orders.",
        ) from error


# --- conditions ---------------------------------------------------------------------------------------


def conditions(subject: Subject, parsed: str | Sequence[Condition]) -> tuple[Sql, ...]:
    """Return the conditions of a filter, parsed or not.

    Raises:
        UsageError: It cannot be understood.
    """
    if isinstance(parsed, str):
        parsed = parse_filter(parsed, subject.vocabulary)
    return tuple(_condition(subject, each) for each in parsed)


def joined(parts: Sequence[Sql]) -> Sql:
    """Return the condition that all of these hold."""
    text = " AND ".join(f"({part.text})" for part in parts) or "1"
    return Sql(text, tuple(value for part in parts for value in part.values))


def _condition(subject: Subject, condition: Condition) -> Sql:
    field = condition.field
    if field.kind is Kind.ATTRIBUTE:
        return compare(subject.columns[field.key], condition)
    beside = subject.beside.get(field.kind)
    if beside is None:
        assert subject.special is not None  # noqa: S101  the vocabulary knows no other kind
        return subject.special(condition)
    rows = f"SELECT {beside.owner} FROM {beside.table} WHERE key = ?"  # noqa: S608  our own words
    if condition.operator == "IS NULL":
        return Sql(f"{subject.id} NOT IN ({rows})", (field.key,))
    if condition.operator == "IS NOT NULL":
        return Sql(f"{subject.id} IN ({rows})", (field.key,))
    compared = compare("value", condition)
    text = compared.text
    if field.kind is Kind.METRIC:  # NaN is unequal to everything, and else compares with nothing
        text += " OR is_nan = 1" if condition.operator == "!=" else " AND is_nan = 0"
    return Sql(f"{subject.id} IN ({rows} AND ({text}))", (field.key, *compared.values))


def compare(expression: str, condition: Condition) -> Sql:
    """Return the comparison of an expression with a condition's value."""
    operator, value = condition.operator, condition.value
    if value is None:
        return Sql(f"{expression} {operator}")
    if isinstance(value, tuple):
        return Sql(f"{expression} {operator} ({marks(value)})", value)
    if operator == "LIKE" and isinstance(value, str):
        value = _glob(value)
    return Sql(f"{expression} {_SQL_OPERATORS.get(operator, operator)} ?", (value,))


def marks(values: Sequence[object]) -> str:
    """Return a question mark for each value."""
    return ",".join("?" * len(values))


def _glob(pattern: str) -> str:
    """Translate a LIKE pattern, `%` and `_`, to a GLOB pattern, `*` and `?`."""
    wild = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
    return "".join(wild.get(character, character) for character in pattern)


# --- order and pages ----------------------------------------------------------------------------------


def ordering(subject: Subject, order_by: Sequence[str]) -> tuple[Sql, tuple[Key, ...]]:
    """Return the joins that the sort keys need, and the keys; the last one makes the order total.

    What is missing comes last, whatever the direction, and NaN just before that.

    Raises:
        UsageError: An order cannot be understood.
    """
    text = ""
    values: tuple[Value, ...] = ()
    keys: list[Key] = []
    named: set[str] = set()
    for number, order in enumerate(parse_order(each, subject.vocabulary) for each in order_by):
        if order.field.kind is Kind.ATTRIBUTE:
            keys += attribute_keys(subject, order.field.key, descending=order.descending)
            named.add(order.field.key)
            continue
        join, found = _keys_beside(subject, order, f"o{number}")
        text += join
        values += (order.field.key,)
        keys += found
    keys += [key for attribute, key in subject.ties if attribute not in named]
    return Sql(text, values), tuple(keys)


def attribute_keys(subject: Subject, attribute: str, *, descending: bool) -> tuple[Key, ...]:
    """Return what sorts by an attribute."""
    column = subject.columns[attribute]
    if attribute not in subject.nullable:
        return (Key(column, descending),)
    nothing = "0" if attribute in subject.vocabulary.numeric else "''"
    return Key(f"{column} IS NULL"), Key(f"coalesce({column}, {nothing})", descending)


def _keys_beside(subject: Subject, order: Order, alias: str) -> tuple[str, tuple[Key, ...]]:
    beside = subject.beside[order.field.kind]
    join = f"LEFT JOIN {beside.table} {alias} ON {alias}.{beside.owner} = {subject.id} AND {alias}.key = ? "
    if order.field.kind is Kind.METRIC:
        missing, nothing = f"coalesce({alias}.is_nan, 2)", "0"
    else:
        missing, nothing = f"{alias}.value IS NULL", "''"
    return join, (Key(missing), Key(f"coalesce({alias}.value, {nothing})", order.descending))


def _after(keys: tuple[Key, ...], last: tuple[Value, ...]) -> Sql:
    """Return the condition for what comes after a row in the order.

    It compares keys, it does not count rows: what is added or removed meanwhile shifts nothing.
    """
    text = "0"
    values: tuple[Value, ...] = ()
    for number in reversed(range(len(keys))):
        sign = "<" if keys[number].descending else ">"
        # The part before AND says nothing new, but an index can begin there.
        text = f"(k{number} {sign}= ? AND (k{number} {sign} ? OR {text}))"
        values = (last[number], last[number], *values)
    return Sql(text, values)


def _encode(token: _Token) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(token)).decode()


def _decode(text: str, digest: int, keys: int) -> tuple[Value, ...]:
    try:
        token = msgspec.msgpack.decode(base64.urlsafe_b64decode(text), type=_Token)
    except (binascii.Error, UnicodeError, ValueError, msgspec.MsgspecError) as error:
        raise UsageError("The page token is damaged.", hint="Begin again without one.") from error
    if token.query != digest or len(token.last) != keys:
        raise UsageError("The page token belongs to another search.", hint="Begin again without one.")
    return token.last
