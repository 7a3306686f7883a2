"""The pod of a run's Job: the user's template of it, and what is ours in it."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import msgspec

from proj.errors import UsageError
from proj.kube.blueprint import ARTIFACTS, PREPARE, Manifest, merge, secret_values
from proj.kube.inpod import script
from proj.kube.names import escaped, is_variable, slug
from proj.kube.shapes import mapping
from proj.kube.volumes import BUNDLE_DIR, HOME_DIR, WORK_DIR, volumes_of
from proj.model import CODE_DIR

if TYPE_CHECKING:
    from proj.kube.blueprint import Blueprint, Names
    from proj.kube.settings import Settings
    from proj.model import DockerDeclaration

_USER = 1000
_POD_GRACE_S = 1
"""Beyond the program's own: the container's shell has to end too."""


def fill_pod(pod: Manifest, blueprint: Blueprint, names: Names) -> None:
    """Set in a pod's specification, perhaps of a user's template, what is a run's to say.

    Raises:
        UsageError: Something that is asked for cannot be had on a cluster.
    """
    settings = blueprint.settings
    volumes = volumes_of(blueprint)
    containers = pod.setdefault("containers", [{}]) or [{}]
    pod["containers"] = containers
    _fill_main(containers[0], blueprint, names, [mount.manifest() for mount in volumes.main])
    if blueprint.prepares:
        mounts = [mount.manifest() for mount in volumes.prepare]
        prepare = _prepare(blueprint, names, mounts, _init_resources(containers[0]))
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
        pod["securityContext"] = {**_pod_security(blueprint), **_said(pod.get("securityContext"))}
    elif settings.run_as_user is not None:
        merge(pod, "securityContext", {"runAsUser": settings.run_as_user})


def _fill_placement(pod: Manifest, settings: Settings) -> None:
    if settings.service_account:
        pod["serviceAccountName"] = settings.service_account
    elif not _names_account(pod) and pod.get("automountServiceAccountToken") is None:
        pod["automountServiceAccountToken"] = False
    if settings.node_selector:
        merge(pod, "nodeSelector", settings.node_selector)
    if settings.tolerations:
        known = pod.get("tolerations") or []
        pod["tolerations"] = [*known, *(msgspec.to_builtins(each) for each in settings.tolerations)]
    if settings.priority_class:
        pod["priorityClassName"] = settings.priority_class


def _names_account(pod: Manifest) -> bool:
    """Whether a template does: to the API server, an empty name and a null are none, and it takes its own."""
    return bool(pod.get("serviceAccountName") or pod.get("serviceAccount"))


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
        container["securityContext"] = {**_CONFINED, **_said(container.get("securityContext"))}


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
    merge(resources, "requests", limits)
    merge(resources, "limits", {name: value for name, value in limits.items() if name != "cpu"})


def _declared_gpus(docker: DockerDeclaration | None) -> int | None:
    if docker is None or docker.gpus is None:
        return None
    if docker.gpus.isdigit():
        return int(docker.gpus)
    raise UsageError(
        f"docker_env asks for the GPUs {docker.gpus!r}, and a cluster gives them by number.",
        hint="Say how many: `--gpus 1`, or `gpus` in the backend's settings.",
    )


_ANY_SHELL = """\
[ -n "${BASH_VERSION-}" ] || ! command -v bash >/dev/null 2>&1 || exec bash -pc "$run" sh "$@"
eval "$run"
"""
"""Runs `run` by bash where there is one, which can start a program with all signals as they were."""

_CONFINED: Manifest = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def _pod_security(blueprint: Blueprint) -> Manifest:
    user = _user(blueprint)
    found: Manifest = {"seccompProfile": {"type": "RuntimeDefault"}}
    if user is None:
        return found
    found |= {"runAsNonRoot": user != 0, "runAsUser": user, "runAsGroup": user, "fsGroup": user}
    # Else each start goes through all files of each volume, for minutes where these are many.
    return {**found, "fsGroupChangePolicy": "OnRootMismatch"}


def _said(security: object) -> Manifest:
    """What a template's security context says: a null says nothing, and must not take away what is ours."""
    return {name: value for name, value in mapping(security).items() if value is not None}


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
            f"{script('prepare.sh')})",  # `( … ) || exit` would have it go on after what fails
            'code=$?; [ "$code" = 0 ] || exit "$code"',
            f"cd {shlex.quote(blueprint.execution.command.cwd)} || exit",
        ]
    if blueprint.lock_digest is not None:
        folders.insert(0, f"{blueprint.environment_dir}/bin")
        lines += _environment_lines(blueprint)
    if folders:
        lines.append(f"PATH={':'.join(folders)}:$PATH; export PATH")
    return "\n".join([*lines, f"run={shlex.quote(script('run.sh'))}", _ANY_SHELL])


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
        "PROJ_ENVIRONMENT_SHARED": "1" if blueprint.shares else "",
    }


def _prepare(blueprint: Blueprint, names: Names, mounts: list[Manifest], resources: Manifest) -> Manifest:
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
    if resources:
        found["resources"] = resources
    if settings.security == "restricted":
        found["securityContext"] = dict(_CONFINED)
    return found


def _way_to_artifacts(blueprint: Blueprint, names: Names) -> list[Manifest]:
    """The program's variables by which its code is fetched, if it is."""
    if blueprint.bundle is None or blueprint.bundle.code_artifact is None:
        return []
    return [each for each in _variables(blueprint, names) if each["name"].startswith("MLFLOW_")]


def _init_resources(main: Manifest) -> Manifest:
    """As the program's: a pod needs the larger of the two, and a quota wants each container to say."""
    found = {
        kind: {name: value for name, value in (amounts or {}).items() if name in ("cpu", "memory")}
        for kind, amounts in (main.get("resources") or {}).items()
        if kind in ("requests", "limits")
    }
    return {kind: amounts for kind, amounts in found.items() if amounts}
