"""What a project file must not say by itself: it may be a stranger's; nodes and namespace are the user's.

By default a program gets nothing of its namespace and no privileges: it is in a box. What opens the box is
for the user to allow, by options and `--backend-config`: he names it himself, or lets the project name it.
A record, which a run is made again from, is no better known than a project file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from proj.errors import UsageError
from proj.kube.settings import TEMPLATES
from proj.kube.shapes import annotations_of_pod, containers_of, mapping, mappings, pod_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NODE, PRIVILEGES = "allow-host-path", "allow-privileges"
"""The two kinds of leave, as settings and as options."""
_OF_THE_NODE = ("hostPID", "hostIPC", "hostNetwork")
_HARMLESS = frozenset(("name", "emptyDir", "configMap", "downwardAPI", "ephemeral", "image", "projected"))
"""Kinds of volumes that hold nothing of the namespace that is secret, or somebody's data."""
_UNTRUSTED_SOURCES = frozenset(("secret", "serviceAccountToken"))
_LEADS_TO_NODE = "hostPath"
_OF_OTHERS = ("manualSelector", "selector")
"""By which a Job takes pods for its own that are not."""
_PROFILES = (
    "container.apparmor.security.beta.kubernetes.io/",
    "container.seccomp.security.alpha.kubernetes.io/",
    "seccomp.security.alpha.kubernetes.io/pod",
)
"""How annotations begin that say what security contexts say later; clusters of then heed them."""


def check_leave(project: str, own: str) -> None:
    """See that the project file gives itself no leave that is the user's to give.

    Args:
        project: Settings of the project file, a JSON object.
        own: The user's, by options and `--backend-config`.

    Raises:
        UsageError: It does.
    """
    theirs, ours = _settings(project), _settings(own)
    for leave in (NODE, PRIVILEGES):
        if theirs.get(leave) and not ours.get(leave):
            raise UsageError(
                f"The project file sets {leave}, by which it {_BY_WHICH[leave]}: that is yours to allow.",
                hint=f"If you trust the project: `--{leave}`, or the same setting in --backend-config.",
            )
    asked = ", ".join(_asking({name: value for name, value in theirs.items() if name not in ours}))
    if asked and not ours.get(PRIVILEGES):
        raise UsageError(
            f"The project file asks for {asked}: that is yours to allow.",
            hint=f"If you trust the project: `--{PRIVILEGES}`; or say it yourself, in --backend-config.",
        )


_BY_WHICH = {
    NODE: "may mount folders of a node",
    PRIVILEGES: "may take Secrets, claims and service accounts of the namespace, and privileges",
}


def check_template(template: Mapping[str, Any], project: str, own: str) -> None:
    """See that a Job template that the project file names does not reach into nodes and namespace.

    Args:
        template: The template.
        project: Settings of the project file, a JSON object.
        own: The user's, by options and `--backend-config`.

    Raises:
        UsageError: It does, and the user has not allowed it.
    """
    theirs, ours = _settings(project), _settings(own)
    if any(name in ours for name in TEMPLATES) or not any(name in theirs for name in TEMPLATES):
        return
    pod = pod_of(template)
    taken = [*_adopting(template), *_taking(pod)]
    if not ours.get(NODE):  # who may be privileged may be less
        taken += [*_unconfined(pod), *_unprofiled(annotations_of_pod(template))]
    reaching, taking = (", ".join(dict.fromkeys(found)) for found in (_reaching(pod), taken))
    for leave, found, what in (
        (NODE, reaching, "reaches into the nodes"),
        (PRIVILEGES, taking, "takes something of the namespace, or privileges"),
    ):
        if found and not ours.get(leave):
            raise UsageError(
                f"The Job template of the project file {what} ({found}): that is yours to allow.",
                hint=f"`--{leave}` if you trust the project, or your own template in --backend-config.",
            )


def _settings(text: str) -> Mapping[str, Any]:
    return mapping(msgspec.json.decode(text or "{}"))


_NAMED = ("secrets-from", "service-account", "cache-claim")
"""Settings that name something of the namespace which is not for everybody."""


def _asking(settings: Mapping[str, Any]) -> Iterator[str]:
    """Settings that open the box."""
    yield from (name for name in _NAMED if settings.get(name))
    if settings.get("security") not in (None, "restricted"):
        yield f"security: {settings['security']}"
    if settings.get("run-as-user") == 0:
        yield "run-as-user: 0"
    yield from _unprofiled(mapping(settings.get("annotations")))
    for volume in mappings(settings.get("volumes")):
        yield from (f"the volume {kind} {volume[kind]}" for kind in ("secret", "claim") if volume.get(kind))


def _reaching(pod: Mapping[str, Any]) -> Iterator[str]:
    """What of a template is the node's: folders, namespaces, privileges."""
    yield from (name for name in _OF_THE_NODE if pod.get(name))
    for volume in mappings(pod.get("volumes")):
        if _LEADS_TO_NODE in volume:
            yield f"hostPath {mapping(volume[_LEADS_TO_NODE]).get('path')}"
    for container in containers_of(pod):
        security = mapping(container.get("securityContext"))
        if security.get("privileged") or security.get("windowsOptions"):
            yield "privileged"
        for port in mappings(container.get("ports")):
            if port.get("hostPort"):
                yield f"hostPort {port['hostPort']}"


def _adopting(job: Mapping[str, Any]) -> Iterator[str]:
    """What of a template is about pods of others."""
    spec = mapping(job.get("spec"))
    yield from (name for name in _OF_OTHERS if spec.get(name))


def _taking(pod: Mapping[str, Any]) -> Iterator[str]:
    """What of a template is the namespace's."""
    named = ("serviceAccountName", "serviceAccount", "automountServiceAccountToken")
    yield from (name for name in named if pod.get(name))
    for volume in mappings(pod.get("volumes")):
        yield from (f"volume {kind}" for kind in volume if kind not in {*_HARMLESS, _LEADS_TO_NODE})
        for source in mappings(mapping(volume.get("projected")).get("sources")):
            yield from (f"volume {kind}" for kind in source if kind in _UNTRUSTED_SOURCES)
    for container in containers_of(pod):
        variables = [mapping(each.get("valueFrom")) for each in mappings(container.get("env"))]
        yield from ("secretKeyRef" for each in variables if "secretKeyRef" in each)
        yield from ("secretRef" for each in mappings(container.get("envFrom")) if "secretRef" in each)


def _unconfined(pod: Mapping[str, Any]) -> Iterator[str]:
    """What of a template is a privilege."""
    yield from _loosening(mapping(pod.get("securityContext")))
    containers = containers_of(pod)
    for container in containers:
        yield from _loosening(mapping(container.get("securityContext")))
    for container in containers[1:] if pod.get("containers") else containers:  # the first one is ours
        if not _is_confined(mapping(container.get("securityContext"))):
            name = container.get("name")
            yield f"the container {name} without allowPrivilegeEscalation: false, drop: [ALL]"


def _loosening(security: Mapping[str, Any]) -> Iterator[str]:
    """What of a security context takes a restraint away."""
    yield from (f"{name}: 0" for name in ("runAsUser", "runAsGroup", "fsGroup") if security.get(name) == 0)
    groups = security.get("supplementalGroups")
    if isinstance(groups, list) and 0 in groups:
        yield "supplementalGroups: 0"
    if security.get("runAsNonRoot") is False:
        yield "runAsNonRoot: false"
    if security.get("allowPrivilegeEscalation"):
        yield "allowPrivilegeEscalation"
    if "capabilities" in security and not _drops_all(security):
        yield "capabilities"
    for name in ("seccompProfile", "appArmorProfile"):
        if mapping(security.get(name)).get("type") == "Unconfined":
            yield name
    yield from (name for name in ("procMount", "sysctls", "seLinuxOptions") if security.get(name))


def _unprofiled(annotations: Mapping[str, Any]) -> Iterator[str]:
    """Annotations of a pod that take a profile away."""
    for name, value in annotations.items():
        if str(name).startswith(_PROFILES) and value == "unconfined":
            yield f"{name}: unconfined"


def _is_confined(security: Mapping[str, Any]) -> bool:
    return security.get("allowPrivilegeEscalation") is False and _drops_all(security)


def _drops_all(security: Mapping[str, Any]) -> bool:
    capabilities = mapping(security.get("capabilities"))
    dropped = capabilities.get("drop")
    return isinstance(dropped, list) and "ALL" in dropped and not capabilities.get("add")
