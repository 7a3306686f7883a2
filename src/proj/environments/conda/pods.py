"""Conda packages on their way into a pod, which links them itself: where it gets each of them."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING

import msgspec

from proj.environments.conda.channels import access, at_mirror
from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proj.environments.conda.declared import CondaProject
    from proj.environments.conda.lock import CondaLock
    from proj.environments.conda.messages import Locked

_HINT = "Have an image made here: `repository-uri` in the backend's settings, and --delivery image."


def pod_list(lock: CondaLock, project: CondaProject) -> str:
    """The packages of a lock as an explicit list for a pod: from mirrors, where there are some.

    Raises:
        EnvironmentFailedError: One is on this machine's disk, or behind a login.
    """
    mirrors = project.mirrors
    packages = tuple(_reached(locked, mirrors) for locked in lock.packages)
    return msgspec.structs.replace(lock, packages=packages).explicit()


def _reached(locked: Locked, mirrors: Mapping[str, tuple[str, ...]]) -> Locked:
    url = at_mirror(locked.url, mirrors)
    channel = url.rpartition("/")[0].rpartition("/")[0]
    if access(channel).secrets:
        clean = locked.url.rpartition("/")[0].rpartition("/")[0]
        raise EnvironmentFailedError(
            f"The channel {clean} needs a login, which a pod does not have.", hint=_HINT
        )
    if url.startswith("file:"):
        raise EnvironmentFailedError(f"{url} is on this machine, which a pod does not have.", hint=_HINT)
    return msgspec.structs.replace(locked, url=url)


def linking_tool() -> str:
    """What links conda packages in a pod, as a requirement of pip's: the version that is here."""
    return f"py-rattler=={importlib.metadata.version('py-rattler')}"
