"""TOML reading on every supported Python."""

from __future__ import annotations

import sys
from typing import TypeAlias

from proj.errors import EnvironmentFailedError

TomlTable: TypeAlias = "dict[str, object]"


def parse_toml(text: str, origin: str) -> TomlTable:
    """Parse TOML.

    Args:
        text: The document.
        origin: What to call it in messages.

    Raises:
        EnvironmentFailedError: It is not valid TOML.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        table: TomlTable = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise EnvironmentFailedError(
            f"{origin} is not valid TOML: {error}.", hint="Correct the file."
        ) from error
    return table


def table_at(table: TomlTable, *keys: str) -> TomlTable:
    """The table under nested keys; empty where there is none."""
    current: object = table
    for key in keys:
        current = current.get(key) if isinstance(current, dict) else None
    return current if isinstance(current, dict) else {}


def strings_at(table: TomlTable, key: str) -> tuple[str, ...]:
    """The list of strings under a key; empty where there is none."""
    value = table.get(key)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
