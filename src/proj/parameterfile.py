"""Files of parameters (`--params`): YAML or JSON that maps names to values."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from proj import yamltree
from proj.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

_JSON_NUMBER: Final = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?"


def load_file(path: Path) -> dict[str, str]:
    """The values in a YAML or JSON file that maps names to values.

    A number, boolean or text is taken as the file writes it (`1e-3`, `true`, `007`), a list or mapping as
    JSON. A null is no value: the parameter's default holds.

    Args:
        path: The file; one that ends in `.json` is read as JSON, any other as YAML.

    Returns:
        Name -> value, in the file's order.

    Raises:
        UsageError: The file cannot be read, or holds something else.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(yamltree.MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"Cannot read the parameter file {path}: {error.strerror}.", hint="Check the path of --params."
        ) from error
    try:
        text = yamltree.decode(data)
        plain = (
            _from_json(text, path) if path.suffix.lower() == ".json" else _plain_root(yamltree.parse(text))
        )
    except yamltree.YamlError as error:
        place = f"{path}:{error.position.line}:{error.position.column}"
        raise UsageError(f"{place}: {error.message}", hint=error.fix) from error
    if not isinstance(plain, dict):
        raise UsageError(
            f"The parameter file {path} must map names to values.", hint="Write lines like `alpha: 0.5`."
        )
    return {
        name: str(value) if isinstance(value, str) else _json_text(value)
        for name, value in plain.items()
        if value is not None
    }


class _Number(str):
    """A number in the digits of the file."""

    __slots__ = ()


_Plain = None | bool | str | list["_Plain"] | dict[str, "_Plain"]
"""JSON's values, numbers being `_Number`."""


def _plain_root(node: yamltree.Node | None) -> object:
    """The file's mapping; scalars right below it are texts as they are written."""
    if not isinstance(node, yamltree.Mapping):
        return None
    values: dict[str, _Plain] = {}
    for name, entry in yamltree.entries(node).items():
        if entry.repeats is not None:
            raise yamltree.YamlError(
                f"Repeated parameter: '{name}'.", entry.key.position, "Give each parameter once."
            )
        key = entry.key.text if isinstance(entry.key, yamltree.Scalar) else name
        value = entry.value
        if isinstance(value, yamltree.Scalar):
            values[key] = None if yamltree.is_null(value) else value.text
        else:
            values[key] = _plain(value)
    return values


def _plain(node: yamltree.Node) -> _Plain:
    if isinstance(node, yamltree.Sequence):
        return [_plain(item) for item in node.items]
    if isinstance(node, yamltree.Mapping):
        found = yamltree.entries(node)
        return {name: _plain(entry.value) for name, entry in found.items()}
    if not isinstance(node, yamltree.Scalar) or node.style is not None:
        return node.text if isinstance(node, yamltree.Scalar) else None
    if yamltree.is_null(node):
        return None
    if node.text in ("true", "false"):
        return node.text == "true"
    return _Number(node.text) if re.fullmatch(_JSON_NUMBER, node.text) else node.text


def _from_json(text: str, path: Path) -> object:
    """A JSON file's value; scalars right below the root are texts as they are written."""

    def unique(pairs: list[tuple[str, _Plain]]) -> dict[str, _Plain]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise UsageError(f"The parameter file {path} gives a name twice.", hint="Give each name once.")
        return found

    try:
        plain = json.loads(
            text,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_Number,
            object_pairs_hook=unique,
        )
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}:{error.lineno}:{error.colno}: Not valid JSON: {error.msg}.") from error
    except RecursionError as error:
        raise UsageError(f"The parameter file {path} is nested too deep.") from error
    return plain


def _json_text(value: _Plain) -> str:
    """JSON in one line, numbers in the file's own digits."""
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, list):
        return "[" + ", ".join(_json_text(item) for item in value) + "]"
    if isinstance(value, dict):
        pairs = (
            f"{json.dumps(name, ensure_ascii=False)}: {_json_text(item)}" for name, item in value.items()
        )
        return "{" + ", ".join(pairs) + "}"
    return json.dumps(value, ensure_ascii=False)
