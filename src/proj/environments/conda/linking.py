"""Linking the conda packages of a lock into a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj import events
from proj.environments.conda.hints import hint_for
from proj.environments.conda.messages import Link, Linked
from proj.environments.conda.service import ask

if TYPE_CHECKING:
    from pathlib import Path

    from proj.environments.conda.declared import CondaProject
    from proj.environments.conda.lock import CondaLock
    from proj.model import EnvironmentRequest


def link(
    lock: CondaLock,
    project: CondaProject,
    prefix: Path,
    request: EnvironmentRequest,
    *,
    target_prefix: str | None = None,
    scripts: bool = True,
) -> None:
    """Download the conda packages of a lock, check their hashes, and link them into a prefix.

    Args:
        lock: The lock; may be for another platform than this machine's.
        project: Whose channels are spoken to.
        prefix: The folder, which is made; files are hard links into the package cache where they can be.
        request: The request.
        target_prefix: Where the prefix will be when it is used, such as in an image: the paths inside are for
            that place. None: `prefix`.
        scripts: Whether the packages' post-link scripts run; elsewhere than in their place they never do.

    Raises:
        EnvironmentFailedError: A package cannot be had, or is not the one that is locked.
    """
    from proj.environments.conda.service import current_platform

    here = target_prefix is None and lock.platform == current_platform()
    events.progress(f"Linking {len(lock.packages)} conda packages")
    ask(
        Link(
            packages=lock.packages, prefix=str(prefix), target_prefix=target_prefix, platform=lock.platform,
            scripts=scripts and here, network=project.network(request),
            folder=str(request.packages.absolute()) if request.packages is not None else None,
        ),
        Linked, what=f"Cannot install the conda packages of {project.origin}",
        hints=lambda failed: hint_for(failed, project, request, lock.packages), secrets=project.secrets,
        variables=project.settings.variables(),
    )  # fmt: skip
