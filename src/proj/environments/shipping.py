"""Writing a lock into the project, to be committed with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from proj import events
from proj.environments.cache import write_atomically
from proj.environments.choose import choose_python
from proj.environments.inputs import read_input
from proj.environments.lock import LOCK_NAME, obtain_lock
from proj.environments.python import input_notes, without_conda
from proj.environments.select import by_conda, check_conda, check_manager
from proj.errors import EnvironmentFailedError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from proj.model import EnvironmentRequest


class WrittenLock(msgspec.Struct, frozen=True, kw_only=True):
    """A lock that now stands beside the project file."""

    path: str
    packages: int
    digest: str
    python_version: str
    """Empty where the lock brings its own."""
    changed: bool
    """Whether it differs from the one that stood there."""


def write_lock(request: EnvironmentRequest) -> WrittenLock:
    """Lock the project's environment into `pylock.toml` in its folder, or into a list of conda packages.

    Args:
        request: `mode` UPGRADE resolves anew; else the lock kept for this input is taken.

    Raises:
        UsageError: The project has a uv.lock, which is its lock, or declares nothing; or there is no such
            environment manager.
        EnvironmentFailedError: It cannot be resolved.
    """
    check_manager(request.manager)
    project = read_input(request)
    if project is None or project.origin == LOCK_NAME:
        raise UsageError(
            "The project declares no requirements to lock.", hint="Add a python_env.yaml or requirements.txt."
        )
    check_conda(project, request.manager)
    if by_conda(project, request.manager):
        return _write_conda_lock(request)
    project = without_conda(project, request)
    for note in input_notes(project):
        events.warning(note)
    if project.shipped_lock is not None and project.shipped_lock.name == "uv.lock":
        raise UsageError("The project's lock is its uv.lock.", hint="`uv lock` renews it.")
    project = msgspec.structs.replace(project, shipped_lock=None)
    choice = choose_python(
        request.python or project.python, origin="--python" if request.python else project.origin,
        exact=request.python_match == "exact", as_of_s=request.as_of_s, download=not request.offline,
    )  # fmt: skip
    lock = obtain_lock(project, choice.interpreter, request)
    path = request.project_dir / LOCK_NAME
    return WrittenLock(
        path=str(path), packages=lock.count, digest=lock.digest,
        python_version=choice.interpreter.version_text, changed=_write(path, lock.text),
    )  # fmt: skip


def _write_conda_lock(request: EnvironmentRequest) -> WrittenLock:
    from proj.environments.conda.declared import read_project
    from proj.environments.conda.lock import lock_name, obtain_lock
    from proj.environments.conda.program import chosen_program
    from proj.environments.conda.service import current_platform

    platform = current_platform()
    declared = read_project(request, platform)
    if not declared.specs:
        raise UsageError(
            f"{declared.origin} is a lock already.", hint="Lock anew with the tool that wrote it."
        )
    for warning in declared.warnings:
        events.warning(warning)
    declared = msgspec.structs.replace(declared, lock_file=None)
    lock = obtain_lock(declared, platform, request, chosen_program(request))
    path = request.project_dir / lock_name(platform)
    return WrittenLock(
        path=str(path), packages=lock.count, digest=lock.digest, python_version="",
        changed=_write(path, lock.text()),
    )  # fmt: skip


def _write(path: Path, text: str) -> bool:
    content = text.encode("utf-8", "surrogateescape")
    try:
        if path.read_bytes() == content:
            return False
    except FileNotFoundError:
        pass
    except OSError as error:
        raise EnvironmentFailedError(f"Cannot read {path}: {error.strerror}.") from error
    write_atomically(path, content)
    return True
