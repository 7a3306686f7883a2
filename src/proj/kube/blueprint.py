"""All that a run's objects follow from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from proj.errors import UsageError
from proj.kube.names import slug
from proj.kube.parts import Bundle
from proj.kube.settings import Settings
from proj.kube.volumes import CACHE_DIR, ENVIRONMENT_DIR
from proj.model import DockerDeclaration, Execution

PREPARE = "proj-prepare"
"""Name of the init container that unpacks the code and makes the environment."""
ARTIFACTS = "artifacts.py"
PREPARER = "prepare.py"
LINKER = "link.py"
ACTIVATOR = "activate.sh"
_UNHASHED = "unhashed.txt"
"""Packages of the lock that have no hash: commits, and folders of the code, whose lines are paths."""
_MOST_IMAGE = 24
"""Characters of an image's name in that of its environments."""

Manifest = dict[str, Any]
"""A JSON object as the API server takes it."""


class Blueprint(msgspec.Struct, frozen=True, kw_only=True):
    """All that a run's Job follows from."""

    execution: Execution
    settings: Settings
    image: str
    bundle: Bundle | None = None
    """What the pod is brought; None: all is in the image."""
    lock_digest: str | None = None
    """Of the Python environment that is made in the pod; None: there is none to make."""
    python: str | None = None
    """The minor version that the lock is for."""
    conda_tool: str | None = None
    """What links its conda packages, as a requirement of pip's; None: it has none."""
    docker: DockerDeclaration | None = None
    path: tuple[str, ...] = ()
    """Folders of the image to put before its PATH."""
    image_variables: Mapping[str, str] = {}
    wrapper: tuple[str, ...] = ()
    """Words that the command is started behind."""
    plain_user: bool = False
    """Whether the image is known to do with any user."""

    @property
    def prepares(self) -> bool:
        """Whether an init container prepares it: it takes a second, so mere code is unpacked without."""
        return self.bundle is not None and self.lock_digest is not None

    @property
    def environment_dir(self) -> str:
        """Where the Python environment is."""
        if not self.shares or self.lock_digest is None:
            return f"{ENVIRONMENT_DIR}/venv"
        lock = self.lock_digest.partition(":")[2][:24] or self.lock_digest
        image = hashlib.sha256(self.image.encode()).hexdigest()[:12]
        return f"{CACHE_DIR}/{lock}-{slug(self.image, _MOST_IMAGE)}-{image}"

    @property
    def shares(self) -> bool:
        """Whether later runs find its environment: not one with folders of the code, which no lock knows."""
        if self.settings.cache_claim is None or self.lock_digest is None:
            return False
        files = [each.files for each in self.bundle.maps] if self.bundle is not None else []
        lines = b"".join(each.get(_UNHASHED, b"") for each in files).splitlines()
        return not any(line.startswith(b".") for line in lines)


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """What the objects of a run are called."""

    job: str
    namespace: str
    session: str

    @property
    def secret(self) -> str:
        """Of the run's own Secret."""
        return self.job


def secret_values(blueprint: Blueprint) -> dict[str, str]:
    """Variables whose values are seen nowhere."""
    execution = blueprint.execution
    return {name: execution.variables[name] for name in execution.secrets if name in execution.variables}


def merge(target: Manifest, key: str, values: Mapping[str, object]) -> None:
    """Add to a mapping of a manifest, which may not be there yet; what is added counts.

    Raises:
        UsageError: It is no mapping.
    """
    if values:
        known = target.get(key) or {}
        if not isinstance(known, dict):
            raise UsageError(
                f"The Job template's `{key}` is {known!r}, and no mapping: nothing can be added."
            )
        target[key] = {**known, **values}
