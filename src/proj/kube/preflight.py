"""What would go wrong with a run on a cluster, found out without creating anything."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from proj.errors import BackendError, ProjError
from proj.kube import manifest
from proj.kube.errors import FORBIDDEN, NOT_FOUND, ApiError
from proj.kube.named import named
from proj.kube.quantities import never_fits
from proj.kube.quotas import objections
from proj.model import Diagnostic, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.kube.blueprint import Blueprint, Manifest, Names
    from proj.kube.client import Client

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
_NAMES_MISSING = re.compile(r"error looking up service account|no PriorityClass with name")
"""What it has against a pod that names what is not there, which is told already."""
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
        return (_error("cluster", error.message, error.hint),)
    where = f"Kubernetes {found.git_version} at {client.server}, namespace {names.namespace}"
    findings = [finding(Severity.NOTE, "cluster", where)]
    minor = found.minor.rstrip("+")
    if found.major == "1" and minor.isdigit() and int(minor) < _OLDEST:
        said = f"Kubernetes {found.git_version} is older than 1.{_OLDEST}, the oldest that is supported"
        findings.append(finding(Severity.WARNING, "version", said))
    findings += _told(_rights(client, names.namespace))
    try:
        body = manifest.job(blueprint, names)
    except ProjError as error:
        return (*findings, _error("job", error.message, error.hint))
    findings += _told(_missing(client, body, names.namespace))
    findings += _told(_trials(client, body, names.namespace))
    return tuple(findings)


def finding(severity: Severity, code: str, message: str, fix: str | None = None) -> Diagnostic:
    """A finding that has no place in a file."""
    return Diagnostic(severity=severity, code=code, message=message.rstrip("."), fix=fix)


def _error(code: str, message: str, fix: str | None = None) -> Diagnostic:
    return finding(Severity.ERROR, code, message, fix)


def _told(findings: Iterator[Diagnostic]) -> Iterator[Diagnostic]:
    """What one part of the check finds; that it cannot be done keeps no other part from being done."""
    try:
        yield from findings
    except ProjError as error:
        yield _error("cluster", error.message, error.hint)


def _rights(client: Client, namespace: str) -> Iterator[Diagnostic]:
    for group, resource, verbs in NEEDED:
        denied = [verb for verb in verbs if not _is_allowed(client, namespace, group, resource, verb)]
        if denied:
            yield _error(
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


def _missing(client: Client, body: Manifest, namespace: str) -> Iterator[Diagnostic]:
    for each in named(body):
        what = f"{each.kind} {each.name}"
        try:
            client.send("GET", each.path(namespace), f"read the {what}", metadata_only=True)
        except ApiError as error:
            if error.status == NOT_FOUND:
                yield _error("missing", f"there is no {what}", "Create it, or name another.")
            elif error.status == FORBIDDEN:
                said = f"whether there is a {what} cannot be seen: you may not read it"
                yield finding(Severity.NOTE, "unseen", said)
            else:
                raise


def _trials(client: Client, body: Manifest, namespace: str) -> Iterator[Diagnostic]:
    """Have the cluster look at the Job and its pod as if they were created."""
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    try:
        client.send("POST", path, "create the Job", body=body, query=_STRICTLY)
    except ApiError as error:
        if not error.lacks_right:  # rights are told by themselves
            yield _error("job", f"the cluster refuses the Job: {error.said}", error.hint)
            return
    meta, template = body["metadata"], body["spec"]["template"]
    pod = {**template, "apiVersion": "v1", "kind": "Pod"}
    pod["metadata"] = {**template.get("metadata", {}), "name": meta["name"], "namespace": namespace}
    try:
        client.send(
            "POST", f"/api/v1/namespaces/{namespace}/pods", "create the pod", body=pod, query=_STRICTLY
        )
    except ApiError as error:
        if error.lacks_right:  # no run needs that right
            yield from _quotas(client, pod["spec"], namespace)
        elif _NAMES_MISSING.search(error.said) is None:
            yield _refused_pod(error)


def _refused_pod(error: ApiError) -> Diagnostic:
    said = f"the cluster refuses the Job's pod: {error.said}"
    if "exceeded quota" in error.said and not never_fits(error.said):
        return finding(Severity.WARNING, "quota", said, "It waits until others have ended.")
    if "quota" in error.said:
        fix = "Say what it needs (`--cpu`, `--memory`, a Job template), or have the quota changed."
        return _error("quota", said, fix)
    return _error("pod", said)


def _quotas(client: Client, pod: Manifest, namespace: str) -> Iterator[Diagnostic]:
    """What can be said of quotas by whoever may not have the cluster try a pod."""
    try:
        for each in objections(client, pod, namespace):
            severity = Severity.ERROR if each.for_ever else Severity.WARNING
            yield finding(severity, "quota", each.said, each.fix)
    except ApiError as error:
        if error.status != FORBIDDEN:
            raise
        said = "whether quotas let the pod in cannot be seen: you may neither list them nor create pods"
        yield finding(Severity.NOTE, "unseen", said)
