"""The environment that a run is made again in: what is asked for, and whether it can be had."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

from proj import events, planning
from proj.environments import ENVIRONMENTS
from proj.errors import ProjError
from proj.model import EnvironmentRequest, ImageRequest
from proj.reproduction import backend, surroundings
from proj.reproduction.problems import Problem, problem_of, problem_of_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

    from proj import record
    from proj.model import Checkout, EntryPoint, Project
    from proj.reproduction.preflight import Options
    from proj.reproduction.recipe import Recipe

_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")


def lock_problems(recipe: Recipe, environment: record.EnvironmentRecord) -> Iterator[Problem]:
    """What of the record of an environment is unknown here, or gone."""
    if environment.kind not in ENVIRONMENTS.names():
        yield Problem(
            item="environment",
            message=f"It is of the kind {environment.kind!r}, which is unknown here.",
            hint="Install what provides it.",
        )
    if environment.lock is not None and recipe.lock is None:
        yield Problem(item="packages", message=f"Their lock, {environment.lock}, is gone from the record.")
    if environment.kind in ("python", "conda") and environment.lock is None:
        yield Problem(item="packages", message="Their lock was not recorded.")


def image_of(recipe: Recipe) -> ImageRequest:
    """What ran, so that it is taken again: an image by its id or digest, a base by its digest."""
    environment = recipe.environment
    image = environment.image if environment is not None else None
    if environment is None or image is None:
        return ImageRequest()
    return ImageRequest(
        base=None if environment.kind == "image" else image.base or image.name,
        bake=environment.kind == "image" and image.has_code,
        recorded_id=image.image_id,
        recorded_digest=image.digest,
        recorded_reference=image.reference,
        recorded_base=image.base_digest,
    )


def manager_of(recipe: Recipe) -> str | None:
    """The `--env-manager` that makes an environment of the recorded kind."""
    kind = recipe.environment.kind if recipe.environment is not None else ""
    return {"python": "uv", "system": "local", "conda": "conda"}.get(kind)


def request_for(
    recipe: Recipe,
    options: Options,
    checkout: Checkout,
    project: Project | None,
    entry_point: EntryPoint | None,
    *,
    python: str | None,
    image: ImageRequest,
) -> EnvironmentRequest:
    """What is asked for, so that the environment is as it was.

    Args:
        recipe: What the run was made of.
        options: How it is made again.
        checkout: Its code, restored.
        project: None where it cannot be read, which is a problem already; so for the entry point.
        entry_point: What runs.
        python: The version to ask for.
        image: As `image_of` and the backend's settings say.
    """
    request = EnvironmentRequest(
        project_dir=checkout.project_dir,
        root=checkout.root,
        target=_target(recipe.backend),
        image=image,
        subdir=planning.below(checkout),
        outputs=project.extensions.outputs if project is not None else (),
        declaration=project.environment if project is not None else None,
        script=entry_point.script if entry_point is not None else None,
        manager=manager_of(recipe),
        python=python,
        python_match="exact" if options.python is None else "nearest",
        lock=recipe.lock,
        packages=options.packages,
        offline=options.offline,
    )
    return planning.on_platform(request, recipe.command.docker_args if recipe.command is not None else ())


def _target(name: str) -> Literal["host", "engine", "cluster"]:
    with contextlib.suppress(ProjError):  # an unknown backend is among the problems already
        return planning.target_of(name)
    return "host"


def variable_problems(recipe: Recipe, wanted: EnvironmentRequest) -> Iterator[Problem]:
    """The variables whose values are in no record, such as passwords of an index, and that are not set."""
    text = (recipe.lock or b"").decode("utf-8", "replace")
    with contextlib.suppress(ProjError):  # told when the environment is made
        from proj.environments.inputs import read_input

        declared = read_input(wanted) if recipe.lock is not None else None
        text += "\n".join(declared.requirements.options) if declared is not None else ""
    for name in sorted(set(_VARIABLE.findall(text)) - set(os.environ)):
        yield Problem(
            item="variables",
            message=f"{name} is not set, and the packages' URLs need it.",
            hint="Set it; --env-file loads a file of variables.",
        )


def container_problems(
    wanted: EnvironmentRequest, made: record.CommandRecord, project: Project | None
) -> Iterator[Problem]:
    """What a container cannot be given again."""
    try:
        planning.check_container(wanted, made.docker_args, project)
    except ProjError as error:
        yield problem_of("container", error)


def making_problems(environment: record.EnvironmentRecord, wanted: EnvironmentRequest) -> Iterator[Problem]:
    """Make the environment: nothing else tells for sure whether all packages can be had."""
    maker = ENVIRONMENTS.load(backend.environment_of(environment.kind, wanted))
    try:
        made = maker.prepare(wanted)
    except ProjError as error:
        yield problem_of_environment(error, locked=environment.lock is not None)
        return
    if environment.lock is None:
        differing = list(surroundings.environment_differences(environment.facts, maker.facts(made)))
        if differing:
            events.warning(
                "The run used the environment that it found, and no lock says what was in it. "
                f"Here it is another: {', '.join(differing)}."
            )
