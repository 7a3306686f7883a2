"""Environments of conda packages; see `proj.environments.conda`."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from proj import events
from proj.environments.cache import Entry
from proj.environments.conda.activation import activated
from proj.environments.conda.declared import read_project
from proj.environments.conda.lock import find_lock, lock_name, obtain_lock
from proj.environments.conda.program import chosen_program
from proj.environments.conda.service import current_platform
from proj.environments.lock import without_editable
from proj.environments.python import local_parts
from proj.model import EnvironmentFacts, EnvironmentPlan, PreparedEnvironment

if TYPE_CHECKING:
    from proj.environments.base import Environment
    from proj.environments.cache import Marker
    from proj.environments.conda.declared import CondaProject
    from proj.environments.conda.lock import CondaLock
    from proj.model import EnvironmentRequest


class CondaEnvironment:
    """What conda.yaml, explicit lists and the locks of conda-lock and pixi declare. See `Environment`."""

    def plan(self, request: EnvironmentRequest) -> EnvironmentPlan:
        """Say what `prepare` would do, without network access and without writing."""
        platform = current_platform()
        project = read_project(request, platform)
        program = chosen_program(request)
        lock = find_lock(project, platform, request, program.kind if program is not None else "rattler")
        lock = _settled(lock, request) if lock is not None else None
        entry = Entry(_key(lock, request)) if lock is not None else None
        marker = entry.ready() if entry is not None else None
        return EnvironmentPlan(
            kind="conda",
            summary=_summary(project),
            built=marker is not None,
            directory=entry.path / marker.folder if entry is not None and marker is not None else None,
            lock_digest=lock.digest if lock is not None else None,
        )

    def prepare(self, request: EnvironmentRequest) -> PreparedEnvironment:
        """Lock, build or reuse the environment."""
        platform = current_platform()
        project = read_project(request, platform)
        for warning in project.warnings:
            events.warning(warning)
        program = chosen_program(request)
        obtained = obtain_lock(project, platform, request, program)
        lock = _settled(obtained, request)
        entry = Entry(_key(lock, request))
        marker = entry.ready()
        reused = marker is not None
        if marker is None:
            from proj.environments.conda.build import build

            marker, built = build(entry, project, lock, request, program)
            reused = not built
        return _prepared(entry, marker, lock, project, request, reused=reused)

    def facts(self, prepared: PreparedEnvironment) -> EnvironmentFacts:
        """Find out what is in it; starts no process."""
        from proj.environments.conda.facts import conda_facts

        return conda_facts(prepared.directory) if prepared.directory else EnvironmentFacts()


def _settled(lock: CondaLock, request: EnvironmentRequest) -> CondaLock:
    """The lock as it is built here: see `without_editable`."""
    return msgspec.structs.replace(lock, pip=without_editable(lock.pip_lock, request.project_dir).text)


def _summary(project: CondaProject) -> str:
    return f"conda packages from {project.origin}"


def _key(lock: CondaLock, request: EnvironmentRequest) -> str:
    """What names an environment: its lock, and the local code in it."""
    parts = ["conda environment 1", lock.digest, *local_parts(lock.pip, request.project_dir)]
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:20]


def _prepared(
    entry: Entry,
    marker: Marker,
    lock: CondaLock,
    project: CondaProject,
    request: EnvironmentRequest,
    *,
    reused: bool,
) -> PreparedEnvironment:
    folder = entry.path / marker.folder
    python = next((spec for spec in project.specs if spec.name == "python"), None)
    runtime, said = activated(folder, project.variables, name=str(folder))
    return PreparedEnvironment(
        kind="conda",
        summary=_summary(project),
        runtime=runtime,
        directory=folder,
        lock=lock.text().encode("utf-8", "surrogateescape"),
        lock_name=lock_name(lock.platform),
        lock_digest=lock.digest,
        python_version=marker.python_version or None,
        python_requested=request.python
        or (python.version if python is not None and python.version else None),
        as_of_s=lock.as_of_s,
        reused=reused,
        notes=(*project.warnings, *lock.notes, *said),
    )


if TYPE_CHECKING:
    _: Environment = CondaEnvironment()
