from __future__ import annotations

import pytest

from proj.errors import UsageError
from proj.registry import Registry


def test_an_unknown_name_lists_the_known_ones() -> None:
    registry: Registry[object] = Registry("backend", {"local": "builtins:object"}, group="proj.none")
    with pytest.raises(UsageError) as caught:
        registry.load("locl")
    assert caught.value.hint is not None
    assert "local" in caught.value.hint


def test_a_known_name_is_imported_and_instantiated() -> None:
    registry: Registry[object] = Registry("thing", {"object": "builtins:object"}, group="proj.none")
    assert type(registry.load("object")) is object
