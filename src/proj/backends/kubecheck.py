"""`proj check --backend kubernetes`: what this machine, a registry and a cluster have against a run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from proj.errors import ProjError
from proj.kube.preflight import finding, preflight
from proj.model import CODE_DIR, Command, Execution, RecipeRuntime, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from proj.backends.kubernetes import KubernetesBackend
    from proj.kube.settings import Settings
    from proj.model import Diagnostic, ImageRequest, Project


def check(
    backend: KubernetesBackend,
    config: str,
    project: Project,
    image: ImageRequest,
    find_image: Callable[[ImageRequest], str],
) -> tuple[Diagnostic, ...]:
    """All findings at once; nothing is created. See `KubernetesBackend.preflight`."""
    from proj.images.reference import parse_reference
    from proj.kube.settings import read_settings

    findings = list(_unset_variables(project))
    try:
        config, image = backend.configure(config, project, image)
    except ProjError as error:
        return (*findings, _of(error))
    settings = read_settings(config)
    name = ""
    try:
        name = find_image(image)
        parse_reference(name)
    except ProjError as error:
        findings.append(_of(error))
    if settings.wants_image:
        findings += _repository(settings)
    try:
        findings += _cluster(settings, project, name or "none")
    except ProjError as error:
        findings.append(_of(error))
    return tuple(findings)


def _of(error: ProjError) -> Diagnostic:
    return finding(Severity.ERROR, error.code, error.message, error.hint)


def _unset_variables(project: Project) -> Iterator[Diagnostic]:
    """Variables that a run takes from here, and that are not set."""
    docker = project.environment.docker if project.environment is not None else None
    copied = [name for name, value in docker.environment if value is None] if docker is not None else []
    asked = [(name, "`secrets` of the project file") for name in project.extensions.secrets]
    asked += [(name, "docker_env") for name in copied if name not in project.extensions.secrets]
    for name, origin in asked:
        if name not in os.environ:
            said = f"the variable {name}, which {origin} asks for, is not set here"
            yield finding(Severity.ERROR, "variable", said, f"Set it: `export {name}=…`.")


def _repository(settings: Settings) -> Iterator[Diagnostic]:
    """Whether the registry that the image goes to answers, and knows us."""
    from proj.images import greet

    try:
        greet(settings.repository_uri or "")
    except ProjError as error:
        yield finding(Severity.ERROR, "registry", f"repository-uri: {error.message}", error.hint)


def _cluster(settings: Settings, project: Project, image: str) -> tuple[Diagnostic, ...]:
    from proj.kube.blueprint import Blueprint, Names
    from proj.kube.cluster import open_cluster
    from proj.kube.names import job_name

    cluster = open_cluster(settings.kube_context)
    run_id = "0" * 32
    execution = Execution(
        run_id=run_id, run_name="check", project_name=project.display_name,
        command=Command(line="true", argv=("true",), cwd=CODE_DIR), runtime=RecipeRuntime(image=image),
        variables={}, record_dir="",
    )  # fmt: skip
    docker = project.environment.docker if project.environment is not None else None
    blueprint = Blueprint(
        execution=execution, settings=settings, image=image, docker=docker, plain_user=docker is None
    )
    names = Names(
        job=job_name(project.display_name, run_id),
        namespace=cluster.namespace(settings.namespace),
        session="check",
    )
    return preflight(cluster.client, blueprint, names)
