"""The settings of its backend that a run is made again with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from proj.backends import BACKENDS
from proj.backends.settings import filled
from proj.errors import ProjError
from proj.model import ImageRequest
from proj.reproduction.problems import Problem, problem_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proj.model import EnvironmentRequest, Project

_TEMPLATES = ("kube-job-template", "kube-job-template-path")


class Configured(msgspec.Struct, frozen=True, kw_only=True):
    """Settings as a backend takes them."""

    config: str
    """A JSON object."""
    image: ImageRequest
    """With what they say of the image."""
    problems: tuple[Problem, ...] = ()


def configured(
    backend: str,
    recorded: Mapping[str, object] | None,
    given: str,
    project: Project,
    image: ImageRequest,
) -> Configured:
    """The settings as they were recorded, with those that are given now.

    Args:
        backend: Where the run is made again.
        recorded: The settings; None: none were recorded, and the project file's count.
        given: Settings that count before them, a JSON object.
        project: As it ran.
        image: What is asked of the image.
    """
    chosen = msgspec.json.decode(given, type=dict[str, object])
    kept = dict(recorded or {})
    if any(name in chosen for name in _TEMPLATES):
        kept = {name: value for name, value in kept.items() if name not in _TEMPLATES}
    kept = {name: value for name, value in kept.items() if name not in chosen}
    known = msgspec.json.decode(project.extensions.kubernetes, type=dict[str, object])
    found, lost = filled(kept, known)
    config = given
    try:
        if recorded is not None:
            project, config = _with_settings(backend, project, found, given)
        configure = getattr(BACKENDS.load(backend), "configure", None)
        if configure is not None:
            config, image = configure(config, project, image)
    except ProjError as error:
        problem = problem_of("backend", error, hint="--backend-config gives its settings anew.")
        return Configured(config="{}", image=image, problems=(problem,))
    return Configured(config=config, image=image, problems=tuple(map(_unknown, sorted(set(lost)))))


def _with_settings(
    backend: str, project: Project, recorded: Mapping[str, object], given: str
) -> tuple[Project, str]:
    """Give recorded settings their place: that of the project file's, which are among them.

    A record may be a stranger's, as a project file may be: what only the user can allow is not theirs to say.
    """
    if not hasattr(BACKENDS.load(backend), "configure"):
        chosen = msgspec.json.decode(given, type=dict[str, object])
        return project, msgspec.json.encode({**recorded, **chosen}).decode()
    text = msgspec.json.encode(recorded).decode()
    extensions = msgspec.structs.replace(project.extensions, kubernetes=text)
    return msgspec.structs.replace(project, extensions=extensions), given


def _unknown(name: str) -> Problem:
    return Problem(
        item="backend",
        message=f"The value of {name} among the backend's settings is in no record.",
        hint=f"--backend-config gives the setting that has it; for a variable, `export {name}=…` will do.",
    )


def environment_of(kind: str, wanted: EnvironmentRequest) -> str:
    """What kind of environment it runs in: on a cluster, that is for the settings to say."""
    if wanted.target != "cluster" or kind not in ("recipe", "image", "container"):
        return kind
    from proj.environments.select import select

    return select(wanted)
