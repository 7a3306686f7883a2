from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proj.errors import UsageError
from proj.tracking.filters import Condition, Field, Kind, Order, parse_filter, parse_order


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("metrics.rmse<0.8", Condition(Field(Kind.METRIC, "rmse"), "<", 0.8)),
        ("metric.a.b.c >= -1e-3", Condition(Field(Kind.METRIC, "a.b.c"), ">=", -0.001)),
        ("metrics.val-loss/x == .5", Condition(Field(Kind.METRIC, "val-loss/x"), "=", 0.5)),
        ('metrics."two words" != 1', Condition(Field(Kind.METRIC, "two words"), "!=", 1.0)),
        ("`metrics`.a = 1", Condition(Field(Kind.METRIC, "a"), "=", 1.0)),
        ("`params`.`a b` = 'x'", Condition(Field(Kind.PARAM, "a b"), "=", "x")),
        ("params.`a b` = 'x'", Condition(Field(Kind.PARAM, "a b"), "=", "x")),
        ("param.a iLike '%X'", Condition(Field(Kind.PARAM, "a"), "ILIKE", "%X")),
        ("tags.t NOT  IN ( 'a','b' )", Condition(Field(Kind.TAG, "t"), "NOT IN", ("a", "b"))),
        ("tags.t is not null", Condition(Field(Kind.TAG, "t"), "IS NOT NULL")),
        ("Created > 5", Condition(Field(Kind.ATTRIBUTE, "start_time"), ">", 5.0)),
        ("attribute.`Run name` = ''", Condition(Field(Kind.ATTRIBUTE, "run_name"), "=", "")),
        ("tags.t = 'a and b'", Condition(Field(Kind.TAG, "t"), "=", "a and b")),
    ],
)
def test_a_condition(text: str, condition: Condition) -> None:
    assert parse_filter(text) == (condition,)


def test_conditions_are_joined_by_and() -> None:
    text = "metrics.a < 1 and params.and = 'and' AND status = 'FAILED'"
    assert [condition.field.key for condition in parse_filter(text)] == ["a", "and", "status"]


def test_no_conditions() -> None:
    assert parse_filter("") == parse_filter("  \n ") == ()


def test_an_order() -> None:
    assert parse_order("metrics.`val loss` desc") == Order(Field(Kind.METRIC, "val loss"), descending=True)
    assert parse_order("start_time ASC") == parse_order("start_time")


@pytest.mark.parametrize(
    ("text", "column", "message", "hint"),
    [
        ("params.alpha = 5", 16, "text in quotes", "Write '5'."),
        ("metrics.a < 1 or metrics.b < 2", 15, "expected `and`", "no `or`"),
        ("params.a = 'x' and statsu = 'y'", 20, "no attribute 'statsu'", "Did you mean status?"),
        ("rmse < 1", 1, "no attribute 'rmse'", "metrics.rmse"),
        ("params.a =   'open", 14, "not closed", None),
        ("metrics.a <", 12, "found the end", None),
        ("params.a > 'x'", 10, "text, which > does not compare", "LIKE"),
        ("data.a = 'x'", 1, "nothing is called 'data'", "metrics, params, tags, attributes, datasets"),
    ],
)
def test_an_error_points_at_its_place(text: str, column: int, message: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        parse_filter(text)
    assert f"column {column}: " in caught.value.message
    assert message in caught.value.message
    assert (hint or "") in (caught.value.hint or "")
    shown, mark = caught.value.details
    assert shown == text
    assert mark == " " * (column - 1) + "^"


_PIECES = "metrics. params . a ` ' \" = < != IN ( ) , and 1.5 - é NOT NULL IS".split()  # noqa: SIM905  readable


@given(st.one_of(st.text(), st.lists(st.sampled_from([*_PIECES, " ", "\n"])).map("".join)))
def test_whatever_is_given_is_understood_or_refused(text: str) -> None:
    for parse in (parse_filter, parse_order):
        with contextlib.suppress(UsageError):
            parse(text)
