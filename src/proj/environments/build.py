"""Lock to environment: a virtual environment that holds exactly what the lock says."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from proj import events
from proj.environments.cache import Entry, Marker
from proj.environments.failures import NETWORK_DISABLED, tool_failure
from proj.environments.installable import index_variables, installable
from proj.environments.lock import LOCK_NAME, local_paths
from proj.environments.resolve import build_arguments
from proj.environments.sourcetree import copy_of, kept_clean
from proj.environments.uv import call_uv, is_offline, work_folder
from proj.environments.variables import expanded_values, hide_in_installed

if TYPE_CHECKING:
    from proj.environments.inputs import PythonInput
    from proj.environments.interpreters import Interpreter
    from proj.environments.lock import Lock
    from proj.model import EnvironmentRequest
    from proj.process import Completed


def build(
    entry: Entry, project: PythonInput, interpreter: Interpreter, lock: Lock, request: EnvironmentRequest
) -> tuple[Marker, bool]:
    """Build an environment in its place, unless another process has done so meanwhile.

    Returns:
        Its marker, and whether it was built here.

    Raises:
        EnvironmentFailedError: It cannot be built; nothing half-built is left.
    """

    def make(folder: Path) -> Marker:
        if request.manager == "virtualenv":
            from proj.environments.virtualenv import install
        else:
            install = _install
        noun = "package" if lock.count == 1 else "packages"
        events.step(f"Installing {lock.count} {noun} for Python {interpreter.version_text}")
        install(folder, project, interpreter, lock, request)
        hide_in_installed(folder, expanded_values(project.requirements))
        return Marker(
            folder=folder.name, kind="python", origin=project.origin, manager=request.manager or "uv",
            interpreter=interpreter.path, python_version=interpreter.version_text,
            lock_digest=lock.digest, lock_text=lock.text, as_of_s=lock.as_of_s,
            project_dir=str(request.project_dir.absolute()),
            local=tuple(path for path, editable in local_paths(lock.text) if editable),
            created_s=int(time.time()),
        )  # fmt: skip

    return entry.build(make)


def _install(
    folder: Path, project: PythonInput, interpreter: Interpreter, lock: Lock, request: EnvironmentRequest
) -> None:
    python = interpreter.version_text
    with work_folder() as work:
        made = call_uv(
            ["venv", str(folder), "--python", interpreter.path, "--no-project", "--prompt", "proj"],
            cwd=work, variables=index_variables(project), offline=request.offline,
        )  # fmt: skip
        if made.returncode != 0:
            raise tool_failure(
                f"Cannot make an environment of {interpreter.path}", made,
                as_of_s=None, offline=request.offline, python=python,
            )  # fmt: skip
    if lock.count:
        install_packages(folder, project, python, lock, request)


def install_packages(
    folder: Path, project: PythonInput, python: str, lock: Lock, request: EnvironmentRequest
) -> None:
    """Install exactly what a lock says into an environment that is there, by uv.

    Args:
        folder: The environment: a virtual one or conda's.
        project: Whose indexes and credentials count.
        python: The version of its Python, for messages.
        lock: The lock.
        request: The request.

    Raises:
        EnvironmentFailedError: A package cannot be had or built.
    """
    with work_folder() as work:
        text = installable(lock, project, request)
        installed = _install_lock(folder, work, index_variables(project), text, lock, request)
    if installed.returncode != 0:
        raise tool_failure(
            f"Cannot install the packages of {project.origin} for Python {python}", installed,
            as_of_s=lock.as_of_s, offline=request.offline, python=python,
            hidden=expanded_values(project.requirements),
        )  # fmt: skip


def _install_lock(
    folder: Path,
    work: Path,
    variables: dict[str, str | None],
    text: str,
    lock: Lock,
    request: EnvironmentRequest,
) -> Completed:
    local = [path for path, _ in local_paths(text)]
    offline = is_offline(request.offline)
    if offline:
        text = _with_copies(text, work)
    (work / LOCK_NAME).write_text(text, encoding="utf-8", errors="surrogateescape")
    arguments = ["pip", "install", "--python", str(folder / "bin" / "python"), "--no-deps"]
    arguments += ["-r", str(work / LOCK_NAME), *build_arguments(work, lock.as_of_s, lock.build_needs)]
    refresh = [] if offline else _refresh(lock)
    if not offline and not refresh:
        # What is cached needs no network, but uv would ask the index about each file: that takes longer
        # than installing. What is not cached is found out before anything is installed.
        cached = call_uv(arguments, cwd=work, variables=variables, offline=True)
        if cached.returncode == 0 or not re.search(NETWORK_DISABLED, cached.stderr):
            return cached
    with kept_clean(local):
        return call_uv([*arguments, *refresh], cwd=work, variables=variables, offline=offline)


def _with_copies(lock: str, work: Path) -> str:
    """The lock with local folders replaced by copies: see `_refresh`, which needs the network's leave."""
    for path, editable in local_paths(lock):
        if not editable and Path(path).is_dir():
            lock = lock.replace(f'path = "{path}"', f'path = "{copy_of(Path(path), work)}"')
    return lock


def _refresh(lock: Lock) -> list[str]:
    """Local folders are to be built anew: uv knows them by the times of their metadata files alone."""
    arguments: list[str] = []
    for block in lock.text.split("[[packages]]")[1:]:
        name = re.search(r'(?m)^name = "([^"]+)"', block)
        if name and re.search(r"(?m)^directory = ", block):
            arguments += ["--refresh-package", name[1]]
    return arguments
