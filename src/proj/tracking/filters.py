"""The grammar of searches, MLflow's: text to conditions.

Conditions are joined by `and`; there is no `or` and there are no parentheses but those of `IN`. See MLflow's
"Search Runs" and its `mlflow/utils/search_utils.py`.
"""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from proj.errors import UsageError

if TYPE_CHECKING:
    from typing import NoReturn


class Kind(str, enum.Enum):
    """What a search may look at."""

    METRIC = "metrics"
    PARAM = "params"
    TAG = "tags"
    ATTRIBUTE = "attributes"
    DATASET = "datasets"


class Field(msgspec.Struct, frozen=True):
    """One thing of a run: `metrics.rmse`."""

    kind: Kind
    key: str


class Condition(msgspec.Struct, frozen=True):
    """One comparison."""

    field: Field
    operator: str
    """`= != < <= > >= LIKE ILIKE IN`, `NOT IN`, `IS NULL`, `IS NOT NULL`."""
    value: float | str | tuple[str, ...] | None = None


class Order(msgspec.Struct, frozen=True):
    """One key to sort by."""

    field: Field
    descending: bool = False


class Vocabulary(msgspec.Struct, frozen=True, kw_only=True):
    """The words that searches for one kind of thing know."""

    noun: str
    """What is searched for, such as `a run`."""
    kinds: tuple[Kind, ...]
    attributes: tuple[str, ...]
    numeric: tuple[str, ...] = ()
    """Those attributes that are numbers."""
    quoted_numbers: tuple[str, ...] = ()
    """Those of them that may be compared with a number in quotes."""
    aliases: Mapping[str, str] = {}
    """Other words for attributes."""

    def is_numeric(self, field: Field) -> bool:
        """Whether a field's values are numbers; all others are text."""
        return field.kind is Kind.METRIC or (field.kind is Kind.ATTRIBUTE and field.key in self.numeric)


RUNS = Vocabulary(
    noun="a run",
    kinds=(Kind.METRIC, Kind.PARAM, Kind.TAG, Kind.ATTRIBUTE, Kind.DATASET),
    attributes=("run_id", "run_name", "status", "user_id", "artifact_uri", "start_time", "end_time"),
    numeric=("start_time", "end_time"),
    aliases={
        "created": "start_time",
        "Created": "start_time",
        "run name": "run_name",
        "Run name": "run_name",
        "Run Name": "run_name",
    },
)

_KINDS = {
    **dict.fromkeys(("metric", "metrics"), Kind.METRIC),
    **dict.fromkeys(("param", "params", "parameter", "parameters"), Kind.PARAM),
    **dict.fromkeys(("tag", "tags"), Kind.TAG),
    **dict.fromkeys(("attribute", "attributes", "attr", "run"), Kind.ATTRIBUTE),
    **dict.fromkeys(("dataset", "datasets"), Kind.DATASET),
}
_DATASET_KEYS = ("name", "digest", "context")
_NUMERIC_OPERATORS = ("=", "!=", "<", "<=", ">", ">=")
_TEXT_OPERATORS = ("=", "!=", "LIKE", "ILIKE", "IN", "NOT IN")

_WORD = r"[^\s<>=!()'\"`,]"
_TOKEN = re.compile(
    rf"""\s*(?:
        (?P<string>'(?:[^']|'')*'|"(?:[^"]|"")*")
        |(?P<backtick>`[^`]*`)
        |(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?!{_WORD}))
        |(?P<operator><=|>=|!=|==|=|<|>)
        |(?P<mark>[(),])
        |(?P<word>{_WORD}+)
    )""",
    re.VERBOSE,
)


def parse_filter(text: str, vocabulary: Vocabulary = RUNS) -> tuple[Condition, ...]:
    """Parse a filter; an empty one has no conditions.

    Raises:
        UsageError: It cannot be understood; the message names the column, the details show the place.
    """
    reader = _Reader(text, "filter", vocabulary)
    if reader.kind is None:
        return ()
    conditions = [_condition(reader)]
    while reader.kind is not None:
        if not reader.take_word("AND"):
            reader.fail(
                f"expected `and`, found {reader.text!r}",
                "There is no `or`: search twice." if reader.text.upper() == "OR" else None,
            )
        conditions.append(_condition(reader))
    return tuple(conditions)


def parse_order(text: str, vocabulary: Vocabulary = RUNS) -> Order:
    """Parse one key to sort by, such as `metrics.rmse DESC`.

    Raises:
        UsageError: It cannot be understood.
    """
    reader = _Reader(text, "order", vocabulary)
    field = _field(reader)
    if field.kind is Kind.DATASET:
        reader.fail("there is no order by datasets", at=0)
    descending = reader.take_word("DESC")
    if not descending:
        reader.take_word("ASC")
    if reader.kind is not None:
        reader.fail(f"expected ASC, DESC or the end, found {reader.text!r}")
    return Order(field, descending)


class _Reader:
    """The tokens of a text, one at a time. `kind` is None at the end."""

    def __init__(self, source: str, noun: str, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._source = source.rstrip()
        self._noun = noun
        self._next = 0
        self.kind: str | None = None
        self.text = ""
        self.start = 0
        self.adjacent = False
        """Whether the token follows the one before without a blank."""
        self.advance()

    def advance(self) -> None:
        """Go to the next token."""
        end = self._next
        match = _TOKEN.match(self._source, end)
        if match is None:
            self.start = len(self._source) if not self._source[end:].strip() else end
            if self.start < len(self._source):
                self.start += len(self._source[end:]) - len(self._source[end:].lstrip())
                unclosed = self._source[self.start] in "'\"`"
                self.fail(
                    "this quote is not closed" if unclosed else f"{self._source[self.start]!r} unexpected"
                )
            self.kind, self.text = None, "the end"
            return
        self.kind = match.lastgroup
        self.start = match.start(self.kind or 0)
        self.text = match.group(self.kind or 0)
        self.adjacent = self.start == end
        self._next = match.end()

    def take(self) -> str:
        """Return the token's text, and go on."""
        text = self.text
        self.advance()
        return text

    def take_word(self, word: str) -> bool:
        """Go on if the token is this keyword, in whatever case."""
        if self.kind == "word" and self.text.upper() == word:
            self.advance()
            return True
        return False

    def fail(self, what: str, hint: str | None = None, at: int | None = None) -> NoReturn:
        """Raise, pointing at the token, or at a place before it."""
        start = self.start if at is None else at
        shown = self._source.replace("\n", " ").replace("\t", " ")
        raise UsageError(
            f"The {self._noun} cannot be understood, column {start + 1}: {what}.",
            hint=hint,
            details=(shown, " " * start + "^"),
        )


def _condition(reader: _Reader) -> Condition:
    field = _field(reader)
    start = reader.start
    operator = _operator(reader)
    if operator.startswith("IS "):
        return Condition(field, operator)
    numeric = reader.vocabulary.is_numeric(field)
    allowed = _NUMERIC_OPERATORS if numeric else _TEXT_OPERATORS
    name = f"{field.kind.value}.{field.key}"
    if operator not in allowed:
        sort = "a number" if numeric else "text"
        reader.fail(
            f"{name} is {sort}, which {operator} does not compare", f"Use one of {', '.join(allowed)}.", start
        )
    if operator in ("IN", "NOT IN"):
        return Condition(field, operator, _texts(reader))
    if numeric:
        if reader.kind == "string" and field.key in reader.vocabulary.quoted_numbers:
            return Condition(field, operator, _quoted_number(reader, name))
        if reader.kind != "number":
            reader.fail(f"{name} is compared with a number, found {reader.text}")
        return Condition(field, operator, float(reader.take()))
    if reader.kind != "string":
        fix = f"Write '{reader.text}'." if reader.kind in ("number", "word") else None
        reader.fail(f"{name} is compared with text in quotes, found {reader.text}", fix)
    return Condition(field, operator, _unquoted(reader.take()))


def _quoted_number(reader: _Reader, name: str) -> float:
    try:
        number = int(_unquoted(reader.text))
    except ValueError:
        reader.fail(f"{name} is compared with a number, found {reader.text}")
    reader.advance()
    return float(number)


def _field(reader: _Reader) -> Field:
    start = reader.start
    if reader.kind == "backtick":  # `run name`, or `metrics`.rmse
        name = _unquoted(reader.take())
        dotted = reader.kind == "word" and reader.adjacent and reader.text.startswith(".")
        prefix, dot, key = name, "." if dotted else "", reader.take()[1:] if dotted else ""
    elif reader.kind == "word":
        prefix, dot, key = reader.take().partition(".")
    else:
        reader.fail(f"expected a name such as metrics.rmse, found {reader.text}")
    if not dot:
        return _attribute(reader, prefix, start)
    kind = _KINDS.get(prefix)
    known = reader.vocabulary.kinds
    if kind is None or kind not in known:
        names = ", ".join(kind.value for kind in known)
        what = (
            f"nothing is called {prefix!r}" if kind is None else f"{reader.vocabulary.noun} has no {prefix}"
        )
        reader.fail(what, f"Names begin with one of {names}.", start)
    if not key and reader.adjacent and reader.kind in ("string", "backtick"):
        key = _unquoted(reader.take())
    if not key:
        reader.fail(f"a name is missing after `{prefix}.`", at=start)
    if kind is Kind.DATASET and key not in _DATASET_KEYS:
        reader.fail(f"a dataset has no {key!r}", f"It has {', '.join(_DATASET_KEYS)}.", start)
    return _attribute(reader, key, start) if kind is Kind.ATTRIBUTE else Field(kind, key)


def _attribute(reader: _Reader, name: str, start: int) -> Field:
    vocabulary = reader.vocabulary
    name = vocabulary.aliases.get(name, name)
    if name not in vocabulary.attributes:
        close = difflib.get_close_matches(name, vocabulary.attributes, n=1)
        kinds = (Kind.METRIC, Kind.PARAM, Kind.TAG)
        perhaps = " or ".join(f"{kind.value}.{name}" for kind in kinds if kind in vocabulary.kinds)
        hint = f"Did you mean {close[0]}? " if close else f"Perhaps {perhaps}? "
        known = ", ".join(vocabulary.attributes)
        reader.fail(f"{vocabulary.noun} has no attribute {name!r}", f"{hint}Attributes: {known}.", start)
    return Field(Kind.ATTRIBUTE, name)


def _operator(reader: _Reader) -> str:
    if reader.kind == "operator":
        return "=" if reader.text == "==" and reader.take() else reader.take()
    if reader.take_word("IS"):
        negated = reader.take_word("NOT")
        if not reader.take_word("NULL"):
            reader.fail(f"expected NULL, found {reader.text}")
        return "IS NOT NULL" if negated else "IS NULL"
    negated = reader.take_word("NOT")
    for word in ("IN",) if negated else ("LIKE", "ILIKE", "IN"):
        if reader.take_word(word):
            return f"NOT {word}" if negated else word
    return reader.fail(f"expected a comparison such as = or LIKE, found {reader.text}")


def _texts(reader: _Reader) -> tuple[str, ...]:
    """Read `('a', 'b')`."""
    found: list[str] = []
    expected = "("
    while expected:
        if reader.kind != "mark" or reader.text not in expected:
            reader.fail(f"expected {' or '.join(expected)}, found {reader.text}")
        if reader.take() == ")":
            break
        if reader.kind != "string":
            reader.fail(f"expected text in quotes, found {reader.text}")
        found.append(_unquoted(reader.take()))
        expected = ",)"
    return tuple(found)


def _unquoted(text: str) -> str:
    quote = text[0]
    return text[1:-1].replace(quote * 2, quote)


def quoted_key(key: str) -> str:
    """Write a key so that the grammar reads it back, whatever is in it."""
    return '"' + key.replace('"', '""') + '"'


def quoted_text(text: str) -> str:
    """Write a text value so that the grammar reads it back, whatever is in it."""
    return "'" + text.replace("'", "''") + "'"
