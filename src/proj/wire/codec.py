"""JSON and queries to messages, and messages to JSON, as MLflow's server and its clients write them."""

from __future__ import annotations

import json
import math
import re
import urllib.parse
from typing import Annotated, Any, TypeVar

import msgspec

from proj.wire.errors import ApiError, ErrorCode, invalid, missing

T = TypeVar("T", bound=msgspec.Struct)

Text = Annotated[str, msgspec.Meta(min_length=1)]
"""Text that has to be given: without it, or empty, the parameter counts as missing."""
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""Arrives as a number or as a string, as protobuf's JSON has it; leaves as a number."""
Real = float
"""Arrives as a number or as text; NaN and the infinities as text only (`NaN`, `Infinity`, `-Infinity`)."""
RealOut = float | str
"""See `real_out`."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all messages."""


class Empty(Message, frozen=True):
    """A message without fields."""


_MISSING = re.compile(r"(?:missing required field `(\w+)`|`str` of length >= 1 - at `\$\.(.+?)`)")


def decode_body(body: bytes, kind: type[T]) -> T:
    """Read a JSON body; an empty one has no fields.

    Raises:
        ApiError: It is no JSON, or a field is missing or has a value of another type.
    """
    try:
        return msgspec.json.decode(body or b"{}", type=kind, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return convert(_leniently(body or b"{}"), kind)


def decode_object(body: bytes) -> dict[str, Any]:
    """Read a JSON object as it is; an empty body is an empty one.

    Raises:
        ApiError: It is no JSON object.
    """
    content = _leniently(body or b"{}")
    if not isinstance(content, dict):
        raise ApiError(ErrorCode.BAD_REQUEST, "The body is no JSON object.")
    return content


def _leniently(body: bytes) -> Any:
    """Read what protobuf's JSON and old clients have besides: nulls, bare NaN, JSON within a JSON string."""
    try:
        content = json.loads(body)
        if isinstance(content, str):
            content = json.loads(content)
        return _without_nulls({} if content is None else content)
    except (ValueError, RecursionError) as error:
        raise ApiError(ErrorCode.BAD_REQUEST, f"The body is no JSON object: {error}.") from error


def _without_nulls(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_nulls(value) for key, value in content.items() if value is not None}
    if isinstance(content, list):
        return [_without_nulls(value) for value in content]
    return content


def decode_query(query: bytes, kind: type[T]) -> T:
    """Read the query of a GET request; lists are repeated keys.

    Raises:
        ApiError: As `decode_body`.
    """
    return convert(query_object(query, kind), kind)


def query_object(query: bytes, kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Read a query as the plain object that `kind` is made of.

    Raises:
        ApiError: It cannot be read.
    """
    try:
        given = urllib.parse.parse_qs(query.decode("ascii"), keep_blank_values=True, errors="strict")
    except (UnicodeError, ValueError) as error:
        raise ApiError(ErrorCode.BAD_REQUEST, f"The query cannot be read: {error}.") from error
    lists = list_fields(kind)
    return {name: given[name] if name in lists else given[name][0] for name in given}


def convert(content: Any, kind: type[T]) -> T:
    """Make a message of plain objects.

    Raises:
        ApiError: A field is missing or has a value of another type.
    """
    try:
        return msgspec.convert(content, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from error
    except RecursionError as error:
        raise ApiError(ErrorCode.BAD_REQUEST, "The body is nested too deeply.") from error


def _refusal(text: str) -> ApiError:
    match = _MISSING.search(text)
    if match is None:
        return invalid(f"Invalid value for a parameter: {text}.")
    parent = re.search(r" - at `\$\.?(.+?)`$", text)
    if match[1] is not None:
        return missing(f"{parent[1]}.{match[1]}" if parent else match[1])
    return missing(match[2])


def list_fields(kind: type[msgspec.Struct]) -> frozenset[str]:
    """Names of a message's repeated fields."""
    found = _LISTS.get(kind)
    if found is None:
        fields = msgspec.structs.fields(kind)
        found = frozenset(field.encode_name for field in fields if "tuple[" in str(field.type))
        _LISTS[kind] = found
    return found


_LISTS: dict[type[msgspec.Struct], frozenset[str]] = {}

encode = msgspec.json.Encoder().encode
"""Write a message as JSON; fields that are `UNSET` are left out."""


_EMPTY = (None, msgspec.UNSET, "", ())


def fields_given(message: msgspec.Struct) -> dict[str, Any]:
    """Return a message as the plain object that a client sends: what says nothing is left out of it.

    Servers older than a field do not know it, and an empty text is not the same as none to all of them.
    """
    given: dict[str, Any] = {}
    kind = type(message)
    required = len(kind.__struct_fields__) - len(kind.__struct_defaults__)
    defaults = (*(msgspec.NODEFAULT,) * required, *kind.__struct_defaults__)
    for name, key, default in zip(
        kind.__struct_fields__, kind.__struct_encode_fields__, defaults, strict=True
    ):
        value = getattr(message, name)
        if value is msgspec.UNSET or value is None or (value == default and default in _EMPTY):
            continue
        given[key] = _sendable(value)
    return given


def _sendable(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return fields_given(value)
    if isinstance(value, tuple):
        return [_sendable(item) for item in value]
    if isinstance(value, float):
        return real_out(value)
    return value


def encode_request(message: msgspec.Struct) -> bytes:
    """Write a request's JSON body."""
    return encode(fields_given(message))


def encode_query(message: msgspec.Struct) -> tuple[tuple[str, str], ...]:
    """Write a request as a query; a list is a repeated key."""
    query: list[tuple[str, str]] = []
    for key, value in fields_given(message).items():
        query += [(key, _query_text(item)) for item in (value if isinstance(value, list) else [value])]
    return tuple(query)


def _query_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def real_out(value: float) -> RealOut:
    """Write a number as protobuf's JSON does: what JSON has no number for is text."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
