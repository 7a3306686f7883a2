"""Names to implementations: a table of built-ins, then an entry-point group for third parties."""

from __future__ import annotations

import importlib
from typing import Any, Generic, TypeVar, cast

from proj.errors import UsageError

T = TypeVar("T")


class Registry(Generic[T]):
    """Looks up an implementation by name and imports it only then.

    Args:
        noun: What is registered, for messages: "backend".
        builtin: Name -> "module:attribute".
        group: Entry-point group in which third parties register theirs.
        adapters: Another system's entry-point group -> "module:attribute" of what makes an instance of theirs
            one of ours.
    """

    def __init__(
        self, noun: str, builtin: dict[str, str], group: str, adapters: dict[str, str] | None = None
    ) -> None:
        self._noun = noun
        self._builtin = builtin
        self._groups: dict[str, str | None] = {group: None, **(adapters or {})}

    def names(self) -> tuple[str, ...]:
        """All known names, sorted."""
        return tuple(sorted({*self._builtin, *(entry.name for entry in self._entry_points())}))

    def added(self) -> tuple[str, ...]:
        """Names that third parties have registered beside the built-in ones, sorted."""
        return tuple(sorted({entry.name for entry in self._entry_points()} - set(self._builtin)))

    def load(self, name: str) -> T:
        """Import the implementation called `name` and return an instance of it.

        Raises:
            UsageError: The name is unknown; lists the known ones. Or it is known and cannot be imported.
        """
        target = self._builtin.get(name)
        if target is not None:
            return cast("T", _import(target)())
        for entry in self._entry_points():
            if entry.name == name:
                adapter = self._groups[entry.group]
                try:
                    instance = entry.load()()
                    return cast("T", instance if adapter is None else _import(adapter)(instance))
                except Exception as error:
                    raise UsageError(
                        f"The {self._noun} {name!r} ({entry.value}) cannot be loaded: {error}",
                        hint="Reinstall or remove the package that provides it.",
                    ) from error
        raise self.unknown(name)

    def unknown(self, name: str) -> UsageError:
        """The error for a name that nobody registered."""
        known = self.names()
        import difflib

        close = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {close[0]!r}? " if close else ""
        hint += f"Known: {', '.join(known)}."
        return UsageError(f"Unknown {self._noun} {name!r}.", hint=hint)

    def _entry_points(self) -> tuple[importlib.metadata.EntryPoint, ...]:
        import importlib.metadata  # slow, and a built-in name never needs it

        return tuple(
            entry for group in self._groups for entry in importlib.metadata.entry_points(group=group)
        )


def _import(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)
