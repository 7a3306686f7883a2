"""Lock to environment: conda packages linked from the cache, then the `pip:` section by uv."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from proj import events
from proj.environments.build import install_packages
from proj.environments.cache import Entry, Marker
from proj.environments.conda.linking import link
from proj.environments.conda.pip import interpreter_of
from proj.environments.lock import local_paths
from proj.environments.variables import expanded_values, hide_in_installed
from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from pathlib import Path

    from proj.environments.conda.declared import CondaProject
    from proj.environments.conda.lock import CondaLock
    from proj.environments.conda.program import Program
    from proj.model import EnvironmentRequest


def build(
    entry: Entry, project: CondaProject, lock: CondaLock, request: EnvironmentRequest, program: Program | None
) -> tuple[Marker, bool]:
    """Build an environment in its place, unless another process has done so meanwhile.

    Returns:
        Its marker, and whether it was built here.

    Raises:
        EnvironmentFailedError: It cannot be built; nothing half-built is left.
    """

    def make(folder: Path) -> Marker:
        count = lock.count
        events.step(f"Installing {count} package{'s' * (count != 1)} of {project.origin} for {lock.platform}")
        if program is not None:
            program.install(lock, folder, project, request)
        else:
            link(lock, project, folder, request)
        _install_pip(folder, project, lock, request)
        python = interpreter_of(folder)
        return Marker(
            folder=folder.name, kind="conda", origin=project.origin,
            manager=program.kind if program is not None else "rattler",
            interpreter=python.path if python is not None else "",
            python_version=python.version_text if python is not None else "",
            lock_digest=lock.digest, lock_text=lock.text(), as_of_s=lock.as_of_s,
            project_dir=str(request.project_dir.absolute()),
            local=tuple(path for path, editable in local_paths(lock.pip) if editable),
            created_s=int(time.time()),
        )  # fmt: skip

    return entry.build(make)


def _install_pip(folder: Path, project: CondaProject, lock: CondaLock, request: EnvironmentRequest) -> None:
    if not lock.pip_lock.count:
        return
    python = interpreter_of(folder)
    if python is None:
        raise EnvironmentFailedError(f"The lock of {project.origin} has pip packages and no Python.")
    # An installer must not take the environment for the system's own (PEP 668), as newer conda Pythons say.
    for marker in folder.glob("lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()
    install_packages(folder, project.pip, python.version_text, lock.pip_lock, request)
    hide_in_installed(folder, expanded_values(project.pip.requirements))
