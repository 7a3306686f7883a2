"""From an execution and settings to the objects that run it; pure, so that each rule can be tested alone."""

from __future__ import annotations

import copy
import json
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from proj.errors import UsageError
from proj.kube.inpod import script
from proj.kube.names import (
    INSTANCE_LABEL,
    MANAGED_BY,
    RUN_LABEL,
    SESSION_LABEL,
    escaped,
    is_variable,
    label,
    slug,
)
from proj.kube.parts import Bundle
from proj.kube.settings import Settings
from proj.kube.volumes import BUNDLE_DIR, CACHE_DIR, ENVIRONMENT_DIR, HOME_DIR, WORK_DIR, volumes_of
from proj.model import CODE_DIR, DockerDeclaration, Execution

if TYPE_CHECKING:
    from proj.kube.objects import Job

PREPARE = "proj-prepare"
"""Name of the init container that unpacks the code and makes the environment."""
ARTIFACTS = "artifacts.py"
PREPARER = "prepare.py"
LINKER = "link.py"
ACTIVATOR = "activate.sh"
_COMPLETE = "proj/complete"
_USER = 1000
_POD_GRACE_S = 1
"""Beyond the program's own: the container's shell has to end too."""

Manifest = dict[str, Any]
"""A JSON object as the API server takes it."""


class Blueprint(msgspec.Struct, frozen=True, kw_only=True):
    """All that a run's Job follows from."""

    execution: Execution
    settings: Settings
    image: str
    bundle: Bundle | None = None
    """What the pod is brought; None: all is in the image."""
    lock_digest: str | None = None
    """Of the Python environment that is made in the pod; None: there is none to make."""
    python: str | None = None
    """The minor version that the lock is for."""
    conda_tool: str | None = None
    """What links its conda packages, as a requirement of pip's; None: it has none."""
    docker: DockerDeclaration | None = None
    path: tuple[str, ...] = ()
    """Folders of the image to put before its PATH."""
    image_variables: Mapping[str, str] = {}
    wrapper: tuple[str, ...] = ()
    """Words that the command is started behind."""
    plain_user: bool = False
    """Whether the image is known to do with any user."""

    @property
    def prepares(self) -> bool:
        """Whether an init container prepares it: it takes a second, so mere code is unpacked without."""
        return self.bundle is not None and self.lock_digest is not None

    @property
    def environment_dir(self) -> str:
        """Where the Python environment is."""
        if self.settings.cache_claim is None or self.lock_digest is None:
            return f"{ENVIRONMENT_DIR}/venv"
        return f"{CACHE_DIR}/{self.lock_digest.partition(':')[2][:24] or self.lock_digest}-{slug(self.image)}"


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """What the objects of a run are called."""

    job: str
    namespace: str
    session: str

    @property
    def secret(self) -> str:
        """Of the run's own Secret."""
        return self.job


def job(blueprint: Blueprint, names: Names) -> Manifest:
    """The Job: the user's template, if there is one, and what is ours in it.

    Raises:
        UsageError: The template is none, or something that is asked for cannot be had on a cluster.
    """
    settings = blueprint.settings
    manifest = _template(settings)
    spec = manifest.setdefault("spec", {})
    pod = spec.setdefault("template", {})
    labels = _labels(blueprint, names)
    _merge(pod.setdefault("metadata", {}), "labels", labels)
    _merge(pod["metadata"], "annotations", settings.annotations)
    meta = manifest.setdefault("metadata", {})
    meta.pop("generateName", None)
    meta |= {"name": names.job, "namespace": names.namespace}
    queue = {"kueue.x-k8s.io/queue-name": settings.queue} if settings.queue else {}
    _merge(meta, "labels", {**labels, **queue})
    _merge(meta, "annotations", settings.annotations)
    spec.setdefault("backoffLimit", 0)
    spec.setdefault("ttlSecondsAfterFinished", settings.ttl_s)
    if settings.deadline_s is not None:
        spec["activeDeadlineSeconds"] = settings.deadline_s
    if settings.queue:
        spec["suspend"] = True
    _fill_pod(pod.setdefault("spec", {}), blueprint, names)
    return manifest


def waits_for_parts(blueprint: Blueprint) -> bool:
    """Whether the Job must not start before objects are there that it owns."""
    return blueprint.bundle is not None or bool(secret_values(blueprint))


def held(manifest: Manifest) -> Manifest:
    """The Job without pods, until what it owns is there: `parallelism` says how many it may have."""
    if manifest["spec"].get("suspend"):
        meta = manifest["metadata"]
        annotations = {**(meta.get("annotations") or {}), _COMPLETE: "false"}
        return {**manifest, "metadata": {**meta, "annotations": annotations}}
    return {**manifest, "spec": {**manifest["spec"], "parallelism": 0}}


def release(manifest: Manifest) -> Manifest:
    """The change by which a Job that was held begins."""
    if manifest["spec"].get("suspend"):  # it begins when its queue says so
        return {"metadata": {"annotations": {_COMPLETE: "true"}}}
    return {"spec": {"parallelism": manifest["spec"].get("parallelism", 1)}}


def is_held(found: Job) -> bool:
    """Whether a Job was left before all was there that it needs."""
    status = found.status
    if status.active or status.succeeded or status.failed:
        return False
    if found.spec.suspend:
        return (found.metadata.annotations or {}).get(_COMPLETE) == "false"
    return found.spec.parallelism == 0


def owner(found: Job) -> Manifest:
    """By what an object says that it belongs to a Job, and goes when the Job goes."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": found.metadata.name,
        "uid": found.metadata.uid,
    }


def secret(blueprint: Blueprint, names: Names, owned_by: Manifest) -> Manifest | None:
    """The run's Secret; None where nothing is secret."""
    values = secret_values(blueprint)
    if not values:
        return None
    labels = {MANAGED_BY: "proj", RUN_LABEL: blueprint.execution.run_id}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": names.secret,
            "namespace": names.namespace,
            "labels": labels,
            "ownerReferences": [owned_by],
        },
        "type": "Opaque",
        "immutable": True,
        "stringData": values,
    }


def secret_values(blueprint: Blueprint) -> dict[str, str]:
    """Variables whose values are seen nowhere."""
    execution = blueprint.execution
    return {name: execution.variables[name] for name in execution.secrets if name in execution.variables}


# --- the parts ----------------------------------------------------------------------------------------


def _template(settings: Settings) -> Manifest:
    found = settings.kube_job_template
    if found is None:
        return {"apiVersion": "batch/v1", "kind": "Job"}
    if found.get("kind") != "Job":
        raise UsageError(
            f"The Job template is of the kind {found.get('kind')!r}.",
            hint="`kube-job-template-path` names a YAML file with one Job.",
        )
    return {**copy.deepcopy(dict(found)), "apiVersion": "batch/v1"}


def _labels(blueprint: Blueprint, names: Names) -> dict[str, str]:
    execution = blueprint.execution
    entry_point = execution.origin.entry_point if execution.origin else ""
    found = {
        "app.kubernetes.io/name": label(execution.project_name),
        INSTANCE_LABEL: names.job,
        "app.kubernetes.io/component": label(entry_point),
        MANAGED_BY: "proj",
        RUN_LABEL: execution.run_id,
        SESSION_LABEL: names.session,
        **blueprint.settings.labels,
    }
    return {name: value for name, value in found.items() if value}


def _fill_pod(pod: Manifest, blueprint: Blueprint, names: Names) -> None:
    settings = blueprint.settings
    volumes = volumes_of(blueprint)
    containers = pod.setdefault("containers", [{}]) or [{}]
    pod["containers"] = containers
    _fill_main(containers[0], blueprint, names, [mount.manifest() for mount in volumes.main])
    if blueprint.prepares:
        prepare = _prepare(blueprint, names, [mount.manifest() for mount in volumes.prepare])
        pod["initContainers"] = [prepare, *(pod.get("initContainers") or [])]
    if volumes.volumes:
        pod["volumes"] = [*(pod.get("volumes") or []), *volumes.volumes]
    pod.setdefault("restartPolicy", "Never")
    pod["terminationGracePeriodSeconds"] = max(1, round(blueprint.execution.grace_s)) + _POD_GRACE_S
    _fill_placement(pod, settings)
    if settings.dns_policy:
        pod["dnsPolicy"] = settings.dns_policy
    if settings.image_pull_secrets:
        known = pod.get("imagePullSecrets") or []
        pod["imagePullSecrets"] = [*known, *({"name": name} for name in settings.image_pull_secrets)]
    if settings.security == "restricted":
        pod["securityContext"] = {**_pod_security(blueprint), **(pod.get("securityContext") or {})}
    elif settings.run_as_user is not None:
        _merge(pod, "securityContext", {"runAsUser": settings.run_as_user})


def _fill_placement(pod: Manifest, settings: Settings) -> None:
    if settings.service_account:
        pod["serviceAccountName"] = settings.service_account
    elif "serviceAccountName" not in pod:
        pod.setdefault("automountServiceAccountToken", False)
    if settings.node_selector:
        _merge(pod, "nodeSelector", settings.node_selector)
    if settings.tolerations:
        known = pod.get("tolerations") or []
        pod["tolerations"] = [*known, *(msgspec.to_builtins(each) for each in settings.tolerations)]
    if settings.priority_class:
        pod["priorityClassName"] = settings.priority_class


def _fill_main(container: Manifest, blueprint: Blueprint, names: Names, mounts: list[Manifest]) -> None:
    execution, settings = blueprint.execution, blueprint.settings
    argv = (*blueprint.wrapper, *execution.command.argv)
    container.pop("args", None)
    container |= {
        "name": slug(execution.project_name),
        "image": blueprint.image,
        "command": ["sh", "-c", escaped(_start(blueprint)), "sh", *map(escaped, argv)],
        "workingDir": CODE_DIR if _unpacks(blueprint) else execution.command.cwd,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    if settings.image_pull_policy:
        container["imagePullPolicy"] = settings.image_pull_policy
    container["env"] = [*(container.get("env") or []), *_variables(blueprint, names)]
    if settings.secrets_from:
        known = container.get("envFrom") or []
        more = [{"secretRef": {"name": name}} for name in settings.secrets_from]
        container["envFrom"] = [*known, *more]
    if mounts:
        container["volumeMounts"] = [*(container.get("volumeMounts") or []), *mounts]
    _fill_resources(container, blueprint)
    if settings.security == "restricted":
        container["securityContext"] = {**_CONFINED, **(container.get("securityContext") or {})}


def _fill_resources(container: Manifest, blueprint: Blueprint) -> None:
    settings = blueprint.settings
    wanted = {"cpu": settings.cpu, "memory": settings.memory}
    amounts = {name: value for name, value in wanted.items() if value}
    gpus = settings.gpus if settings.gpus is not None else _declared_gpus(blueprint.docker)
    limits = {**amounts, **({settings.gpu_resource: str(gpus)} if gpus else {})}
    if not limits:
        return
    resources = container.setdefault("resources", {})
    # A program that gets less than what it asks for is a riddle: what is asked for is also the most.
    _merge(resources, "requests", limits)
    _merge(resources, "limits", {name: value for name, value in limits.items() if name != "cpu"})


def _declared_gpus(docker: DockerDeclaration | None) -> int | None:
    if docker is None or docker.gpus is None:
        return None
    if docker.gpus.isdigit():
        return int(docker.gpus)
    raise UsageError(
        f"docker_env asks for the GPUs {docker.gpus!r}, and a cluster gives them by number.",
        hint="Say how many: `--gpus 1`, or `gpus` in the backend's settings.",
    )


_CONFINED: Manifest = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def _pod_security(blueprint: Blueprint) -> Manifest:
    user = _user(blueprint)
    found: Manifest = {"seccompProfile": {"type": "RuntimeDefault"}}
    if user is None:
        return found
    return {**found, "runAsNonRoot": user != 0, "runAsUser": user, "runAsGroup": user, "fsGroup": user}


def _user(blueprint: Blueprint) -> int | None:
    """The number of the user that runs the program; None: as the image has it."""
    settings, docker = blueprint.settings, blueprint.docker
    if settings.run_as_user is not None:
        return settings.run_as_user
    if docker is not None and docker.user is not None and docker.user.partition(":")[0].isdigit():
        return int(docker.user.partition(":")[0])
    return _USER if blueprint.plain_user else None


def _start(blueprint: Blueprint) -> str:
    """The script that starts the command, behind what it needs to find its environment."""
    folders = [*blueprint.path]
    lines = []
    if _unpacks(blueprint):
        values = "; ".join(
            f"{name}={shlex.quote(value)}" for name, value in _prepare_variables(blueprint).items()
        )
        lines += [
            f"({values}",
            f"{script('prepare.sh')}) || exit",
            f"cd {shlex.quote(blueprint.execution.command.cwd)} || exit",
        ]
    if blueprint.lock_digest is not None:
        folders.insert(0, f"{blueprint.environment_dir}/bin")
        lines += _environment_lines(blueprint)
    if folders:
        lines.append(f"PATH={':'.join(folders)}:$PATH; export PATH")
    return "\n".join([*lines, script("run.sh")])


def _environment_lines(blueprint: Blueprint) -> list[str]:
    """What says to a program which environment it is in."""
    folder = blueprint.environment_dir
    if blueprint.conda_tool is None:
        return [f"VIRTUAL_ENV={folder}; export VIRTUAL_ENV"]
    return [
        "unset VIRTUAL_ENV PYTHONHOME",
        f"CONDA_PREFIX={folder} CONDA_DEFAULT_ENV={folder} CONDA_SHLVL=1 CONDA_PROMPT_MODIFIER=",
        "PYTHONNOUSERSITE=1",
        "export CONDA_PREFIX CONDA_DEFAULT_ENV CONDA_SHLVL CONDA_PROMPT_MODIFIER PYTHONNOUSERSITE",
    ]


def _variables(blueprint: Blueprint, names: Names) -> list[Manifest]:
    execution = blueprint.execution
    hidden = secret_values(blueprint)
    plain = {
        **_usual_variables(blueprint),
        **blueprint.image_variables,
        **blueprint.settings.environment,
        **{name: value for name, value in execution.variables.items() if name not in hidden},
    }
    for name in (*plain, *hidden):
        if not is_variable(name):
            raise UsageError(f"Kubernetes takes no variable of the name {name!r}.")
    shown = [{"name": name, "value": escaped(value)} for name, value in plain.items()]
    reference = {"name": names.secret}
    return [
        *shown,
        *(
            {"name": name, "valueFrom": {"secretKeyRef": {**reference, "key": name}}}
            for name in sorted(hidden)
        ),
    ]


def _usual_variables(blueprint: Blueprint) -> dict[str, str]:
    """What a user without a name in the image needs, and the uploader."""
    found: dict[str, str] = {}
    if blueprint.settings.security == "restricted" and _user(blueprint) not in (None, 0):
        found |= {"HOME": HOME_DIR, "USER": "proj", "LOGNAME": "proj"}
    if blueprint.bundle is not None and "MLFLOW_TRACKING_URI" in blueprint.execution.variables:
        found["PROJ_UPLOADER"] = f"{BUNDLE_DIR}/{ARTIFACTS}"
        code = blueprint.execution.code
        if code is not None and code.outputs:
            found["PROJ_OUTPUTS"] = json.dumps(code.outputs)
    return found


def _unpacks(blueprint: Blueprint) -> bool:
    """Whether the program's container brings the code to its place itself."""
    return (
        blueprint.bundle is not None and not blueprint.prepares and blueprint.bundle.code_digest is not None
    )


def _prepare_variables(blueprint: Blueprint) -> dict[str, str]:
    """What the script that prepares has to know."""
    bundle = blueprint.bundle
    return {
        "PROJ_BUNDLE_DIR": BUNDLE_DIR,
        "PROJ_CODE_DIR": CODE_DIR,
        "PROJ_PROJECT_DIR": blueprint.execution.command.cwd,
        "PROJ_WORK_DIR": WORK_DIR,
        "PROJ_CODE_SHA256": (bundle.code_digest if bundle is not None else None) or "",
        "PROJ_CODE_ARTIFACT": (bundle.code_artifact if bundle is not None else None) or "",
        "PROJ_LOCK_DIGEST": blueprint.lock_digest or "",
        "PROJ_PYTHON_MINOR": blueprint.python or "",
        "PROJ_CONDA_TOOL": blueprint.conda_tool or "",
        "PROJ_ENVIRONMENT_DIR": blueprint.environment_dir,
    }


def _prepare(blueprint: Blueprint, names: Names, mounts: list[Manifest]) -> Manifest:
    settings = blueprint.settings
    variables = {"HOME": HOME_DIR, **settings.environment, **_prepare_variables(blueprint)}
    found: Manifest = {
        "name": PREPARE,
        "image": blueprint.image,
        "command": ["sh", "-c", escaped(script("prepare.sh"))],
        "env": [
            *({"name": name, "value": escaped(value)} for name, value in variables.items()),
            *_way_to_artifacts(blueprint, names),
        ],
        "volumeMounts": mounts,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    if settings.secrets_from:  # an index's password, say
        found["envFrom"] = [{"secretRef": {"name": name}} for name in settings.secrets_from]
    if settings.image_pull_policy:
        found["imagePullPolicy"] = settings.image_pull_policy
    _fill_init_resources(found, settings)
    if settings.security == "restricted":
        found["securityContext"] = dict(_CONFINED)
    return found


def _way_to_artifacts(blueprint: Blueprint, names: Names) -> list[Manifest]:
    """The program's variables by which its code is fetched, if it is."""
    if blueprint.bundle is None or blueprint.bundle.code_artifact is None:
        return []
    return [each for each in _variables(blueprint, names) if each["name"].startswith("MLFLOW_")]


def _fill_init_resources(container: Manifest, settings: Settings) -> None:
    """As the program's: a pod needs the larger of the two, and a quota wants each container to say."""
    wanted = {"cpu": settings.cpu, "memory": settings.memory}
    requests = {name: value for name, value in wanted.items() if value}
    if requests:
        limits = {name: value for name, value in requests.items() if name != "cpu"}
        container["resources"] = {"requests": requests, **({"limits": limits} if limits else {})}


def _merge(target: Manifest, key: str, values: Mapping[str, object]) -> None:
    if values:
        target[key] = {**(target.get(key) or {}), **values}
