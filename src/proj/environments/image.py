"""The image that a project names in its `docker_env`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from proj import events
from proj.environments.recorded import in_registry, one_at_a_time, recorded
from proj.errors import EnvironmentFailedError, ImageError
from proj.images.engine import Engine
from proj.images.pulling import ensure, find
from proj.model import EnvironmentFacts, EnvironmentPlan, ImageRuntime, PreparedEnvironment

if TYPE_CHECKING:
    from proj.environments.base import Environment
    from proj.images.pulling import EngineImage
    from proj.model import DockerDeclaration, EnvironmentRequest


class ImageEnvironment:
    """An image that is there, is pulled, or is built by the project's Dockerfile. See `Environment`."""

    makes = ImageRuntime

    def plan(self, request: EnvironmentRequest) -> EnvironmentPlan:
        """Say which image it would be, and whether the engine has it."""
        docker = _declared(request)
        there = False
        if request.target == "engine" and docker.build is None and not request.image.bake:
            there = find(Engine(), docker.image) is not None
        return EnvironmentPlan(kind="image", summary=_summary(docker), built=there)

    def prepare(self, request: EnvironmentRequest) -> PreparedEnvironment:
        """Pull or build the image."""
        docker = _declared(request)
        if request.target == "engine":
            runtime, reused = _in_engine(docker, request)
        else:
            runtime, reused = _on_cluster(docker, request), False
        return PreparedEnvironment(kind="image", summary=_summary(docker), runtime=runtime, reused=reused)

    def facts(self, prepared: PreparedEnvironment) -> EnvironmentFacts:  # noqa: ARG002  the interface's
        """Nothing: nobody looks into an image that is not ours."""
        return EnvironmentFacts()


def _declared(request: EnvironmentRequest) -> DockerDeclaration:
    declaration = request.declaration
    if declaration is None or declaration.docker is None:
        raise EnvironmentFailedError(
            "The project names no image.", hint="Name one: docker_env: {image: python:3.12-slim}"
        )
    return declaration.docker


def _summary(docker: DockerDeclaration) -> str:
    how = " built by its Dockerfile" if docker.build is not None else ""
    return f"image {docker.image}{how}"


def _in_engine(docker: DockerDeclaration, request: EnvironmentRequest) -> tuple[ImageRuntime, bool]:
    """What is run, and whether the engine had it already."""
    platform = request.image.platform or docker.platform
    again = recorded(request, docker.image)
    if again is not None:
        _tell_if_moved(docker, request, again)
        return _made_again(docker, request, again), True
    if docker.build is not None:
        image_id, reused = _built(docker, request, platform)
        named = ImageRuntime(
            image=image_id, name=docker.image, image_id=image_id, made="dockerfile", docker=docker
        )
    else:
        engine = Engine()
        before = find(engine, docker.image)
        pull = request.image.pull
        if before is not None and pull != "always" and before.is_for(platform):
            found = before
        else:
            credentials = request.image.credentials
            found = ensure(engine, docker.image, pull=pull, platform=platform, credentials=credentials)
        named, reused = _named(docker, found), found == before
    return _baked(named, docker, request) if request.image.bake else (named, reused)


def _tell_if_moved(docker: DockerDeclaration, request: EnvironmentRequest, found: EngineImage) -> None:
    """Say that the project's name for its image means another one than it did."""
    if docker.build is not None:
        return  # its name is the project's own, and no engine needs to know it
    now = find(Engine(), docker.image)
    if now is None:
        return
    then = request.image.recorded_base if request.image.bake else found.image_id
    if then not in (None, now.image_id, now.digest):
        events.note(f"{docker.image} is another image now; the one that ran is used: {found.image_id[:19]}.")


def _made_again(docker: DockerDeclaration, request: EnvironmentRequest, found: EngineImage) -> ImageRuntime:
    """The runtime of a recorded image, with what the record says of how it was made."""
    runtime = _named(docker, found)
    if request.image.bake:
        return msgspec.structs.replace(
            runtime,
            name=_own_name(docker.image),
            base=docker.image,
            base_digest=request.image.recorded_base,
            made="assembled",
            has_code=True,
        )
    return runtime if docker.build is None else msgspec.structs.replace(runtime, made="dockerfile")


def _named(docker: DockerDeclaration, found: EngineImage) -> ImageRuntime:
    return ImageRuntime(
        image=found.image_id,  # its name may mean another image in a moment
        name=docker.image,
        image_id=found.image_id,
        digest=found.digest,
        docker=docker,
    )


def _built(docker: DockerDeclaration, request: EnvironmentRequest, platform: str | None) -> tuple[str, bool]:
    """Have the engine build the project's Dockerfile; returns its id, and whether it was there."""
    import posixpath

    from proj.images import dockerfile

    build = docker.build
    assert build is not None  # noqa: S101  as the caller has found
    context = posixpath.normpath(posixpath.join(request.subdir, build.context))
    if context.startswith(".."):
        raise ImageError(
            f"The build context {build.context} is outside of the project's tree.",
            hint="Give a folder in it, relative to the project file.",
        )
    tag = _own_name(docker.image, "dockerfile")
    with one_at_a_time("dockerfile"):
        before = find(Engine(), tag)
        image = dockerfile.build_project(
            request.root,
            "" if context == "." else context,
            dockerfile=build.dockerfile or "Dockerfile",
            arguments=build.args,
            platform=platform,
            tag=tag,
        ).removeprefix("docker:")
        found = find(Engine(), image)
    image_id = image if found is None else found.image_id
    return image_id, before is not None and before.image_id == image_id


def _baked(
    named: ImageRuntime, docker: DockerDeclaration, request: EnvironmentRequest
) -> tuple[ImageRuntime, bool]:
    """Put the code into the image."""
    from proj import images
    from proj.environments.imaged import code_spec, delivered

    built = images.build(
        images.BuildSpec(
            base=f"docker:{named.image}",
            platform=request.image.platform or docker.platform,
            code=code_spec(request),
        )
    )
    return delivered(
        built,
        request,
        name=_own_name(docker.image),
        has_code=True,
        docker=docker,
        base=docker.image,
        base_digest=named.digest or named.image_id,
    )


def _own_name(image: str, tag: str = "code") -> str:
    """A name for an image that is made here: `proj/<name>:code` for one made on top of another one.

    Without a name, what docker built would be taken for waste by `docker image prune`.
    """
    last = image.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
    return f"proj/{last or 'image'}:{tag}"


def _on_cluster(docker: DockerDeclaration, request: EnvironmentRequest) -> ImageRuntime:
    """What a cluster is to pull: by digest, where a registry tells it."""
    from proj import images
    from proj.environments.imaged import code_spec, delivered

    if docker.build is not None:
        raise ImageError(
            f"The project's image {docker.image} is built by a Dockerfile, which a cluster does not do.",
            hint="Build and push it: `proj build . --builder daemon -t REGISTRY/NAME --push`, and name that.",
        )
    platform = request.image.platform or docker.platform
    again = _pushed(docker, request)
    if again is not None:
        return again
    if request.image.bake or request.image.repository is not None:
        built = images.build(
            images.BuildSpec(
                base=docker.image,
                platform=platform,
                code=code_spec(request),
                insecure=request.image.insecure,
            )
        )
        return delivered(built, request, name=docker.image, has_code=True, docker=docker)[0]
    try:
        found = images.resolve(docker.image, platform=platform, insecure=request.image.insecure)
    except ImageError as error:
        # The cluster may have it all the same, or credentials that we have not.
        events.note(f"The digest of {docker.image} is not known: {error.message}")
        return ImageRuntime(image=docker.image, name=docker.image, docker=docker)
    name = docker.image.partition("@")[0]
    return ImageRuntime(
        image=f"{name}@{found.digest}",
        name=docker.image,
        digest=found.digest,
        image_id=found.config_digest,
        docker=docker,
    )


def _pushed(docker: DockerDeclaration, request: EnvironmentRequest) -> ImageRuntime | None:
    """The very image of a run that is made again, where a registry has it."""
    asked, repository = request.image, request.image.repository
    if asked.bake != (repository is not None):
        return None  # it ran with its code in it and is to run without now, or the other way round
    pinned = in_registry(request, repository or docker.image)
    if pinned is None:
        return None
    return ImageRuntime(
        image=pinned,
        name=None if repository else docker.image,
        digest=asked.recorded_digest,
        image_id=asked.recorded_id,
        docker=docker,
        base=docker.image if repository else None,
        base_digest=asked.recorded_base,
        made="assembled" if repository else "named",
        has_code=repository is not None,
    )


if TYPE_CHECKING:
    _: Environment = ImageEnvironment()
