"""An image of a project that names none: a base, its locked packages, its code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from proj import images
from proj.environments.imaged import (
    base_advice,
    base_again,
    base_name,
    code_spec,
    contents_for,
    declared_packages,
    delivered,
    facts_of,
    here_first,
)
from proj.environments.recorded import in_registry, recorded
from proj.model import EnvironmentPlan, ImageRuntime, PreparedEnvironment

if TYPE_CHECKING:
    from proj.environments.base import Environment
    from proj.environments.imaged import Contents
    from proj.environments.inputs import PythonInput
    from proj.model import EnvironmentFacts, EnvironmentRequest


class ContainerEnvironment:
    """What python_env.yaml, requirements.txt and the like declare, as an image. See `Environment`."""

    makes = ImageRuntime

    def plan(self, request: EnvironmentRequest) -> EnvironmentPlan:
        """Say what it would be made of; whether it is there already, nobody knows before it is made."""
        declared = declared_packages(request)
        return EnvironmentPlan(
            kind="container", summary=_summary(declared, base_name(declared, request)), built=False
        )

    def prepare(self, request: EnvironmentRequest) -> PreparedEnvironment:
        """Lock the packages for the image's Python, assemble the image, and bring it where it is needed."""
        declared = declared_packages(request)
        with base_advice(base_name(declared, request), request):
            return _made(declared, request)

    def facts(self, prepared: PreparedEnvironment) -> EnvironmentFacts:
        """The packages of the lock."""
        return facts_of(prepared)


def _made(declared: PythonInput | None, request: EnvironmentRequest) -> PreparedEnvironment:
    name = base_name(declared, request)
    again = _recorded(request, name)
    base = base_again(here_first(name, request), request) if again is None else _place(again)
    platform, insecure = request.image.platform, request.image.insecure
    contents = None
    if declared is not None:
        resolved = images.resolve(base, platform=platform, insecure=insecure)
        contents = contents_for(declared, resolved, request, layers=again is None)
    wrapper = contents.wrapper if contents is not None else ()
    if again is not None:
        runtime = msgspec.structs.replace(again, wrapper=wrapper)
        return _prepared(declared, name, request, runtime, contents, reused=True)
    built = images.build(
        images.BuildSpec(
            base=base,
            platform=platform,
            packages=contents.packages if contents is not None else None,
            layers=contents.layers if contents is not None else (),
            variables=contents.variables if contents is not None else {},
            code=code_spec(request),
            insecure=insecure,
        )
    )
    runtime, reused = delivered(built, request, name=_own_name(request), has_code=True, wrapper=wrapper)
    return _prepared(declared, name, request, runtime, contents, reused=reused)


def _recorded(request: EnvironmentRequest, base: str) -> ImageRuntime | None:
    """The very image of a run that is made again: it has the packages and the code of the run in it."""
    asked, repository = request.image, request.image.repository
    if request.target == "engine":
        found = recorded(request, _own_name(request))
        if found is None:
            return None
        place = ImageRuntime(image=found.image_id, name=_own_name(request), image_id=found.image_id)
    else:
        pinned = in_registry(request, repository) if repository is not None else None
        if pinned is None:
            return None
        place = ImageRuntime(image=pinned, digest=asked.recorded_digest, image_id=asked.recorded_id)
    return msgspec.structs.replace(
        place,
        base=base.removeprefix("docker:"),
        base_digest=asked.recorded_base,
        made="assembled",
        has_code=True,
    )


def _place(again: ImageRuntime) -> str:
    """Where an image is found to be looked into."""
    return again.image if again.digest is not None else f"docker:{again.image_id}"


def _prepared(
    declared: PythonInput | None,
    base: str,
    request: EnvironmentRequest,
    runtime: ImageRuntime,
    contents: Contents | None,
    *,
    reused: bool = False,
) -> PreparedEnvironment:
    return PreparedEnvironment(
        kind="container",
        summary=_summary(declared, base),
        runtime=runtime,
        lock=None if contents is None else contents.lock.encode("utf-8", "surrogateescape"),
        lock_name=None if contents is None else contents.lock_name,
        lock_digest=None if contents is None else contents.lock_digest,
        python_version=None if contents is None else contents.python,
        python_requested=request.python or (None if declared is None else declared.python),
        as_of_s=None if contents is None else contents.as_of_s,
        reused=reused,
        notes=() if contents is None else contents.notes,
    )


def _summary(declared: PythonInput | None, base: str) -> str:
    return f"{declared.origin} on {base}" if declared is not None else f"the code on {base}"


def _own_name(request: EnvironmentRequest) -> str:
    """A name in the engine: `proj/<folder>:code`."""
    name = re.sub(r"[^a-z0-9]+", "-", request.project_dir.resolve().name.lower()).strip("-")
    return f"proj/{name or 'project'}:code"


if TYPE_CHECKING:
    _: Environment = ContainerEnvironment()
