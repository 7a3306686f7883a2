"""A backend's settings as they are recorded: without what is secret, and with that filled in again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeGuard

import msgspec

from proj.process import is_secret, redact
from proj.process.redact import MASK

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLES = ("env", "environment")
"""Names of settings that hold variables: mappings of them, or lists of `name` and `value`."""


def recordable(config: str, *, by_name: bool) -> dict[str, object]:
    """Settings that may be kept: values of `environment`, and what is secret, are `***`.

    Args:
        config: A JSON object.
        by_name: Whether a setting may hold a password itself, as its name then says.
    """
    found = msgspec.json.decode(config, type=dict[str, object])
    return {name: _masked(value, name, by_name=by_name) for name, value in found.items()}


def _masked(value: object, name: str, *, by_name: bool) -> object:
    if isinstance(value, dict):
        hidden = name in _VARIABLES
        return {key: MASK if hidden else _masked(each, key, by_name=by_name) for key, each in value.items()}
    if isinstance(value, list):
        if name in _VARIABLES:
            return [{**each, "value": _listed(each)} if _is_variable(each) else each for each in value]
        return [_masked(each, name, by_name=by_name) for each in value]
    if isinstance(value, str):
        return MASK if by_name and is_secret(name.replace("-", "_"), value) else redact(value)
    return value


def _listed(variable: Mapping[str, object]) -> object:
    """The value of one of a list, such as a Job template has them: mostly plain ones, and Secrets beside."""
    name, value = str(variable["name"]), variable["value"]
    return (MASK if is_secret(name, value) else redact(value)) if isinstance(value, str) else value


def _is_variable(value: object) -> TypeGuard[dict[str, object]]:
    """Whether it is one of a list of variables, with its value."""
    return isinstance(value, dict) and "name" in value and "value" in value


def filled(
    settings: Mapping[str, object], known: Mapping[str, object]
) -> tuple[dict[str, object], list[str]]:
    """Recorded settings with what was left out: as it is known, or of variables as they are set here.

    Args:
        settings: As `recordable` gave them.
        known: Settings of other origin, such as the project file's.

    Returns:
        The settings, and the names of those that nobody knows.
    """
    lost: list[str] = []
    return {name: _filled(value, known.get(name), name, lost) for name, value in settings.items()}, lost


def _filled(value: object, known: object, name: str, lost: list[str]) -> object:
    if isinstance(value, dict):
        other = known if isinstance(known, dict) else {}
        if name in _VARIABLES:
            return {key: _known(each, other.get(key), key, lost, os.environ) for key, each in value.items()}
        return {key: _filled(each, other.get(key), key, lost) for key, each in value.items()}
    if isinstance(value, list):
        others = known if isinstance(known, list) and len(known) == len(value) else [None] * len(value)
        each_of = _variable if name in _VARIABLES else _filled
        return [each_of(each, other, name, lost) for each, other in zip(value, others, strict=True)]
    return _known(value, known, name, lost, {})


def _variable(value: object, known: object, _name: str, lost: list[str]) -> object:
    if not _is_variable(value):
        return value
    name = str(value["name"])
    same = _is_variable(known) and known["name"] == name
    other = known["value"] if _is_variable(known) and same else None
    return {**value, "value": _known(value["value"], other, name, lost, os.environ)}


def _known(value: object, known: object, name: str, lost: list[str], variables: Mapping[str, str]) -> object:
    if not isinstance(value, str) or MASK not in value:
        return value
    found = known if isinstance(known, str) else variables.get(name)
    if found is None:
        lost.append(name)
    return value if found is None else found
