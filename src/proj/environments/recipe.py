"""Environments that are made where the command runs: a base image, and a lock of what goes on top of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj import events
from proj.environments.elsewhere import minor_for
from proj.environments.imaged import base_name, declared_packages, facts_of, is_conda
from proj.environments.interpreters import Interpreter, current_interpreter
from proj.environments.lock import LOCK_NAME, find_lock, obtain_lock
from proj.errors import EnvironmentFailedError, ImageError
from proj.images.pulling import at_digest
from proj.model import EnvironmentFacts, EnvironmentPlan, PreparedEnvironment, RecipeRuntime

if TYPE_CHECKING:
    from proj.environments.base import Environment
    from proj.environments.conda.target import Target
    from proj.environments.inputs import PythonInput
    from proj.environments.lock import Lock
    from proj.model import EnvironmentRequest

_PLATFORM = "linux/amd64"
_TARGETS = {"linux/amd64": "x86_64-manylinux_2_28", "linux/arm64": "aarch64-manylinux_2_28"}
"""Platform -> what uv calls it; images of Debian 10 and later have that glibc."""
_CONDA_BASE = "python:3.12-slim"
"""What conda packages are linked with needs a Python; the environment brings its own."""


class RecipeEnvironment:
    """What a project declares, locked here and made in the pod; nothing is built. See `Environment`."""

    makes = RecipeRuntime

    def plan(self, request: EnvironmentRequest) -> EnvironmentPlan:
        """Say what `prepare` would do."""
        project = declared_packages(request)
        image = base_image(project, request)
        lock = None
        if is_conda(project, request):
            return _conda_plan(request, _summary(project, image))
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
        image = _as_it_ran(base_image(project, request), request)
        docker = request.declaration.docker if request.declaration is not None else None
        if project is None:
            runtime = RecipeRuntime(image=image, digest=_digest_of(image), docker=docker)
            return PreparedEnvironment(
                kind="recipe", summary=_summary(None, image), runtime=runtime, reused=True
            )
        if is_conda(project, request):
            return _conda_prepared(project, request, image)
        from proj.environments.python import input_notes

        notes = input_notes(project)
        for note in notes:
            events.warning(note)
        interpreter = _interpreter(project, request)
        lock = obtain_lock(project, interpreter, request)
        return _prepared(project, request, image, lock, notes)

    def facts(self, prepared: PreparedEnvironment) -> EnvironmentFacts:
        """Of Python packages nothing: they are not on this machine. Of conda's, what the lock names."""
        return EnvironmentFacts() if prepared.lock_name in (None, LOCK_NAME) else facts_of(prepared)


def base_image(project: PythonInput | None, request: EnvironmentRequest) -> str:
    """The image that the environment is made on top of: the project's own, the one asked for, a stock one."""
    declaration = request.declaration
    if declaration is not None and declaration.docker is not None:
        return declaration.docker.image
    if is_conda(project, request):
        return request.image.base or _CONDA_BASE
    return base_name(project, request)


def _as_it_ran(image: str, request: EnvironmentRequest) -> str:
    """The image of a run that is made again, by the digest that ran; else what its name means now."""
    asked = request.image
    if "@" in image or (asked.recorded_digest is None and asked.recorded_id is None):
        return image
    if asked.recorded_digest is None:
        events.warning(
            f"The image that ran is known by its id alone, {(asked.recorded_id or '')[:19]}, and cannot be "
            f"pulled by it. What {image} is now is used, which may be another image."
        )
        return image
    pinned = asked.recorded_reference or ""
    if not pinned.endswith(f"@{asked.recorded_digest}"):
        pinned = at_digest(image, asked.recorded_digest)
    if _is_gone(pinned, request):
        events.warning(
            f"The image that ran, {pinned}, is not in its registry any more. "
            f"What {image} is now is used, which is another image."
        )
        return image
    return pinned


def _is_gone(pinned: str, request: EnvironmentRequest) -> bool:
    """Whether a registry says that it has no such image; one that cannot be asked may answer the cluster."""
    if request.offline:
        return False
    from proj import images

    try:
        return not images.is_pushed(pinned, insecure=request.image.insecure)
    except ImageError:
        return False


def _digest_of(image: str) -> str | None:
    """What an image is that was named by its digest."""
    return image.partition("@")[2] or None


def _wheels(request: EnvironmentRequest) -> str:
    """The platform of the image's wheels, as uv names it."""
    platform = request.image.platform or _PLATFORM
    target = _TARGETS.get(platform)
    if target is None:
        raise EnvironmentFailedError(
            f"The platform {platform} is not known.", hint=f"Known are {', '.join(_TARGETS)}."
        )
    return target


def _interpreter(project: PythonInput, request: EnvironmentRequest) -> Interpreter:
    """The image's Python, as far as a lock has to know it; it need not be on this machine."""
    target = _wheels(request)
    minor = minor_for(project, request)
    version = tuple(int(number) for number in minor.split("."))
    return Interpreter(path=current_interpreter().path, version=version, origin="an image", target=target)


def _summary(project: PythonInput | None, image: str) -> str:
    return f"image {image}" if project is None else f"{project.origin} on {image}"


def _prepared(
    project: PythonInput,
    request: EnvironmentRequest,
    image: str,
    lock: Lock,
    notes: tuple[str, ...],
) -> PreparedEnvironment:
    text = lock.text.encode("utf-8", "surrogateescape")
    runtime = RecipeRuntime(
        image=image,
        digest=_digest_of(image),
        lock=text if lock.count else None,
        lock_digest=lock.digest if lock.count else None,
        python=minor_for(project, request),
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


# --- of conda packages --------------------------------------------------------------------------------


def _conda_target(request: EnvironmentRequest) -> Target:
    """The pod, of which nobody knows more than its platform."""
    from proj.environments.conda.target import target_for

    platform = request.image.platform or _PLATFORM
    return target_for(platform, wheels=_wheels(request), libc="glibc", glibc=None, name="the pod")


def _conda_plan(request: EnvironmentRequest, summary: str) -> EnvironmentPlan:
    from proj.environments.conda.declared import read_project
    from proj.environments.conda.lock import find_lock

    target = _conda_target(request)
    project = read_project(request, target.platform)
    lock = find_lock(project, target.platform, request, "rattler", target)
    digest = lock.digest if lock is not None else None
    return EnvironmentPlan(kind="recipe", summary=summary, built=lock is not None, lock_digest=digest)


def _conda_prepared(declared: PythonInput, request: EnvironmentRequest, image: str) -> PreparedEnvironment:
    from proj.environments.conda.declared import read_project
    from proj.environments.conda.lock import lock_name, obtain_lock
    from proj.environments.conda.pods import linking_tool, pod_list

    target = _conda_target(request)
    project = read_project(request, target.platform)
    for warning in project.warnings:
        events.warning(warning)
    lock = obtain_lock(project, target.platform, request, None, target)
    runtime = RecipeRuntime(
        image=image,
        digest=_digest_of(image),
        lock=lock.pip.encode("utf-8", "surrogateescape") if lock.pip_lock.count else None,
        conda=pod_list(lock, project).encode(),
        tool=linking_tool(),
        lock_digest=lock.digest,
        variables=dict(project.variables),
    )
    return PreparedEnvironment(
        kind="recipe",
        summary=_summary(declared, runtime.image),
        runtime=runtime,
        lock=lock.text().encode("utf-8", "surrogateescape"),
        lock_name=lock_name(target.platform),
        lock_digest=lock.digest,
        python_version=lock.python,
        python_requested=request.python or declared.python,
        as_of_s=lock.as_of_s,
        notes=(*project.warnings, *lock.notes),
    )


if TYPE_CHECKING:
    _: Environment = RecipeEnvironment()
