"""Whether a text fits the declared kind of a parameter; for given values and for defaults alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proj.model import ParameterKind

if TYPE_CHECKING:
    from proj.model import Parameter

TRUE: Final = frozenset({"true", "yes", "on", "y", "t", "1"})
FALSE: Final = frozenset({"false", "no", "off", "n", "f", "0"})
"""What says true and false, in any case; a switch (`{name:flag}`) also takes "no value" for false."""

_WANTED: Final = {
    ParameterKind.INTEGER: "a whole number",
    ParameterKind.FLOAT: "a number",
    ParameterKind.BOOLEAN: "true or false (also yes, no, on, off, y, n, t, f, 1, 0)",
    ParameterKind.JSON: "JSON",
}


def problem(parameter: Parameter, text: str) -> str | None:
    """What is wrong with a value, as the end of a sentence; None when it fits.

    Paths and URIs fit always: whether they exist is another question. So do lists, as scripts take them in
    many forms (`a,b`, `a b`, `[1, 2]`).
    """
    if parameter.choices:
        if text in parameter.choices:
            return None
        return f"must be one of {', '.join(parameter.choices)}, not {shown(text)}"
    kind = parameter.kind
    if kind is ParameterKind.BOOLEAN:
        return None if text.strip().lower() in TRUE | FALSE else _unfit(kind, text)
    if kind is ParameterKind.JSON:
        return None if _is_json(text) else _unfit(kind, text)
    if kind is not ParameterKind.FLOAT and kind is not ParameterKind.INTEGER:
        return None
    number = _number(text, whole=kind is ParameterKind.INTEGER)
    return _unfit(kind, text) if number is None else _out_of_range(parameter, number, text)


def shown(text: str) -> str:
    """A value for a message: quoted, and not longer than a line."""
    return repr(text if len(text) <= 60 else text[:59] + "…")  # noqa: PLR2004  what fits beside the rest


def _unfit(kind: ParameterKind, text: str) -> str:
    return f"must be {_WANTED[kind]}, not {shown(text)}"


def _out_of_range(parameter: Parameter, number: float, text: str) -> str | None:
    low, high = parameter.minimum, parameter.maximum
    # "not at least" and not "less than": NaN is in no range
    if low is not None and not number >= low:
        return f"must be at least {low:g}, not {shown(text)}"
    if high is not None and not number <= high:
        return f"must be at most {high:g}, not {shown(text)}"
    return None


def _number(text: str, *, whole: bool) -> float | None:
    """The number that a text says; whole ones also as `1e6`, `5.0` and `0x10`, which scripts take."""
    try:
        return int(text, 0)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return None
    return number if not whole or number.is_integer() else None


def _is_json(text: str) -> bool:
    import json  # 2 ms that only parameters of this type cost

    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
