"""The Kubernetes backend: the command runs as a Job, on any cluster that the user's kubeconfig reaches."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from proj.errors import BackendError, FailureCode, UsageError
from proj.model import (
    Execution,
    HostRuntime,
    ImageRequest,
    ImageRuntime,
    Reach,
    RecipeRuntime,
    Runtime,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from proj.backends.base import Backend, Handle, MetricSink
    from proj.kube.attach import Ended, Reference
    from proj.kube.blueprint import Blueprint
    from proj.kube.cluster import Cluster
    from proj.kube.following import Following
    from proj.kube.settings import Settings
    from proj.model import Diagnostic, Project, RanImage

_OF_ENDPOINT = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
"""Secrets that are made for a run, and never taken from this process's variables."""


class KubernetesBackend:
    """Runs commands as Jobs of a cluster."""

    target = "cluster"

    def accepts(self, runtime: type[Runtime]) -> str | None:
        """None for images and recipes; see `Backend.accepts`."""
        if runtime is HostRuntime:
            return (
                "The environment is on this machine, where a cluster does not find it: use `--backend local`."
            )
        return None

    def configure(self, config: str, project: Project, image: ImageRequest) -> tuple[str, ImageRequest]:
        """The settings of all places, the template read, and what they say of the image.

        Raises:
            UsageError: One is unknown, or is not what it should be.
        """
        from proj.kube.kubeconfig import connection
        from proj.kube.leave import check_leave, check_template
        from proj.kube.settings import merged, read_settings
        from proj.kube.template import read_template

        own, theirs = config, project.extensions.kubernetes
        config = merged(theirs, own)
        settings = read_settings(config)
        check_leave(theirs, own)
        connection(settings.kube_context)  # better said now than when all is ready
        template = settings.kube_job_template
        if settings.kube_job_template_path is not None:
            template = read_template(settings.kube_job_template_path, project.directory)
            config = merged(config, msgspec.json.encode({"kube-job-template": template}).decode())
        check_template(template or {}, theirs, own)
        if settings.wants_image and settings.repository_uri is None:
            raise UsageError(
                "An image has to be pushed to a registry that the cluster reaches, and none is named.",
                hint='Name one: --backend-config \'{"repository-uri": "registry.example.org/team/name"}\'.',
            )
        image = msgspec.structs.replace(
            image,
            base=image.base or settings.base_image,
            repository=settings.repository_uri if settings.wants_image else None,
        )
        return config, image

    def submit(self, execution: Execution, on_metric: MetricSink | None = None) -> Handle:
        """Create the Job; see `Backend.submit`."""
        from proj.backends.metrics_tap import metrics_tap
        from proj.kube.blueprint import Names
        from proj.kube.cluster import open_cluster
        from proj.kube.following import Following
        from proj.kube.launch import launch
        from proj.kube.names import job_name
        from proj.kube.settings import read_settings

        settings = read_settings(execution.backend_config)
        blueprint = _blueprint(execution, settings)
        cluster = open_cluster(settings.kube_context)
        names = Names(
            job=job_name(execution.project_name, execution.run_id),
            namespace=cluster.namespace(settings.namespace),
            session=cluster.session,
        )
        following: list[Following] = []

        def follow(names: Names) -> None:
            """Listen before there is anything to be heard, so that nothing is missed."""
            for earlier in following:
                earlier.abandon()
            reference = _reference(cluster, execution, settings, names.job)
            following[:] = [
                Following(
                    execution, cluster.hub(names.namespace), names.job, reference=reference.text(),
                    pending_s=settings.pending_s,
                    serves=settings.endpoint_host is not None, tap=metrics_tap(execution, on_metric),
                )
            ]  # fmt: skip

        try:
            launch(cluster.client, blueprint, names, on_name=follow)
        except BaseException:
            for each in following:
                each.abandon()
            raise
        return following[0]

    def parcel(self, execution: Execution, folder: Path) -> Path | None:
        """The code as one file in `folder`, for a run whose code is too large to go along otherwise.

        The command's place fetches it from the run's artifacts; without a way to them there is none.

        Raises:
            ProjError: The code cannot be read.
        """
        from proj.backends.packing import parcelled

        code, runtime = execution.code, execution.runtime
        there = isinstance(runtime, ImageRuntime) and runtime.has_code
        if code is None or there or "MLFLOW_TRACKING_URI" not in execution.variables:
            return None
        return parcelled(code, folder)

    def manifests(self, execution: Execution) -> tuple[dict[str, object], ...]:
        """What `submit` would create, without what is secret, and without the code itself.

        Raises:
            ProjError: It cannot be run on a cluster.
        """
        from proj.kube import manifest
        from proj.kube.blueprint import Names
        from proj.kube.cluster import open_cluster
        from proj.kube.names import job_name
        from proj.kube.settings import read_settings

        settings = read_settings(execution.backend_config)
        blueprint = _blueprint(execution, settings)
        names = Names(
            job=job_name(execution.project_name, execution.run_id),
            namespace=open_cluster(settings.kube_context).namespace(settings.namespace),
            session="dry-run",
        )
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": names.job, "uid": ""}
        parts = blueprint.bundle.maps if blueprint.bundle is not None else ()
        secret = manifest.secret(blueprint, names, owner)
        if secret is not None:
            secret["stringData"] = dict.fromkeys(secret["stringData"], "***")
        maps: list[dict[str, object]] = []
        for part in parts:
            shown = part.manifest(names.namespace, owner)
            shown["binaryData"] = {name: f"({len(content)} bytes)" for name, content in part.files.items()}
            maps.append(shown)
        return (manifest.job(blueprint, names), *maps, *([secret] if secret is not None else []))

    def preflight(
        self, config: str, project: Project, image: ImageRequest, find_image: Callable[[ImageRequest], str]
    ) -> tuple[Diagnostic, ...]:
        """What would go wrong with a run, as far as it can be told without one: all of it at once.

        Args:
            config: The user's settings, as for `configure`.
            project: What would run.
            image: What is asked for of its image.
            find_image: Says which image the project would run in.
        """
        from proj.backends.kubecheck import check

        return check(self, config, project, image, find_image)

    def attach(self, execution: Execution, reference: str) -> Handle | None:
        """Find a Job again; see `Backend.attach`."""
        from proj.kube.attach import Reference, find

        known = msgspec.json.decode(reference, type=Reference)
        return _reading(find(known.resumed(execution), known, reference, context=known.context), known)

    def observe(self, execution: Execution, reference: str) -> Handle | None:
        """Follow a Job that another machine looks after; see `Backend`."""
        from proj.kube.attach import Reference, find
        from proj.kube.errors import ConfigError
        from proj.kube.kubeconfig import connection

        known = msgspec.json.decode(reference, type=Reference)
        context = known.context
        try:
            connection(context)
        except ConfigError:
            context = None  # each machine has names of its own for clusters
        found = find(known.resumed(execution), known, reference, context=context, observing=True)
        return _reading(found, known)

    def image_that_ran(self, record_dir: Path) -> RanImage | None:
        """The image of an execution that has ended, as the cluster said; see `Backend`."""
        from proj.kube.facts import FACTS, image_that_ran

        return image_that_ran(record_dir / FACTS)

    def foretell(self, execution: Execution) -> str:
        """The reference by which what `submit` is about to create will be found, should we die within it."""
        from proj.kube.cluster import open_cluster
        from proj.kube.settings import read_settings

        settings = read_settings(execution.backend_config)
        return _reference(open_cluster(settings.kube_context), execution, settings, None).text()

    def reach(self, execution: Execution) -> Reach | None:
        """By the address that the settings name; see `Backend.reach`."""
        from proj import events
        from proj.kube.settings import is_of_each_machine, read_settings

        host = read_settings(execution.backend_config).endpoint_host
        if host is not None and is_of_each_machine(host):
            events.warning(f"`endpoint-host` is {host}, which means the pod itself to a pod.")
        return None if host is None else Reach(bind=host, host=host)


def _reference(cluster: Cluster, execution: Execution, settings: Settings, job: str | None) -> Reference:
    from proj.kube.attach import Reference

    connection = cluster.client.connection
    return Reference(
        context=connection.context,
        server=cluster.client.server,
        namespace=cluster.namespace(settings.namespace),
        run_id=execution.run_id,
        job=job,
        timeout_s=execution.timeout_s,
        grace_s=execution.grace_s,
        pending_s=settings.pending_s,
        metrics=execution.metrics_from_stdout,
    )


def _reading(handle: Following | Ended | None, known: Reference) -> Handle | None:
    """A handle that was found again, able to read metrics where the run has them read."""
    from proj.backends.stdout_metrics import MetricReader
    from proj.kube.following import Following

    if isinstance(handle, Following) and known.metrics:
        following = handle

        def read(on_metric: MetricSink) -> None:
            following.tap = MetricReader(on_metric).feed

        following.read_metrics = read
    return handle


def _blueprint(execution: Execution, settings: Settings) -> Blueprint:
    from proj.kube.blueprint import ACTIVATOR, Blueprint
    from proj.kube.volumes import BUNDLE_DIR

    runtime = execution.runtime
    if isinstance(runtime, HostRuntime):
        raise BackendError(
            "The Kubernetes backend cannot run an environment of this machine.",
            code=FailureCode.PROJECT_INVALID,
            hint=KubernetesBackend().accepts(HostRuntime),
        )
    from proj.backends.packing import bundle_of

    docker = runtime.docker
    execution = _with_host_variables(execution, runtime)
    image = runtime.image
    if isinstance(runtime, ImageRuntime):
        bundle = bundle_of(execution, None, has_code=runtime.has_code)
        return Blueprint(
            execution=execution, settings=settings, image=image, bundle=bundle, docker=docker,
            path=runtime.path, image_variables=runtime.variables, wrapper=runtime.wrapper,
            plain_user=docker is None,
        )  # fmt: skip
    return Blueprint(
        execution=execution,
        settings=settings,
        image=image,
        bundle=bundle_of(execution, runtime),
        lock_digest=runtime.lock_digest if runtime.lock or runtime.conda else None,
        python=runtime.python,
        conda_tool=runtime.tool if runtime.conda is not None else None,
        image_variables=runtime.variables,
        wrapper=("sh", f"{BUNDLE_DIR}/{ACTIVATOR}") if runtime.conda is not None else (),
        docker=docker,
        plain_user=docker is None,
    )


def _with_host_variables(execution: Execution, runtime: ImageRuntime | RecipeRuntime) -> Execution:
    """With the values that are this machine's to give; none of them is shown in the Job.

    Raises:
        BackendError: One is not set here.
    """
    variables: dict[str, str] = {}
    hidden = list(execution.secrets)
    for name in execution.secrets:
        if name not in _OF_ENDPOINT and name not in execution.variables:
            variables[name] = _host_value(name, "`secrets` of the project file")
    for name, value in runtime.docker.environment if runtime.docker is not None else ():
        if value is None:
            variables[name] = _host_value(name, "docker_env")
            hidden.append(name)
        else:
            variables[name] = value
    return msgspec.structs.replace(
        execution, variables={**variables, **execution.variables}, secrets=tuple(dict.fromkeys(hidden))
    )


def _host_value(name: str, origin: str) -> str:
    try:
        return os.environ[name]
    except KeyError as error:
        raise BackendError(
            f"The variable {name}, which {origin} asks for, is not set here.",
            code=FailureCode.PROJECT_INVALID,
            hint=f"Set it: `export {name}=…`.",
        ) from error


if TYPE_CHECKING:
    _handle: type[Handle] = Following
    _backend: Backend = KubernetesBackend()
