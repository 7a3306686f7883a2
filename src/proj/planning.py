"""From a request to a plan: everything that is decided before anything is built, recorded or started."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from proj import command, events, parameters, paths, projectfile, recovery, source
from proj.backends import BACKENDS
from proj.environments import ENVIRONMENTS
from proj.environments.asof import as_of_s
from proj.environments.select import select
from proj.errors import UsageError
from proj.model import (
    BoundParameter,
    Checkout,
    Code,
    Command,
    EntryPoint,
    EnvironmentPlan,
    EnvironmentRequest,
    ImageRequest,
    LockMode,
    Mount,
    Project,
    Snapshot,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a user asks for: the options of `proj run`, the arguments of `proj.run`."""

    uri: str
    entry_point: str | None = None
    """None: `main`, or the only one."""
    version: str | None = None
    parameters: Mapping[str, str] = {}
    experiment_name: str | None = None
    experiment_id: str | None = None
    backend: str = "local"
    backend_config: str = "{}"
    """A JSON object."""
    env_manager: str | None = None
    python: str | None = None
    python_match: Literal["nearest", "exact"] = "nearest"
    as_of: str = "commit"
    """`commit`, `now`, or an ISO 8601 date or time."""
    lock_mode: LockMode = LockMode.REUSE
    offline: bool = False
    conda_exe: str | None = None
    """The program that makes conda environments; None: see `environments.conda.program`."""
    drop_missing: bool = False
    """Leave out conda packages that PyPI has nothing for, where its packages are taken instead."""
    storage_dir: str | None = None
    run_id: str | None = None
    """An existing run to use instead of a new one."""
    run_name: str | None = None
    docker_args: tuple[tuple[str, str | None], ...] = ()
    image: ImageRequest = ImageRequest()
    """What is asked of the image, for backends that run one."""
    quoting: Literal["safe", "mlflow"] | None = None
    """None: as the project file says."""
    strict: bool = False
    timeout_s: float | None = None
    grace_s: float = 10.0
    quiet: bool = False
    keep: bool = False
    tags: Mapping[str, str] = {}
    require_clean: bool = False
    """Refuse a tree that differs from its commit."""
    archive_source: bool = False
    """Keep all of the tree with the run, even what can be had from the remote."""
    snapshot_limit_bytes: int | None = None
    """How much of what is not pushed may be kept with the run; None: 100 MiB."""
    reuse: bool = False
    """Whether a finished run of the same will do."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is decided before anything is built, recorded or started."""

    checkout: Checkout
    project: Project
    entry_point: EntryPoint
    parameters: tuple[BoundParameter, ...]
    command: Command
    backend: str
    """Where it will run: the one asked for, or `docker` for a project that names an image."""
    environment: str
    """Name in the registry of environments."""
    environment_request: EnvironmentRequest
    code: Code | None = None
    """The tree to bring where the command runs; None: it runs beside it."""
    mounts: tuple[Mount, ...] = ()
    """Inputs outside of the tree that have to be brought."""
    downloads: Path | None = None
    """Temporary folder of downloaded parameters."""
    snapshot: Snapshot | None = None
    """What the checkout was restored from, and is byte for byte; None: it is yet to be kept."""
    bundle: Path | None = None
    """The snapshot's bundle, if it has one."""
    variables: Mapping[str, str | None] = {}
    """What the command gets beside what is set for every run; None removes a variable."""
    tags: Mapping[str, str] = {}
    """Tags of ours beside those of every run."""
    backend_config: str = "{}"
    """The backend's settings of all places, a JSON object."""


@contextlib.contextmanager
def planned(request: RunRequest, token: str | None = None) -> Iterator[Plan]:
    """Fetch the code and decide everything; what was fetched is removed if the block raises.

    Args:
        request: What to run.
        token: Of the claim under which it will run, if it will; should we be killed, recovery cleans up.

    Raises:
        ProjError: The request cannot be met; nothing is left behind.
    """
    if source.is_remote(request.uri, cwd=Path.cwd()):
        shown = source.redact_url(request.uri.strip("'\""))
        events.status(f"=== Fetching project from {shown} into {paths.cache() / 'checkouts'} ===")
    checkout = source.fetch(request.uri, version=request.version, cwd=Path.cwd())
    downloads = None if request.storage_dir else recovery.downloads(token or uuid.uuid4().hex)
    try:
        if request.require_clean:
            from proj.source.snapshot import require_clean

            require_clean(checkout)
        yield _plan(request, checkout, downloads)
    except BaseException:
        discard_files(checkout, downloads)
        raise


@contextlib.contextmanager
def given(plan: Plan) -> Iterator[Plan]:
    """A plan that was made already, as `planned` gives one: its files are removed if the block raises."""
    try:
        yield plan
    except BaseException:
        discard(plan)
        raise


def discard(plan: Plan) -> None:
    """Remove what `planned` fetched, for callers that do not go on to run it."""
    discard_files(plan.checkout, plan.downloads)


def discard_files(checkout: Checkout, downloads: Path | None) -> None:
    """Remove a private checkout and what was downloaded for it."""
    source.release(checkout)
    if downloads is not None and downloads.exists():
        import shutil

        shutil.rmtree(downloads, ignore_errors=True)


def _plan(request: RunRequest, checkout: Checkout, downloads: Path | None) -> Plan:
    project = projectfile.load(checkout.project_dir, strict=request.strict)
    for diagnostic in project.diagnostics:
        if diagnostic.severity.value == "warning":
            place = f":{diagnostic.position.line}" if diagnostic.position else ""
            events.warning(f"{Path(diagnostic.file or '').name}{place}: {diagnostic.message}")
    backend = _backend(request, project)
    _tell_without_effect(request, backend)
    _refuse_base(request, project, backend)
    entry_point, note = projectfile.entry_point(project, request.entry_point)
    for sentence in filter(None, (note, *parameters.undeclared_notes(entry_point, request.parameters))):
        events.note(sentence)
    bound = parameters.bind(
        entry_point,
        request.parameters,
        caller_dir=Path.cwd(),
        project_dir=checkout.project_dir,
        download=lambda uri: source.download(uri, downloads or Path(request.storage_dir or "")),
    )
    request = _configured(request, backend, project)
    environment_request = _environment_request(request, checkout, project, entry_point, backend)
    check_container(environment_request, request.docker_args, project)
    environment_request = on_platform(environment_request, request.docker_args)
    values, code, mounts = brought(backend, environment_request, project, bound)
    quoting = request.quoting or project.extensions.quoting or "safe"
    line = command.render(entry_point.command, values, quoting=quoting, where=_where(project, entry_point))
    for sentence in command.nested_warnings(entry_point.command, bound):
        events.warning(sentence)
    return Plan(
        checkout=checkout,
        project=project,
        entry_point=entry_point,
        parameters=bound,
        command=command_of(line, checkout, code),
        code=code,
        mounts=mounts,
        backend=backend,
        environment=_environment_name(backend, environment_request),
        environment_request=environment_request,
        downloads=downloads,
        backend_config=request.backend_config,
    )


def _configured(request: RunRequest, backend: str, project: Project) -> RunRequest:
    """The request with what the project file and the settings say of the backend."""
    configure = getattr(BACKENDS.load(backend), "configure", None)
    if configure is None:
        return request
    config, image = configure(request.backend_config, project, request.image)
    return msgspec.structs.replace(request, backend_config=config, image=image)


def _tell_without_effect(request: RunRequest, backend: str) -> None:
    image, target = request.image, target_of(backend)
    if target == "host" and (image != ImageRequest() or request.docker_args):
        events.warning(
            "What was said of an image and of `docker run` has no effect: the run is not in a container. "
            "--backend docker runs any project in one."
        )
    if target != "cluster":
        return
    if request.docker_args:
        events.warning(f"-A has no effect: the backend {backend!r} does not use `docker run`.")
    nodes = "has no effect: images are pulled by the cluster's nodes, as the backend's settings"
    if image.pull != "missing":
        events.warning(f"--pull {nodes} say (image-pull-policy).")
    if image.credentials:
        events.warning(f"docker_auth {nodes} say (image-pull-secrets).")


def _refuse_base(request: RunRequest, project: Project, backend: str) -> None:
    """Refuse a base for an image that is not going to be made, since the project names one.

    Raises:
        UsageError: It would be ignored.
    """
    declared = project.environment.docker if project.environment is not None else None
    if request.image.base is not None and declared is not None and target_of(backend) != "host":
        raise UsageError(
            f"--base-image is for projects that name no image: this one runs in {declared.image}.",
            hint="Change `image` of its docker_env to run in another one, or leave out --base-image.",
        )


def target_of(backend: str) -> Literal["host", "engine", "cluster"]:
    """Where environments for a backend are needed."""
    return getattr(BACKENDS.load(backend), "target", "host")


def _backend(request: RunRequest, project: Project) -> str:
    """The backend asked for; a project that names an image runs in it here, as with `mlflow run`."""
    declaration = project.environment
    manager = request.env_manager or os.environ.get("PROJ_ENV_MANAGER")
    if request.backend != "local" or manager == "local":
        return request.backend
    return "docker" if declaration is not None and declaration.kind == "docker_env" else request.backend


def check_container(
    request: EnvironmentRequest, docker_args: tuple[tuple[str, str | None], ...], project: Project | None
) -> None:
    """See at once that a container can be given what its project and the user ask for.

    Raises:
        UsageError: An argument of `docker run`, or the image's platform, cannot be meant.
        BackendError: Variables that it copies from here are not set.
    """
    declared = None if request.declaration is None else request.declaration.docker
    if request.target == "engine":
        from proj.backends.docker.container import check

        if request.image.platform is not None:
            from proj.images.documents import parse_platform

            parse_platform(request.image.platform)
        secrets = project.extensions.secrets if project is not None else ()
        check(declared, docker_args, request.project_dir, secrets)
    elif request.target == "cluster" and declared is not None:
        from proj.backends.docker.container import declared_variables

        declared_variables(declared)


def on_platform(
    request: EnvironmentRequest, docker_args: tuple[tuple[str, str | None], ...]
) -> EnvironmentRequest:
    """The request with the platform that is asked for by `-A`: its image has to be one for it.

    Args:
        request: What is asked for otherwise; its own platform counts before.
        docker_args: The arguments of `docker run`, checked.
    """
    named = [value for name, value in docker_args if name.lstrip("-") == "platform"]
    if request.target != "engine" or not named or request.image.platform is not None:
        return request
    image = msgspec.structs.replace(request.image, platform=named[-1])
    return msgspec.structs.replace(request, image=image)


def brought(
    backend: str,
    environment_request: EnvironmentRequest,
    project: Project,
    bound: tuple[BoundParameter, ...],
) -> tuple[tuple[BoundParameter, ...], Code | None, tuple[Mount, ...]]:
    """What the command is given where it runs, and what has to be brought there."""
    if environment_request.target == "host":
        return bound, None, ()
    from proj import inside

    code = Code(
        root=environment_request.root,
        subdir=environment_request.subdir,
        outputs=project.extensions.outputs,
    )
    values, mounts = inside.moved(bound, code)
    if environment_request.target == "cluster":
        inside.refuse_mounts(mounts, bound, backend)
    return values, code, mounts


def command_of(line: str, checkout: Checkout, code: Code | None) -> Command:
    """How a rendered line is started: beside the code here, or in a container that has it."""
    if code is None:
        return Command(line=line, argv=command.shell_argv(line), cwd=str(checkout.project_dir))
    from proj.inside import working_directory

    return Command(line=line, argv=command.container_argv(line), cwd=working_directory(code))


def _environment_name(backend: str, environment_request: EnvironmentRequest) -> str:
    if getattr(BACKENDS.load(backend), "makes_environment", False):
        return "delegated"
    return select(environment_request)


def environment_plan(plan: Plan) -> EnvironmentPlan:
    """Say what the environment would be, and whether it is there already."""
    return ENVIRONMENTS.load(plan.environment).plan(plan.environment_request)


def below(checkout: Checkout) -> str:
    """The project's folder relative to the top of the tree."""
    below = checkout.project_dir.relative_to(checkout.root).as_posix()
    return "" if below == "." else below


def _where(project: Project, entry_point: EntryPoint) -> str:
    if project.file is None or entry_point.position is None:
        return f"entry point {entry_point.name}"
    return f"{project.file.name}:{entry_point.position.line}"


def _environment_request(
    request: RunRequest, checkout: Checkout, project: Project, entry_point: EntryPoint, backend: str
) -> EnvironmentRequest:
    return EnvironmentRequest(
        target=target_of(backend),
        image=request.image,
        subdir=below(checkout),
        outputs=project.extensions.outputs,
        project_dir=checkout.project_dir,
        root=checkout.root,
        declaration=project.environment,
        script=entry_point.script,
        manager=request.env_manager or os.environ.get("PROJ_ENV_MANAGER") or None,
        python=request.python,
        python_match=request.python_match,
        conda_exe=request.conda_exe or os.environ.get("PROJ_CONDA_EXE") or None,
        drop_missing=request.drop_missing or os.environ.get("PROJ_DROP_MISSING") == "1",
        as_of_s=as_of_s(request.as_of, checkout),
        mode=request.lock_mode,
        offline=request.offline,
    )
