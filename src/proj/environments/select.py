"""Which kind of environment serves a request."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from proj import events
from proj.errors import EnvironmentFailedError, UsageError

if TYPE_CHECKING:
    from proj.environments.inputs import PythonInput
    from proj.model import EnvironmentRequest

_MANAGERS = ("local", "uv", "virtualenv", "conda")
ORDER = (
    "python_env.yaml",
    "conda.yaml",
    "conda.yml",
    "uv.lock",
    "pyproject.toml",
    "requirements.txt",
    "setup.py",
    "environment.yml",
    "environment.yaml",
    "conda-lock.yml",
    "pixi.lock",
    "pylock.toml",
)
"""Files that are looked for, in this order, where a project names no environment."""


def select(request: EnvironmentRequest) -> str:
    """The registry name of the environment that serves a request.

    Says by an event when the project declares nothing and the current environment is used.

    Raises:
        UsageError: The manager is unknown, or does not go with what the project names.
        EnvironmentFailedError: The project needs something that this installation cannot make.
    """
    manager = request.manager
    check_manager(manager)
    if manager is not None and manager not in _MANAGERS:
        return manager  # a third party's
    declaration = request.declaration
    if request.target != "host":
        return _in_container(request)
    if manager == "local":
        return "system"
    if declaration is not None and declaration.kind == "docker_env":
        image = declaration.docker.image if declaration.docker else "an image"
        raise EnvironmentFailedError(
            f"The project runs in the Docker image {image}.",
            hint="docker_env projects need the docker backend; --env-manager local runs the command here.",
        )
    if manager == "conda" and declaration is not None and declaration.kind == "python_env":
        raise UsageError(
            "The project has a python_env, which conda cannot make.",
            hint="Leave out --env-manager conda, or use --env-manager uv or virtualenv.",
        )
    found = None if _declares_nothing(request) else _read(request)
    if found is None:
        events.note(
            "The project declares no environment: its command runs in the current one. "
            "A python_env.yaml or requirements.txt would make the run reproducible."
        )
        return "system"
    check_conda(found, manager)
    if by_conda(found, manager):
        from proj.environments.conda.program import chosen_program

        chosen_program(request)  # refuses here what cannot be made here
        return "conda"
    return "python"


def _declares_nothing(request: EnvironmentRequest) -> bool:
    """Whether there is no file that could declare an environment: none has to be read then."""
    if request.script is not None or request.declaration is not None:
        return False
    return not any(os.path.isfile(os.path.join(request.project_dir, name)) for name in ORDER)  # noqa: PTH113, PTH118  on each run


def _read(request: EnvironmentRequest) -> PythonInput | None:
    from proj.environments.inputs import read_input

    return read_input(request)


def _in_container(request: EnvironmentRequest) -> str:
    if request.target == "cluster" and request.image.repository is None:
        return "recipe"
    declaration = request.declaration
    return "image" if declaration is not None and declaration.kind == "docker_env" else "container"


def by_conda(found: PythonInput, manager: str | None) -> bool:
    """Whether conda packages make the environment: of a file that needs none only if that is asked for."""
    return found.kind == "conda" and (manager == "conda" or (manager is None and found.needs_conda))


def check_manager(manager: str | None) -> None:
    """See that there is an environment manager of that name: one of ours, or of a third party.

    Raises:
        UsageError: There is none.
    """
    if manager is None or manager in _MANAGERS:
        return
    from proj.environments import ENVIRONMENTS

    added = ENVIRONMENTS.added()
    if manager in added:
        return
    import difflib

    known = sorted({*_MANAGERS, *added})
    close = difflib.get_close_matches(manager, known, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    raise UsageError(f"Unknown environment manager {manager!r}.", hint=f"{hint}Known: {', '.join(known)}.")


def check_conda(found: PythonInput, manager: str | None) -> None:
    """See to it that what makes the environment goes with the file that declares it.

    Raises:
        UsageError: conda is asked for, and the file is none of conda's, or the other way round.
    """
    if manager == "conda" and found.kind != "conda":
        raise UsageError(
            f"The environment comes from {found.origin}, which is no conda file.",
            hint="Leave out --env-manager conda.",
        )
    if found.conda is None and found.kind == "conda" and manager in ("uv", "virtualenv"):
        raise UsageError(
            f"{found.origin} is a list of conda packages, which {manager} cannot install.",
            hint="Leave out --env-manager, or write a conda.yaml.",
        )
