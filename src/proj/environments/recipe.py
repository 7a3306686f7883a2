"""Environments that are made where the command runs: a base image, and a lock of what goes on top of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING


from proj import events
from proj.environments.inputs import read_input
from proj.environments.lock import LOCK_NAME, find_lock, obtain_lock
from proj.environments.pythonspec import parse_python_spec, show
from proj.model import EnvironmentFacts, EnvironmentPlan, LockMode, PreparedEnvironment, RecipeRuntime

if TYPE_CHECKING:
    from proj.environments.base import Environment
    from proj.environments.choose import Choice
    from proj.environments.inputs import PythonInput
    from proj.environments.lock import Lock
    from proj.model import EnvironmentRequest


class RecipeEnvironment:
    """What a project declares, locked here and made in the pod; nothing is built. See `Environment`."""

    makes = RecipeRuntime

    def plan(self, request: EnvironmentRequest) -> EnvironmentPlan:
        """Say what `prepare` would do."""
        project = _declared(request)
        image = base_image(project, request)
        lock = None
        if project is not None:
            lock = find_lock(project, _choose(project, request, planning=True).interpreter, request)
        return EnvironmentPlan(
            kind="recipe",
            summary=_summary(project, image),
            built=project is None or lock is not None,
            lock_digest=lock.digest if lock is not None else None,
        )

    def prepare(self, request: EnvironmentRequest) -> PreparedEnvironment:
        """Lock the environment, or take the lock that is kept for it."""
        project = _declared(request)
        image = base_image(project, request)
        docker = request.declaration.docker if request.declaration is not None else None
        if project is None:
            runtime = RecipeRuntime(image=image, docker=docker)
            return PreparedEnvironment(
                kind="recipe", summary=_summary(None, image), runtime=runtime, reused=True
            )
        from proj.environments.python import input_notes

        notes = input_notes(project)
        for note in notes:
            events.warning(note)
        choice = _choose(project, request)
        lock = obtain_lock(project, choice.interpreter, request)
        return _prepared(project, image, choice, lock, notes)

    def facts(self, prepared: PreparedEnvironment) -> EnvironmentFacts:  # noqa: ARG002  the interface's signature
        """Nothing: it is not on this machine."""
        return EnvironmentFacts()


def _declared(request: EnvironmentRequest) -> PythonInput | None:
    """The Python environment to make; None where the image is all of it."""
    if request.manager == "local":
        return None
    if request.declaration is not None and request.declaration.kind == "docker_env":
        return None
    return read_input(request)


def base_image(project: PythonInput | None, request: EnvironmentRequest) -> str:
    """The image that the environment is made on top of: the project's own, the one asked for, or a stock one."""
    declaration = request.declaration
    if declaration is not None and declaration.docker is not None:
        return declaration.docker.image
    if request.image.base is not None:
        return request.image.base
    asked = request.python or (project.python if project is not None else None)
    minor = parse_python_spec(asked).minor if asked is not None else None
    return f"python:{show(minor or sys.version_info[:2])}-slim"


def _choose(project: PythonInput, request: EnvironmentRequest, *, planning: bool = False) -> Choice:
    """A Python of this machine to resolve with: that of the image counts by its minor version alone."""
    from proj.environments.choose import choose_python

    locked = project.shipped_lock is not None and request.mode is not LockMode.UPGRADE
    return choose_python(
        request.python or project.python,
        origin="--python" if request.python else project.origin,
        as_of_s=None if locked or project.requirements.hashed else request.as_of_s,
        download=not planning and not request.offline,
        remember=not planning,
    )


def _summary(project: PythonInput | None, image: str) -> str:
    return f"image {image}" if project is None else f"{project.origin} on {image}"


def _prepared(
    project: PythonInput, image: str, choice: Choice, lock: Lock, notes: tuple[str, ...]
) -> PreparedEnvironment:
    text = lock.text.encode("utf-8", "surrogateescape")
    runtime = RecipeRuntime(
        image=image,
        lock=text if lock.count else None,
        lock_digest=lock.digest if lock.count else None,
        python=show(choice.interpreter.version[:2]),
    )
    return PreparedEnvironment(
        kind="recipe",
        summary=_summary(project, image),
        runtime=runtime,
        lock=text,
        lock_name=LOCK_NAME,
        lock_digest=lock.digest,
        python_version=None,
        python_requested=choice.requested,
        as_of_s=lock.as_of_s,
        notes=(*notes, *lock.notes),
    )


if TYPE_CHECKING:
    _: Environment = RecipeEnvironment()
