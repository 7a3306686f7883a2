"""The Python that a run is made again with."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from proj.environments.pythonspec import parse_python_spec, parse_version, show
from proj.errors import ProjError
from proj.reproduction.problems import Problem, problem_of

if TYPE_CHECKING:
    from proj.environments.pythonspec import PythonSpec
    from proj.record import EnvironmentRecord

_REQUIRES = re.compile(r'(?m)^requires-python = "(?P<spec>[^"]*)"')
_RUN_INSTEAD = "To try the project with another Python, run it: `proj run … --python VERSION`."


def find_interpreter(
    environment: EnvironmentRecord, lock: bytes | None, chosen: str | None, *, offline: bool
) -> tuple[str | None, Problem | None]:
    """The version to ask for, and what is wrong with it.

    Args:
        environment: What it ran in.
        lock: Its packages.
        chosen: `--python`; None: the very version that it ran in.
        offline: Whether none may be downloaded.
    """
    try:
        spec = parse_python_spec(chosen) if chosen is not None else None
    except ProjError as error:
        return None, problem_of("interpreter", error)
    if environment.kind != "python":
        return None, _refusal(environment, spec) if spec is not None else None
    wanted = chosen or environment.facts.python_version
    if wanted is None:
        return None, Problem(
            item="interpreter", message="Its version is not recorded.", hint="--python chooses one."
        )
    from proj.environments.choose import choose_python

    try:
        choice = choose_python(
            wanted,
            origin="--python" if chosen else "the record",
            exact=chosen is None,
            download=not offline,
        )
    except ProjError as error:
        minor = ".".join(wanted.split(".")[:2])
        hint = f"Install it (`uv python install {wanted}`)"
        hint += "." if chosen else f"; --python {minor} takes another patch of it."
        return wanted, Problem(item="interpreter", message=error.message, hint=hint)
    return wanted, _misfit(lock, choice.interpreter.version) if chosen is not None else None


def _misfit(lock: bytes | None, version: tuple[int, ...]) -> Problem | None:
    """What is wrong with a Python that the recorded lock has no packages for."""
    match = _REQUIRES.search((lock or b"").decode("utf-8", "replace"))
    if match is None:
        return None
    spec = parse_python_spec(match["spec"])
    if spec.allows(version):
        return None
    hint = f"--python {show(spec.minor)} takes any patch of it. " if spec.minor is not None else ""
    return Problem(
        item="interpreter",
        message=f"--python asks for {show(version)}, and the packages of the recorded lock were chosen for "
        f"Python {match['spec'].removeprefix('==')}.",
        hint=hint + _RUN_INSTEAD,
    )


def _refusal(environment: EnvironmentRecord, spec: PythonSpec) -> Problem | None:
    """Why another Python cannot be had, where it comes with something else that is recorded."""
    had = environment.facts.python_version
    if had is not None and _is_allowed(spec, had):
        return None
    whose = {
        "conda": "is one of the packages of the recorded lock",
        "system": "is the one that is found where `proj reproduce` is started",
    }.get(environment.kind, "comes with the image")
    which = f"Python, {had}," if had is not None else "Python"
    return Problem(
        item="interpreter",
        message=f"--python asks for {spec.text}, and the run's {which} {whose}: it cannot be another one.",
        hint=f"Leave out --python. {_RUN_INSTEAD}",
    )


def _is_allowed(spec: PythonSpec, had: str) -> bool:
    version = parse_version(had)
    if version is not None:
        return spec.allows(version)
    return spec.minor is not None and show(spec.minor) == had  # of an image only the minor is known
