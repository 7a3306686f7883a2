"""An entry point and the values given for it -> bound values."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from proj.errors import UsageError
from proj.model import BoundParameter, ParameterKind
from proj.values import problem, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from proj.model import EntryPoint, Parameter

_SCHEME: Final = r"([A-Za-z][A-Za-z0-9+.-]+):"
"""Two characters at least: `C:` is a drive. As in MLflow, no `//` is needed (`dbfs:/x`, `runs:/x`)."""
_NOTED: Final = 40
"""How much of a value a note shows, in characters."""


def parse_assignments(items: Sequence[str]) -> dict[str, str]:
    """The values of `-P NAME=VALUE` options.

    Args:
        items: Each is split at its first `=`.

    Returns:
        Name -> value, byte for byte, in the order given.

    Raises:
        UsageError: An item without `=` or without a name, or a name that is given twice.
    """
    values: dict[str, str] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise UsageError(f"Invalid format for -P parameter: '{item}'. Use -P name=value.")
        if name in values:
            raise UsageError(f"Repeated parameter: '{name}'", hint="Give each parameter once.")
        values[name] = value
    return values


def bind(
    entry_point: EntryPoint,
    given: Mapping[str, str],
    *,
    caller_dir: Path,
    project_dir: Path,
    download: Callable[[str], Path],
) -> tuple[BoundParameter, ...]:
    """Give each parameter its value.

    Args:
        entry_point: What is to run.
        given: The user's values; they win over defaults.
        caller_dir: Where the user stands: given relative paths start here.
        project_dir: The project's folder: relative defaults start here.
        download: Fetches a URI given for a parameter of type `path`; called once all other values are known
            to be good.

    Returns:
        Declared parameters in their order, then the undeclared ones in the order given.

    Raises:
        UsageError: Values are missing, ill-typed, out of range, not among the choices, or name no file; the
            message lists all of them.
    """
    problems: list[str] = []
    missing: list[str] = []
    values: list[tuple[Parameter, str]] = []
    for parameter in entry_point.parameters:
        value = given.get(parameter.name, parameter.default)
        if value is None:
            missing.append(parameter.name)
            continue
        wrong = _problem(parameter, value, given, caller_dir, project_dir)
        if wrong is not None:
            problems.append(f"Parameter `{parameter.name}` {wrong}.")
        values.append((parameter, value))
    names = {parameter.name for parameter in entry_point.parameters}
    extra = [name for name in given if name not in names]
    if missing or problems:
        raise _refusal(entry_point, missing, problems, extra)
    bound = [
        BoundParameter(
            name=parameter.name,
            given=value,
            value=_resolve(parameter, value, _bases(parameter, given, caller_dir, project_dir), download),
            kind=parameter.kind,
        )
        for parameter, value in values
    ]
    bound += [
        BoundParameter(name=name, given=given[name], value=given[name], declared=False) for name in extra
    ]
    return tuple(bound)


def undeclared_notes(entry_point: EntryPoint, given: Mapping[str, str]) -> tuple[str, ...]:
    """What to tell of values given for names that no one declared, where they are likely slips.

    Args:
        entry_point: What is to run.
        given: The user's values.

    Returns:
        A sentence or two for each name that resembles a declared one without a value of its own.
    """
    declared = {parameter.name for parameter in entry_point.parameters}
    free = [parameter.name for parameter in entry_point.parameters if parameter.name not in given]
    notes = []
    for name, value in given.items():
        if name in declared:
            continue
        for _, meant in _slips(free, [name])[:1]:
            import shlex

            passed = shlex.join([f"--{name}", value if len(value) <= _NOTED else f"{value[: _NOTED - 1]}…"])
            notes.append(f"-P {name} is not declared; it is passed as {passed}. Did you mean {meant}?")
    return tuple(notes)


def _refusal(
    entry_point: EntryPoint, missing: list[str], problems: list[str], extra: list[str]
) -> UsageError:
    lines = list(problems)
    hints = []
    if missing:
        listed = ", ".join(f"'{name}'" for name in missing)
        lines.insert(0, f"No value given for missing parameters: {listed}.")
        hints.append("Give them with " + " ".join(f"-P {name}=VALUE" for name in missing) + ".")
        slips = _slips(missing, extra)
        hints += [f"Did you mean `{name}` with `{written}`?" for written, name in slips]
    head = f"Entry point `{entry_point.name}` cannot run with these parameters:"
    message = lines[0] if len(lines) == 1 else "\n".join([head, *(f"  {line}" for line in lines)])
    return UsageError(message, hint=" ".join(hints) or None)


def _slips(missing: Iterable[str], extra: Sequence[str]) -> list[tuple[str, str]]:
    """Names given that no one declared, each with the missing one that it resembles."""
    import difflib  # only an error pays for it

    folded = {written.casefold().replace("-", "_"): written for written in extra}
    return [
        (folded[match], name)
        for name in missing
        for match in difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.7)
    ]


def _bases(
    parameter: Parameter, given: Mapping[str, str], caller_dir: Path, project_dir: Path
) -> tuple[Path, ...]:
    return (caller_dir,) if parameter.name in given else (project_dir, caller_dir)


def _problem(
    parameter: Parameter, value: str, given: Mapping[str, str], caller_dir: Path, project_dir: Path
) -> str | None:
    """What is wrong with a value; a default of any form is fine, as MLflow runs it."""
    if "\0" in value:
        return "holds a NUL, which no program can be given"
    if value != parameter.default:
        wrong = problem(parameter, value)
        if wrong is not None:
            return f"({parameter.declared_type}) {wrong}"
    if parameter.kind is ParameterKind.PATH and value:
        local = _local(value)
        bases = _bases(parameter, given, caller_dir, project_dir)
        if local is not None and _existing(local, bases) is None:
            where = " or ".join(dict.fromkeys(map(str, bases)))
            return f"(path) names {shown(value)}, which does not exist in {where}"
    return None


def _resolve(
    parameter: Parameter, value: str, bases: tuple[Path, ...], download: Callable[[str], Path]
) -> str:
    """What the command receives."""
    if parameter.kind is ParameterKind.PATH and value:
        local = _local(value)
        if local is None:
            return str(download(value))
        return _existing(local, bases) or value
    if parameter.kind is ParameterKind.URI and value and re.match(_SCHEME, value) is None:
        return _existing(value, bases) or _absolute(value, bases[0])
    return value


def _local(value: str) -> str | None:
    """The path that a value means on this machine; None for a URI that is to be downloaded."""
    scheme = re.match(_SCHEME, value)
    if scheme is None:
        return value
    if scheme[1].lower() == "file":
        from urllib.parse import unquote, urlsplit  # only `file:` URIs pay for it

        parts = urlsplit(value)
        if parts.netloc in ("", "localhost"):
            return unquote(parts.path)
    return None


def _existing(path: str, bases: tuple[Path, ...]) -> str | None:
    for base in bases:
        candidate = _absolute(path, base)
        if os.path.exists(candidate):  # noqa: PTH110  paths are strings here, kept as they are written
            return candidate
        behind_links = os.path.join(base, path)  # noqa: PTH118  as the command itself would find it
        if ".." in path and os.path.exists(behind_links):  # noqa: PTH110  same
            return os.path.realpath(behind_links)
    if path.startswith("~"):  # a shell does not expand it behind `-P name=`
        home = os.path.expanduser(path)  # noqa: PTH111  an unknown user is no error here
        return home if os.path.exists(home) else None  # noqa: PTH110  same
    return None


def _absolute(path: str, base: Path) -> str:
    return os.path.abspath(os.path.join(base, path))  # noqa: PTH100, PTH118  links are kept, as in MLflow
