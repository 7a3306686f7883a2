"""Environments that are made where the command runs: a base image, and a lock of what goes on top of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj import events
from proj.environments.elsewhere import minor_for
from proj.environments.imaged import base_name, declared_packages
from proj.environments.interpreters import Interpreter, current_interpreter
from proj.environments.lock import LOCK_NAME, find_lock, obtain_lock
from proj.environments.pythonspec import show
from proj.errors import EnvironmentFailedError
from proj.model import EnvironmentFacts, EnvironmentPlan, PreparedEnvironment, RecipeRuntime

if TYPE_CHECKING:
    from proj.environments.base import Environment
    from proj.environments.inputs import PythonInput
    from proj.environments.lock import Lock
    from proj.model import EnvironmentRequest

_PLATFORM = "linux/amd64"
_TARGETS = {"linux/amd64": "x86_64-manylinux_2_28", "linux/arm64": "aarch64-manylinux_2_28"}
"""Platform -> what uv calls it; images of Debian 10 and later have that glibc."""


class RecipeEnvironment:
    """What a project declares, locked here and made in the pod; nothing is built. See `Environment`."""

    makes = RecipeRuntime

    def plan(self, request: EnvironmentRequest) -> EnvironmentPlan:
        """Say what `prepare` would do."""
        project = declared_packages(request)
        image = base_image(project, request)
        lock = None
        if project is not None:
            lock = find_lock(project, _interpreter(project, request), request)
        return EnvironmentPlan(
            kind="recipe",
            summary=_summary(project, image),
            built=project is None or lock is not None,
            lock_digest=lock.digest if lock is not None else None,
        )

    def prepare(self, request: EnvironmentRequest) -> PreparedEnvironment:
        """Lock the environment, or take the lock that is kept for it."""
        project = declared_packages(request)
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
        interpreter = _interpreter(project, request)
        lock = obtain_lock(project, interpreter, request)
        return _prepared(project, request, interpreter, lock, notes)

    def facts(self, prepared: PreparedEnvironment) -> EnvironmentFacts:  # noqa: ARG002  the interface's signature
        """Nothing: it is not on this machine."""
        return EnvironmentFacts()


def base_image(project: PythonInput | None, request: EnvironmentRequest) -> str:
    """The image that the environment is made on top of: the project's own, the one asked for, a stock one."""
    declaration = request.declaration
    if declaration is not None and declaration.docker is not None:
        return declaration.docker.image
    return base_name(project, request)


def _interpreter(project: PythonInput, request: EnvironmentRequest) -> Interpreter:
    """The image's Python, as far as a lock has to know it; it need not be on this machine."""
    platform = request.image.platform or _PLATFORM
    target = _TARGETS.get(platform)
    if target is None:
        raise EnvironmentFailedError(
            f"The platform {platform} is not known.", hint=f"Known are {', '.join(_TARGETS)}."
        )
    minor = minor_for(project, request)
    version = tuple(int(number) for number in minor.split("."))
    return Interpreter(path=current_interpreter().path, version=version, origin="an image", target=target)


def _summary(project: PythonInput | None, image: str) -> str:
    return f"image {image}" if project is None else f"{project.origin} on {image}"


def _prepared(
    project: PythonInput,
    request: EnvironmentRequest,
    interpreter: Interpreter,
    lock: Lock,
    notes: tuple[str, ...],
) -> PreparedEnvironment:
    image = base_image(project, request)
    text = lock.text.encode("utf-8", "surrogateescape")
    runtime = RecipeRuntime(
        image=image,
        lock=text if lock.count else None,
        lock_digest=lock.digest if lock.count else None,
        python=show(interpreter.version[:2]),
    )
    return PreparedEnvironment(
        kind="recipe",
        summary=_summary(project, image),
        runtime=runtime,
        lock=text,
        lock_name=LOCK_NAME,
        lock_digest=lock.digest,
        python_version=None,
        python_requested=request.python or project.python,
        as_of_s=lock.as_of_s,
        notes=(*notes, *lock.notes),
    )


if TYPE_CHECKING:
    _: Environment = RecipeEnvironment()
