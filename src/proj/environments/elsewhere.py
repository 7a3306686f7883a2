"""Locks for another Python than those of this machine: that of an image."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from proj.environments.choose import is_of_that_time
from proj.environments.installable import index_variables, installable
from proj.environments.interpreters import MINORS, Interpreter, current_interpreter
from proj.environments.lock import obtain_lock
from proj.environments.pythonspec import parse_python_spec, show
from proj.errors import EnvironmentFailedError
from proj.images.values import PackagesSpec

if TYPE_CHECKING:
    from proj.environments.inputs import PythonInput
    from proj.environments.lock import Lock
    from proj.model import EnvironmentRequest

_ANY_PATCH = 99


def minor_for(project: PythonInput | None, request: EnvironmentRequest) -> str:
    """The Python that an image for a project should have, where any can be had: such as `3.11`.

    It is chosen as for an environment on this machine: by what is asked for, else the Python that runs this
    program, else an older one where the packages are older.

    Raises:
        EnvironmentFailedError: There is no such Python.
    """
    asked = request.python or (project.python if project is not None else None)
    current = current_interpreter()
    spec = parse_python_spec(asked) if asked is not None else None
    if spec is not None and spec.minor is not None:
        return show(spec.minor)
    locked = project is not None and (project.shipped_lock is not None or project.requirements.hashed)
    as_of_s = None if locked else request.as_of_s
    minors = [
        minor
        for minor in sorted(MINORS, key=lambda minor: (minor != current.version[1], -minor))
        if spec is None or spec.allows((3, minor, 0)) or spec.allows((3, minor, _ANY_PATCH))
    ]
    if not minors:
        raise EnvironmentFailedError(f"No Python 3 is {asked}.", hint="Write a version such as 3.11.")
    for minor in minors:
        if is_of_that_time(msgspec.structs.replace(current, version=(3, minor, 0)), as_of_s):
            return f"3.{minor}"
    return f"3.{min(minors)}"


def lock_elsewhere(project: PythonInput, request: EnvironmentRequest, *, python: str, target: str) -> Lock:
    """The lock for a Python that is not on this machine: shipped, kept, else resolved now and kept.

    Args:
        project: What the project declares.
        request: What is asked for.
        python: Major and minor version.
        target: The platform, as uv names it: `Resolved.target` of `proj.images`.

    Raises:
        EnvironmentFailedError: It cannot be resolved, or needs code of this machine.
    """
    interpreter = Interpreter(
        path=current_interpreter().path,
        version=tuple(int(number) for number in python.split(".")),
        origin="an image",
        target=target,
    )
    lock = obtain_lock(project, interpreter, request)
    refuse_folders(lock.text, project.origin)
    return lock


def refuse_folders(lock: str, origin: str) -> None:
    """See that a lock needs no code of this machine.

    Args:
        lock: pylock.toml (PEP 751).
        origin: The file that it was made for.

    Raises:
        EnvironmentFailedError: It does.
    """
    folders = re.findall(r'(?m)^directory = \{[^\n]*\bpath = "([^"]*)"', lock)
    if folders:
        raise EnvironmentFailedError(
            f"{origin} installs {_named(folders[0])} as a package, which is not done in an image.",
            hint="The image has the project's files all the same: leave that line out and name the folder to "
            f"import from in the command, such as `PYTHONPATH={folders[0]} python …`; or write a "
            "Dockerfile that installs it, and name the image in `docker_env`.",
        )


def _named(folder: str) -> str:
    return "the project's own folder" if folder in ("", ".") else f"the folder `{folder}`"


def packages_spec(lock: Lock, project: PythonInput, request: EnvironmentRequest) -> PackagesSpec:
    """A lock as the assembly of images needs it: with the secrets of its URLs, and the project's indexes."""
    return PackagesSpec(
        lock=installable(lock, project, request).encode("utf-8", "surrogateescape"),
        variables=index_variables(project),
        offline=request.offline,
    )
