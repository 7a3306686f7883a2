"""Environments of Python packages: locked by uv, built by uv or by virtualenv and pip."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj import events
from proj.environments.cache import Entry
from proj.environments.inputs import read_input
from proj.environments.lock import LOCK_NAME, find_lock, local_paths, obtain_lock, without_editable
from proj.errors import EnvironmentFailedError
from proj.model import EnvironmentFacts, EnvironmentPlan, HostRuntime, LockMode, PreparedEnvironment

if TYPE_CHECKING:
    from proj.environments.base import Environment
    from proj.environments.cache import Marker
    from proj.environments.choose import Choice
    from proj.environments.inputs import PythonInput
    from proj.environments.lock import Lock
    from proj.model import EnvironmentRequest


class PythonEnvironment:
    """What python_env.yaml, requirements.txt, pyproject.toml and the like declare. See `Environment`."""

    def plan(self, request: EnvironmentRequest) -> EnvironmentPlan:
        """Say what `prepare` would do, without network access and without writing."""
        project = _declared(request)
        choice = _choose(project, request, planning=True)
        lock = find_lock(project, choice.interpreter, request)
        lock = without_editable(lock, request.project_dir) if lock is not None else None
        entry = Entry(_key(lock, choice, request)) if lock is not None else None
        marker = entry.ready() if entry is not None else None
        return EnvironmentPlan(
            kind="python",
            summary=_summary(project, choice),
            built=marker is not None,
            directory=entry.path / marker.folder if entry is not None and marker is not None else None,
            lock_digest=lock.digest if lock is not None else None,
        )

    def prepare(self, request: EnvironmentRequest) -> PreparedEnvironment:
        """Lock, build or reuse the environment."""
        project = _declared(request)
        notes = input_notes(project)
        for note in notes:
            events.warning(note)
        choice = _choose(project, request)
        for note in choice.notes:
            events.note(note)
        obtained = obtain_lock(project, choice.interpreter, request)
        lock = without_editable(obtained, request.project_dir)
        notes = (*notes, *tell_taken(project, lock))
        entry = Entry(_key(lock, choice, request))
        marker = entry.ready()
        reused = marker is not None
        if marker is None:
            from proj.environments.build import build

            marker, built = build(entry, project, choice.interpreter, lock, request)
            reused = not built
        prepared = _prepared(
            entry, marker, lock, choice, summary=_summary(project, choice), reused=reused,
            notes=(*notes, *choice.notes, *lock.notes),
        )  # fmt: skip
        return prepared if lock.text == obtained.text else _with_sources(prepared, obtained, request)

    def facts(self, prepared: PreparedEnvironment) -> EnvironmentFacts:
        """Find out what is in it; starts no process."""
        from proj.environments.facts import virtual_environment_facts

        return virtual_environment_facts(prepared.directory) if prepared.directory else EnvironmentFacts()


def _declared(request: EnvironmentRequest) -> PythonInput:
    project = read_input(request)
    if project is None:
        raise EnvironmentFailedError(
            "The project declares no Python environment.",
            hint="Add a python_env.yaml or requirements.txt, or use --env-manager local.",
        )
    return without_conda(project, request)


def without_conda(project: PythonInput, request: EnvironmentRequest) -> PythonInput:
    """What a project declares with its conda packages taken from PyPI, as far as there are any.

    Raises:
        EnvironmentFailedError: PyPI has nothing for one of them, and it may not be left out.
    """
    if project.conda is None or not project.dropped_conda:
        return project
    from proj.environments.conda.names import by_name
    from proj.environments.conda.service import current_platform
    from proj.environments.requirements import requirement_name

    others = tuple(spec for spec in project.conda.specs if spec.written in project.dropped_conda)
    found = by_name(others, current_platform())
    requirements = project.requirements
    named = {requirement_name(line) for line in requirements.lines}
    lines = tuple(line for line in found.lines if requirement_name(line) not in named)
    return msgspec.structs.replace(
        project, requirements=msgspec.structs.replace(requirements, lines=(*lines, *requirements.lines)),
        from_conda=tuple(pair for pair in found.written if pair[0] not in named), absent=found.absent,
        drop_missing=request.drop_missing, dropped_conda=(), warnings=(*project.warnings, *found.notes),
    )  # fmt: skip


def _choose(project: PythonInput, request: EnvironmentRequest, *, planning: bool = False) -> Choice:
    from proj.environments.choose import choose_python

    locked = project.shipped_lock is not None and request.mode is not LockMode.UPGRADE
    return choose_python(
        request.python or project.python,
        origin="--python" if request.python else project.origin,
        exact=request.python_match == "exact",
        as_of_s=None if locked or project.requirements.hashed else request.as_of_s,
        download=not planning and not request.offline,
        remember=not planning,
        retry=request.mode is LockMode.UPGRADE,
    )


def input_notes(project: PythonInput) -> tuple[str, ...]:
    """What is to be told about what a project declares."""
    return project.warnings


def tell_taken(project: PythonInput, lock: Lock) -> tuple[str, ...]:
    """Tell what of a conda file was taken from PyPI, and what left out; the same is to be recorded."""
    if not project.from_conda and not project.absent:
        return ()
    from proj.environments.conda.names import taken_notes

    notes = taken_notes(project, lock.text)
    for note in notes:
        events.warning(note)
    return notes


def _summary(project: PythonInput, choice: Choice) -> str:
    return f"python {choice.interpreter.version_text} from {project.origin}"


def _key(lock: Lock, choice: Choice, request: EnvironmentRequest) -> str:
    """What names an environment: its lock, its interpreter, its installer, and the local code in it."""
    sha = hashlib.sha256()
    manager = "virtualenv" if request.manager == "virtualenv" else "uv"
    parts = ["environment 1", lock.digest, choice.interpreter.path, choice.interpreter.version_text, manager]
    parts += local_parts(lock.text, request.project_dir)
    sha.update(msgspec.json.encode(parts))
    return sha.hexdigest()[:20]


def local_parts(lock: str, project_dir: Path) -> list[str]:
    """What an environment depends on of local code: of copies the content, of others the place."""
    parts: list[str] = []
    for path, editable in local_paths(lock):
        absolute = os.path.normpath(os.path.join(os.path.realpath(project_dir), path))  # noqa: PTH118  text
        if editable:
            parts += ["editable", absolute]
        else:
            from proj.environments.localcode import content_digest

            parts += ["local", path, content_digest(Path(absolute))]
    return parts


def _with_sources(
    prepared: PreparedEnvironment, lock: Lock, request: EnvironmentRequest
) -> PreparedEnvironment:
    """The environment with the checkout's own code before its copies; see `proj.environments.overlay`."""
    from proj.environments.overlay import source_folders

    runtime, directory = prepared.runtime, prepared.directory
    assert isinstance(runtime, HostRuntime)  # noqa: S101  as made by _prepared
    assert directory is not None  # noqa: S101  same
    folders = source_folders(lock.text, request.project_dir, directory)
    if not folders:
        return prepared
    path = os.pathsep.join(filter(None, (*folders, os.environ.get("PYTHONPATH"))))
    runtime = msgspec.structs.replace(runtime, variables={**runtime.variables, "PYTHONPATH": path})
    return msgspec.structs.replace(prepared, runtime=runtime)


def _prepared(
    entry: Entry,
    marker: Marker,
    lock: Lock,
    choice: Choice,
    *,
    summary: str,
    reused: bool,
    notes: tuple[str, ...],
) -> PreparedEnvironment:
    folder = entry.path / marker.folder
    return PreparedEnvironment(
        kind="python",
        summary=summary,
        runtime=HostRuntime(
            path=(str(folder / "bin"),),
            variables={
                "VIRTUAL_ENV": str(folder),
                "PYTHONHOME": None,
                "CONDA_PREFIX": None,
                "PYENV_VERSION": None,
            },
        ),
        directory=folder,
        lock=lock.text.encode("utf-8", "surrogateescape"),
        lock_name=LOCK_NAME,
        lock_digest=lock.digest,
        python_version=marker.python_version,
        python_requested=choice.requested,
        as_of_s=lock.as_of_s,
        reused=reused,
        notes=notes,
    )


if TYPE_CHECKING:
    _: Environment = PythonEnvironment()
