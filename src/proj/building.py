"""From a project to images of it: fetched, locked for the image's Python, assembled, handed on."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from proj import images, projectfile, source
from proj.environments.asof import as_of_s
from proj.environments.imaged import base_name, contents_for, declared_packages, is_conda
from proj.errors import UsageError
from proj.images import BuildSpec, BuiltImage, CodeSpec, LauncherSpec
from proj.model import EnvironmentRequest, ImageRequest, LockMode
from proj.source.uri import host_of

if TYPE_CHECKING:
    from proj.environments.imaged import Contents
    from proj.environments.inputs import PythonInput
    from proj.images import Resolved
    from proj.model import Checkout, EntryPoint, Project

_LABEL = "org.opencontainers.image."


class BuildRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a user asks for: the options of `proj build`."""

    uri: str
    version: str | None = None
    entry_point: str | None = None
    """What the image runs; None: `main`, or the only one."""
    base_image: str | None = None
    """See `BuildSpec.base`; None: what the project says, else as `ImageRequest.base`."""
    platforms: tuple[str, ...] = ()
    """Empty: this machine's."""
    builder: Literal["proj", "daemon"] = "proj"
    env_manager: str | None = None
    drop_missing: bool = False
    """Whether conda packages that PyPI has not may be left out."""
    python: str | None = None
    as_of: str = "commit"
    lock_mode: LockMode = LockMode.REUSE
    offline: bool = False
    require_clean: bool = False
    user: str | None = None
    variables: Mapping[str, str] = {}
    labels: Mapping[str, str] = {}
    compress: bool = False
    insecure: bool = False


def build(request: BuildRequest) -> tuple[BuiltImage, ...]:
    """Make the images of a project, one for each platform.

    Raises:
        ProjError: They cannot be made.
    """
    checkout = source.fetch(request.uri, version=request.version, cwd=Path.cwd())
    try:
        if request.require_clean:
            from proj.source.snapshot import require_clean

            require_clean(checkout)
        project = projectfile.load(checkout.project_dir)
        entry_point, _ = projectfile.entry_point(project, request.entry_point)
        job = _Job(request, checkout, project, entry_point)
        return tuple(job.image(platform) for platform in request.platforms or (None,))
    finally:
        source.release(checkout)


class _Job:
    """A build of one project.

    Args:
        request: What is asked for.
        checkout: The code.
        project: Its project file.
        entry_point: What the image is to run.
    """

    def __init__(
        self, request: BuildRequest, checkout: Checkout, project: Project, entry_point: EntryPoint
    ) -> None:
        self._request = request
        self._checkout = checkout
        self._project = project
        self._entry_point = entry_point
        below = checkout.project_dir.relative_to(checkout.root).as_posix()
        self._subdir = "" if below == "." else below
        self._environment = EnvironmentRequest(
            project_dir=checkout.project_dir,
            root=checkout.root,
            target="engine",
            image=ImageRequest(base=request.base_image),
            subdir=self._subdir,
            declaration=project.environment,
            script=entry_point.script,
            manager=request.env_manager or os.environ.get("PROJ_ENV_MANAGER") or None,
            python=request.python,
            as_of_s=as_of_s(request.as_of, checkout),
            mode=request.lock_mode,
            offline=request.offline,
            drop_missing=request.drop_missing or os.environ.get("PROJ_DROP_MISSING") == "1",
        )
        self._input = declared_packages(self._environment)

    def image(self, platform: str | None) -> BuiltImage:
        """Make the image for a platform."""
        base, contents = self._base(), None
        if self._has_dockerfile() or (self._request.builder == "daemon" and self._input is not None):
            base = self._by_daemon(base, platform)
        elif self._input is not None:
            resolved = images.resolve(base, platform=platform, insecure=self._request.insecure)
            contents = self._contents(self._input, resolved)
            base = _pinned(base, resolved)
        git = self._checkout.git
        return images.build(
            BuildSpec(
                base=base,
                platform=platform,
                packages=contents.packages if contents is not None else None,
                layers=contents.layers if contents is not None else (),
                code=CodeSpec(
                    root=self._checkout.root, project=self._subdir, outputs=self._project.extensions.outputs
                ),
                launcher=LauncherSpec(
                    entry_points=self._entry_points(),
                    default=self._entry_point.name,
                    quoting=self._project.extensions.quoting or "safe",
                ),
                wrapper=contents.wrapper if contents is not None else (),
                variables={**(contents.variables if contents is not None else {}), **self._request.variables},
                labels={**self._labels(), **self._request.labels},
                user=self._request.user,
                created_s=(git.committed_at_s if git is not None else None) or 0,
                compress=self._request.compress,
                insecure=self._request.insecure,
            )
        )

    def _docker(self) -> str | None:
        declaration = self._project.environment
        return (
            declaration.docker.image if declaration is not None and declaration.docker is not None else None
        )

    def _has_dockerfile(self) -> bool:
        declaration = self._project.environment
        docker = declaration.docker if declaration is not None else None
        return docker is not None and docker.build is not None and self._request.base_image is None

    def _base(self) -> str:
        if self._request.base_image is None and (named := self._docker()) is not None:
            return named
        return base_name(self._input, self._environment)

    def _contents(self, declared: PythonInput, resolved: Resolved) -> Contents:
        return contents_for(declared, resolved, self._environment, compress=self._request.compress)

    def _by_daemon(self, base: str, platform: str | None) -> str:
        from proj.images import dockerfile

        if self._request.builder != "daemon":
            raise UsageError(
                f"The project's image {base} is built by a Dockerfile, which needs a docker daemon.",
                hint="Say --builder daemon, or name an image that is there: --base-image NAME",
            )
        declaration = self._project.environment
        docker = declaration.docker if declaration is not None else None
        if docker is not None and docker.build is not None:
            context = os.path.normpath(os.path.join(self._subdir, docker.build.context))  # noqa: PTH118  text
            if context.startswith(".."):
                raise UsageError(
                    f"The build context {docker.build.context} is outside of the project's tree."
                )
            return dockerfile.build_project(
                self._checkout.root,
                "" if context == "." else context,
                dockerfile=docker.build.dockerfile or "Dockerfile",
                arguments=docker.build.args,
                platform=platform,
            )
        assert self._input is not None  # noqa: S101  as `image` has found
        if is_conda(self._input, self._environment):
            raise UsageError(
                "The docker daemon does not install conda packages.",
                hint="Leave out --builder daemon: they are put into the image without it.",
            )
        if base.startswith("oci:"):
            raise UsageError(
                "The docker daemon cannot build on an OCI layout.", hint="Name another base image."
            )
        resolved = images.resolve(base, platform=platform, insecure=self._request.insecure)
        packages = self._contents(self._input, resolved).packages
        assert packages is not None  # noqa: S101  as of all but conda's
        return dockerfile.build_packages(
            base, packages.lock, python=resolved.python_path or "python3", platform=platform
        )

    def _entry_points(self) -> tuple[EntryPoint, ...]:
        known = {entry_point.name: entry_point for entry_point in self._project.entry_points}
        known[self._entry_point.name] = self._entry_point
        return tuple(known.values())

    def _labels(self) -> dict[str, str]:
        git = self._checkout.git
        labels = {"title": self._project.name}
        if git is not None and git.commit is not None:
            labels["revision"] = f"{git.commit}-dirty" if git.dirty else git.commit
            labels["source"] = _canonical(git.repository_url) if git.repository_url else None
            if git.committed_at_s is not None:
                labels["created"] = _iso(git.committed_at_s)
        return {f"{_LABEL}{name}": text for name, text in labels.items() if text}


def _pinned(base: str, resolved: Resolved) -> str:
    """A base image's name with the digest that was looked up: its tag may move meanwhile."""
    if base.startswith(("oci:", "docker:")) or "@" in base:
        return base
    return f"{base}@{resolved.digest}"


def _canonical(url: str) -> str | None:
    """A repository's URL, the same whichever way it is reached; None for one on a disk."""
    host = host_of(url)
    if not host:
        return None
    path = re.sub(r"^[A-Za-z0-9+.-]+://[^/]*/?", "", url) if "://" in url else url.partition(":")[2]
    name = re.sub(r"^[^@]*@", "", host)
    return f"https://{re.sub(r':22$', '', name)}/{path.strip('/').removesuffix('.git')}"


def _iso(seconds: int) -> str:
    import time

    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
