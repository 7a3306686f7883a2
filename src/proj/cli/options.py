"""Options that several commands share."""

from __future__ import annotations

from proj.errors import UsageError


def pairs(values: tuple[str, ...], option: str) -> tuple[tuple[str, str], ...]:
    """Split values of a repeatable `NAME=VALUE` option at their first `=`.

    Raises:
        UsageError: One has no name, or no `=`.
    """
    found = []
    for value in values:
        name, equals, content = value.partition("=")
        if not equals or not name:
            raise UsageError(f"Invalid format for {option}: {value!r}. Use {option} name=value.")
        found.append((name, content))
    return tuple(found)
