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

_TEMPLATE, _TEMPLATE_PATH = "kube-job-template", "kube-job-template-path"


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
    kept = {name: value for name, value in (recorded or {}).items() if name not in chosen}
    try:
        found, lost = filled(kept, _known(project, kept) if kept else {})
        if recorded is not None:  # of all places: what the project file says is among them
            if _TEMPLATE in found:
                found.pop(
                    _TEMPLATE_PATH, None
                )  # what it was then is there; the file may be another one by now
            extensions = msgspec.structs.replace(project.extensions, kubernetes="{}")
            project = msgspec.structs.replace(project, extensions=extensions)
        config = msgspec.json.encode({**found, **chosen}).decode()
        configure = getattr(BACKENDS.load(backend), "configure", None)
        if configure is not None:
            config, image = configure(config, project, image)
    except ProjError as error:
        problem = problem_of("backend", error, hint="--backend-config gives its settings anew.")
        return Configured(config="{}", image=image, problems=(problem,))
    return Configured(config=config, image=image, problems=tuple(map(_unknown, sorted(set(lost)))))


def _known(project: Project, kept: Mapping[str, object]) -> dict[str, object]:
    """What the project's own files say, which a record need not repeat."""
    known = msgspec.json.decode(project.extensions.kubernetes, type=dict[str, object])
    path = kept.get(_TEMPLATE_PATH)
    if isinstance(path, str) and (project.directory / path).is_file():
        from proj.kube.template import read_template

        file = project.directory.absolute() / path
        known[_TEMPLATE] = read_template(str(file), project.directory)
    return known


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
