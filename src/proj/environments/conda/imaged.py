"""A project's conda environment for an image: locked for the image's platform, and made a layer of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj import events
from proj.environments.conda.activation import static_variables
from proj.environments.conda.declared import read_project
from proj.environments.conda.explicit import name_version_build
from proj.environments.conda.lock import lock_name, obtain_lock
from proj.environments.conda.service import INSTALL_HINT, is_installed
from proj.environments.conda.target import target_of
from proj.environments.elsewhere import refuse_folders
from proj.errors import EnvironmentFailedError
from proj.images.values import ACTIVATE, ENVIRONMENT
from proj.model import Package

if TYPE_CHECKING:
    from proj.environments.conda.declared import CondaProject
    from proj.environments.conda.lock import CondaLock
    from proj.environments.conda.target import Target
    from proj.images import Layer, Resolved
    from proj.model import EnvironmentRequest

DEFAULT_BASE = "debian:12-slim"
"""It has glibc and shells, and nothing else that conda would bring."""
WRAPPER = ("sh", ACTIVATE)
"""What commands are started behind."""


class CondaContents:
    """The environment of one project for one image.

    Args:
        request: What is asked for.
        resolved: The base image.

    Raises:
        EnvironmentFailedError: It cannot be solved, or not be put into this image.
    """

    def __init__(self, request: EnvironmentRequest, resolved: Resolved) -> None:
        refuse_program(request)
        self._request = request
        self.target: Target = target_of(resolved)
        self.project: CondaProject = read_project(request, self.target.platform)
        for warning in self.project.warnings:
            events.warning(warning)
        self.lock: CondaLock = locked_for(self.project, self.target, request)

    @property
    def lock_name(self) -> str:
        """The name of the lock's file."""
        return lock_name(self.target.platform)

    @property
    def python(self) -> str | None:
        """The version of its Python; None where it has none."""
        return self.lock.python

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be recorded of it."""
        return (*self.project.warnings, *self.lock.notes)

    @property
    def variables(self) -> dict[str, str | None]:
        """Variables of the image; None removes one."""
        from pathlib import Path

        nowhere = Path(ENVIRONMENT)  # what packages set is in the layer
        return static_variables(nowhere, self.project.variables, name=ENVIRONMENT, packages=False)

    def layer(self, *, compress: bool = False) -> Layer:
        """The environment as a layer.

        Raises:
            EnvironmentFailedError: A package cannot be had.
            ImageError: A package of the `pip:` section has no wheel that fits.
        """
        from proj.environments.conda.layer import conda_layer

        layer = conda_layer(self.lock, self.project, self._request, self.target, compress=compress)
        for note in layer.notes:
            events.warning(note)
        return layer


def locked_for(project: CondaProject, target: Target, request: EnvironmentRequest) -> CondaLock:
    """The lock of a project for an image.

    Raises:
        EnvironmentFailedError: It cannot be solved, or needs folders of this machine.
    """
    lock = obtain_lock(project, target.platform, request, None, target)
    refuse_folders(lock.pip, project.origin)
    return lock


def refuse_program(request: EnvironmentRequest) -> None:
    """See that rattler is here and may be used: a conda program installs for the machine that it runs on.

    Raises:
        EnvironmentFailedError: It is not, or another program is asked for.
    """
    if request.conda_exe is not None:
        raise EnvironmentFailedError(
            f"{request.conda_exe} makes conda environments for this machine alone, and not for an image.",
            hint="Leave out --conda-exe (PROJ_CONDA_EXE): rattler, of `proj[conda]`, puts them into images.",
        )
    if not is_installed():
        raise EnvironmentFailedError(
            "There is nothing here that puts conda packages into an image.",
            hint=f"{INSTALL_HINT}; --env-manager uv takes what PyPI has of them.",
        )


def packages_in_lock(text: str) -> tuple[Package, ...]:
    """The conda packages that an explicit list names."""
    from proj.environments.conda.explicit import entries

    named = [name_version_build(entry.url) for entry in entries(text) if entry.url is not None]
    return tuple(Package(name=name, version=version) for name, version, _ in named)
