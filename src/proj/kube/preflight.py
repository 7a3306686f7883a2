"""What would go wrong with a run on a cluster, found out without creating anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from proj.errors import BackendError, ProjError
from proj.kube import manifest
from proj.kube.errors import FORBIDDEN, NOT_FOUND, ApiError
from proj.kube.objects import Items, Meta
from proj.kube.quantities import quantity
from proj.model import Diagnostic, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proj.kube.blueprint import Blueprint, Names
    from proj.kube.client import Client
    from proj.kube.settings import Settings

NEEDED: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("batch", "jobs", ("create", "get", "list", "watch", "patch", "delete")),
    ("", "pods", ("list", "watch", "delete")),
    ("", "pods/log", ("get",)),
    ("", "events", ("list", "watch")),
    ("", "configmaps", ("create", "patch", "delete")),
    ("", "secrets", ("create", "delete")),
)
"""API group, resource and verbs that a run needs; docs/how-to/kubernetes.md has them as a role.

Nothing deletes ConfigMaps and Secrets but the cluster itself, with their Job: hardened clusters (the plugin
OwnerReferencesPermissionEnforcement) let only those say what an object belongs to who may delete it.
"""
_OLDEST = 19
_STRICTLY = {"dryRun": "All", "fieldValidation": "Strict"}
"""Nothing is created, and a field that is none is told of, from 1.25 on: older servers do not look at it."""


class _Version(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    major: str = ""
    minor: str = ""
    git_version: str = ""


class _ReviewStatus(msgspec.Struct, frozen=True, kw_only=True):
    allowed: bool = False


class _Review(msgspec.Struct, frozen=True, kw_only=True):
    status: _ReviewStatus = _ReviewStatus()


class _Spec(msgspec.Struct, frozen=True, kw_only=True):
    hard: dict[str, str] = {}


class _Quota(msgspec.Struct, frozen=True, kw_only=True):
    metadata: Meta
    spec: _Spec = _Spec()


class _Named(msgspec.Struct, frozen=True, kw_only=True):
    metadata: Meta


def preflight(client: Client, blueprint: Blueprint, names: Names) -> tuple[Diagnostic, ...]:
    """All findings at once; the cluster is only asked.

    Args:
        client: To whom.
        blueprint: What would run.
        names: What the objects would be called.
    """
    try:
        found = client.get("/version", _Version, "ask for the version")
    except BackendError as error:
        return (_finding(Severity.ERROR, "cluster", error.message, error.hint),)
    where = f"Kubernetes {found.git_version} at {client.server}, namespace {names.namespace}"
    findings = [_finding(Severity.NOTE, "cluster", where)]
    minor = found.minor.rstrip("+")
    if found.major == "1" and minor.isdigit() and int(minor) < _OLDEST:
        said = f"Kubernetes {found.git_version} is older than 1.{_OLDEST}, the oldest that is supported"
        findings.append(_finding(Severity.WARNING, "version", said))
    try:
        findings += _rights(client, names.namespace)
        findings += _named_objects(client, blueprint.settings, names.namespace)
        findings += _quotas(client, blueprint, names.namespace)
        findings += _dry_run(client, blueprint, names)
    except ProjError as error:
        findings.append(_finding(Severity.ERROR, "cluster", error.message, error.hint))
    return tuple(findings)


def _finding(severity: Severity, code: str, message: str, fix: str | None = None) -> Diagnostic:
    return Diagnostic(severity=severity, code=code, message=message.rstrip("."), fix=fix)


def _rights(client: Client, namespace: str) -> Iterator[Diagnostic]:
    for group, resource, verbs in NEEDED:
        denied = [verb for verb in verbs if not _is_allowed(client, namespace, group, resource, verb)]
        if denied:
            yield _finding(
                Severity.ERROR,
                "rights",
                f"you may not {', '.join(denied)} {resource} in the namespace {namespace}",
                f"Ask for a role with these verbs on {resource}.",
            )


def _is_allowed(client: Client, namespace: str, group: str, resource: str, verb: str) -> bool:
    name, _, below = resource.partition("/")
    attributes = {
        "namespace": namespace,
        "verb": verb,
        "group": group,
        "resource": name,
        "subresource": below,
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = client.send("POST", path, "ask for your rights", body=body)
    return msgspec.json.decode(answer, type=_Review).status.allowed


def _named_objects(client: Client, settings: Settings, namespace: str) -> Iterator[Diagnostic]:
    core = f"/api/v1/namespaces/{namespace}"
    secrets = [*settings.secrets_from, *settings.image_pull_secrets]
    secrets += [volume.secret for volume in settings.volumes if volume.secret]
    claims = [volume.claim for volume in settings.volumes if volume.claim]
    claims += [settings.cache_claim] if settings.cache_claim else []
    maps = [volume.config_map for volume in settings.volumes if volume.config_map]
    wanted: list[tuple[str, str, str]] = [
        *((f"{core}/secrets", "Secret", name) for name in secrets),
        *((f"{core}/persistentvolumeclaims", "PersistentVolumeClaim", name) for name in claims),
        *((f"{core}/configmaps", "ConfigMap", name) for name in maps),
    ]
    if settings.service_account:
        wanted.append((f"{core}/serviceaccounts", "ServiceAccount", settings.service_account))
    if settings.priority_class:
        path = "/apis/scheduling.k8s.io/v1/priorityclasses"
        wanted.append((path, "PriorityClass", settings.priority_class))
    if settings.queue:
        path = f"/apis/kueue.x-k8s.io/v1beta1/namespaces/{namespace}/localqueues"
        wanted.append((path, "LocalQueue", settings.queue))
    for path, kind, name in dict.fromkeys(wanted):
        yield from _exists(client, path, kind, name)


def _exists(client: Client, path: str, kind: str, name: str) -> Iterator[Diagnostic]:
    try:
        client.send("GET", f"{path}/{name}", f"read the {kind} {name}", metadata_only=True)
    except ApiError as error:
        if error.status == NOT_FOUND:
            yield _finding(
                Severity.ERROR, "missing", f"there is no {kind} {name}", "Create it, or name another."
            )
        elif error.status == FORBIDDEN:
            said = f"whether there is a {kind} {name} cannot be seen: you may not read it"
            yield _finding(Severity.NOTE, "unseen", said)
        else:
            raise


def _quotas(client: Client, blueprint: Blueprint, namespace: str) -> Iterator[Diagnostic]:
    path = f"/api/v1/namespaces/{namespace}/resourcequotas"
    try:
        quotas = client.get(path, Items[_Quota], "list quotas").items or ()
    except ApiError as error:
        if error.status != FORBIDDEN:
            raise
        return
    asked = _asked_for(blueprint.settings)
    for quota in quotas:
        for name, hard in quota.spec.hard.items():
            wanted = asked.get(name.removeprefix("requests.").removeprefix("limits."))
            limit, amount = quantity(hard), quantity(wanted) if wanted else None
            if limit is not None and amount is not None and amount > limit:
                said = f"the quota {quota.metadata.name} allows {name}={hard}, and {wanted} is asked for"
                yield _finding(Severity.ERROR, "quota", said, "Ask for less, or for a larger quota.")


def _asked_for(settings: Settings) -> Mapping[str, str]:
    found: dict[str, Any] = {"cpu": settings.cpu, "memory": settings.memory}
    if settings.gpus:
        found[settings.gpu_resource] = str(settings.gpus)
    return {name: value for name, value in found.items() if value}


def _dry_run(client: Client, blueprint: Blueprint, names: Names) -> Iterator[Diagnostic]:
    """Have the cluster look at the Job as if it were created."""
    body = manifest.job(blueprint, names)
    path = f"/apis/batch/v1/namespaces/{names.namespace}/jobs"
    try:
        client.send("POST", path, "create the Job", body=body, query=_STRICTLY)
    except ApiError as error:
        if error.status != FORBIDDEN or "cannot create" not in error.said:  # rights are told already
            yield _finding(Severity.ERROR, "job", f"the cluster refuses the Job: {error.said}", error.hint)
