"""How a resolution is gone about, and what is changed when the resolver's answer is no."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from proj.environments.failures import iso_date
from proj.environments.requirements import requirement_name
from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from proj.environments.inputs import PythonInput
    from proj.process import Completed

_UNDATED = re.compile(r"`([A-Za-z0-9_.]+?)-\d[^`]*` is missing an upload date")
# The line goes on with the version's date where it has one.
_FILTERED = re.compile(r"`([A-Za-z0-9_.-]+)` was filtered by `exclude-newer`(?!.*\bpublished at)")
_FAILED_BUILD = re.compile(r"Failed to (?:download and )?build `?([A-Za-z0-9_.-]+?)(?:==|\s@|`)")
_MISSING_MODULE = re.compile(
    r"ModuleNotFoundError: No module named '([A-Za-z0-9_]+)|ImportError: No module named (\w+)"
)
# Modules that setup scripts import, by distribution where the name is another.
_DISTRIBUTION = {
    "Cython": "cython",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "pkg_resources": "setuptools<82",
}
_NOT_FOUND = re.compile(
    r"(?:[Bb]ecause|and|that) ([A-Za-z0-9_.-]+) was not found in the "
    r"(?:package registry|provided package locations)"
)
_NO_VERSION = re.compile(
    r"(?:there (?:is no version|are no versions) of|only the following versions of|only) "
    r"([A-Za-z0-9_.-]+?)(?=[=<>!~ ]|$)"
)
_STANDARD_BUILD = ("setuptools<82", "wheel")


class Strategy(msgspec.Struct):
    """How the next attempt goes about it."""

    as_of_s: int | None
    find_links: bool
    build: tuple[str, ...]
    undated: set[str]
    """Distributions for which the date does not count."""
    build_needs: dict[str, tuple[str, ...]]
    """Distribution -> what its build needs and does not say."""
    editable: bool
    """Whether editable local packages are installed as such."""
    notes: list[str]
    provided: dict[str, str] = {}
    """What is there already and stays: left out of the lock."""
    missing: set[str] = set()
    """Distributions of conda packages that the index has not."""
    loosened: set[str] = set()
    """Distributions of conda packages of which the index has no such version."""


def adapt(strategy: Strategy, completed: Completed, project: PythonInput) -> bool:
    """Change the strategy after a failure; False if there is nothing left to try."""
    said = completed.stderr
    if (
        _adapt_editable(strategy, said)
        or _adapt_build(strategy, said)
        or _adapt_provided(strategy, said)
        or _adapt_missing(strategy, said, project)
    ):
        return True
    if "No solution found" not in said and "not found" not in said:
        return False
    if _adapt_dates(strategy, said):
        return True
    if not strategy.find_links:
        strategy.find_links = True
        return True
    if strategy.build != _unpinned(project.build) and _blames(said, strategy.build):
        strategy.build = _unpinned(project.build)
        strategy.notes.append(
            "The versions of build_dependencies contradict the dependencies and were not enforced."
        )
        return True
    return False


def _adapt_provided(strategy: Strategy, said: str) -> bool:
    """Let pip replace what is there already where the requirements do not go with it."""
    if not strategy.provided or "No solution found" not in said:
        return False
    squeezed = re.sub(r"\s", "", said).lower()
    blamed = [
        name for name, version in strategy.provided.items()
        if f"{name}=={version}" in squeezed or f"{name}=={version.lower()}" in squeezed
    ]  # fmt: skip
    for name in blamed:
        version = strategy.provided.pop(name)
        strategy.notes.append(f"The `pip:` section replaces {name} {version} of conda.")
    return bool(blamed)


def _adapt_missing(strategy: Strategy, said: str, project: PythonInput) -> bool:
    """Find out which of conda's packages, and if some may be left out which versions, the index has not."""
    names = dict(project.from_conda)
    squeezed = re.sub(r"\s+", " ", said)
    missing = {requirement_name(name) for name in _NOT_FOUND.findall(squeezed)} & set(
        names
    ) - strategy.missing
    if missing:
        strategy.missing |= missing
        return True
    if not project.drop_missing:
        return False
    blamed = {requirement_name(name) for name in _NO_VERSION.findall(squeezed)} & set(names)
    loosened = blamed - strategy.loosened - strategy.missing
    for name in sorted(loosened):
        strategy.notes.append(f"PyPI has no {names[name]}: another version of it is taken.")
    strategy.loosened |= loosened
    return bool(loosened)


def refuse_missing(project: PythonInput, strategy: Strategy) -> None:
    """Refuse what PyPI has not of a conda file, unless it may be left out."""
    names = dict(project.from_conda)
    absent = [*project.absent, *(names[name] for name in sorted(strategy.missing))]
    if not absent or project.drop_missing:
        return
    raise EnvironmentFailedError(
        f"{project.origin} asks for conda packages that PyPI has nothing for: {', '.join(absent)}.",
        hint="--drop-missing leaves them out. Without --env-manager, they come from conda's channels.",
    )


def _unpinned(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The requirements without their versions; markers stay."""
    split = [line.partition(";") for line in lines]
    return tuple(f"{requirement_name(line)} {semicolon}{marker}".strip() for line, semicolon, marker in split)


def _blames(said: str, lines: tuple[str, ...]) -> bool:
    """Whether the resolver's explanation names one of these pins."""
    squeezed = re.sub(r"\s", "", said)
    pins = (re.sub(r"\s", "", line.partition(";")[0]) for line in lines)
    return any(pin in squeezed for pin in pins if pin != requirement_name(pin))


def _adapt_dates(strategy: Strategy, said: str) -> bool:
    undated = {requirement_name(name) for name in _UNDATED.findall(said)}
    if strategy.as_of_s is None or not undated:
        return False
    filtered = {requirement_name(name) for name in _FILTERED.findall(said)}
    exempt = (undated & filtered) - strategy.undated
    if exempt:
        strategy.undated |= exempt
        return True
    if "published at" in said:
        return False  # a date is known, and it is too young
    date = iso_date(strategy.as_of_s)
    note = f"A package index tells no upload dates: packages are those of today, not of {date}."
    strategy.as_of_s = None
    strategy.undated = set()
    strategy.notes.append(note)
    return True


def _adapt_editable(strategy: Strategy, said: str) -> bool:
    """Build tools from before PEP 660 (setuptools 64, 2022) cannot make editable installs in this way."""
    if not strategy.editable or "build_editable" not in said:
        return False
    strategy.editable = False
    strategy.notes.append(
        "The build tools of that time know no editable installs (PEP 660): local packages are installed "
        "as copies, anew whenever their code changes."
    )
    return True


def _adapt_build(strategy: Strategy, said: str) -> bool:
    """A setup script that imports what it does not declare gets it, as in the days before build isolation."""
    failed = _FAILED_BUILD.search(said)
    missing = _MISSING_MODULE.findall(said)
    if failed is None or not missing:
        return False
    module = next(filter(None, missing[-1]))
    name = requirement_name(failed[1])
    need = _DISTRIBUTION.get(module, module)
    known = strategy.build_needs.get(name, ())
    if need in known or len(known) > len(_STANDARD_BUILD) + 4:
        return False
    strategy.build_needs[name] = (*(known or _STANDARD_BUILD), need)
    note = f"{name} needs {need} to be built and does not say so; it was provided."
    strategy.notes.append(note)
    return True


def undated_note(lock: str, strategy: Strategy) -> tuple[str, ...]:
    """What to say of a lock for whose packages the date did not count; nothing else is said."""
    if not strategy.undated or strategy.as_of_s is None:
        return ()
    chosen = [name for name in sorted(strategy.undated) if f'name = "{name}"' in lock]
    if not chosen:
        return ()
    shown = ", ".join(chosen)
    note = f"No upload date is known of {shown}: the date {iso_date(strategy.as_of_s)} does not count for it."
    return (note,)
