"""Whether a namespace's quotas let a run's pod in."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from proj.kube.errors import FORBIDDEN, ApiError
from proj.kube.objects import Items, Meta
from proj.kube.quantities import in_words, quantity
from proj.kube.shapes import mapping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.kube.blueprint import Manifest
    from proj.kube.client import Client

_DEMANDED = frozenset(("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"))
"""What each container has to say where a quota counts it (Kubernetes' evaluator of pods)."""
_KNOWN_SCOPES = frozenset(("Terminating", "NotTerminating", "BestEffort", "NotBestEffort"))


class _QuotaSpec(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    hard: Mapping[str, str] = {}
    scopes: tuple[str, ...] | None = None
    scope_selector: Mapping[str, Any] | None = None


class _QuotaStatus(msgspec.Struct, frozen=True, kw_only=True):
    used: Mapping[str, str] | None = None


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """A ResourceQuota."""

    metadata: Meta
    spec: _QuotaSpec = _QuotaSpec()
    status: _QuotaStatus = _QuotaStatus()


class _Limit(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    type: str = ""
    default: Mapping[str, str] | None = None
    default_request: Mapping[str, str] | None = None


class _LimitSpec(msgspec.Struct, frozen=True, kw_only=True):
    limits: tuple[_Limit, ...] = ()


class LimitRange(msgspec.Struct, frozen=True, kw_only=True):
    """A LimitRange."""

    metadata: Meta
    spec: _LimitSpec = _LimitSpec()


class Objection(msgspec.Struct, frozen=True, kw_only=True):
    """What a quota has against a pod."""

    said: str
    fix: str
    for_ever: bool = True
    """Whether it stays so, however long it is waited."""


def objections(client: Client, pod: Manifest, namespace: str) -> Iterator[Objection]:
    """What the quotas of a namespace have against a pod.

    Args:
        client: To whom.
        pod: The pod's specification.
        namespace: Where.

    Raises:
        ApiError: The quotas must not be seen, say.
        UnreachableClusterError: No answer is to be had.
    """
    base = f"/api/v1/namespaces/{namespace}"
    quotas = client.get(f"{base}/resourcequotas", Items[Quota], "list quotas").items or ()
    if not quotas:
        return
    try:
        ranges = client.get(f"{base}/limitranges", Items[LimitRange], "list limit ranges").items or ()
    except ApiError as error:
        if error.status != FORBIDDEN:
            raise
        ranges = ()
    containers = [_said(each, ranges) for each in pod.get("containers") or ()]
    initial = [_said(each, ranges) for each in pod.get("initContainers") or ()]
    for quota in quotas:
        if _counts(quota, pod, [*containers, *initial]):
            yield from _demands(quota, [*containers, *initial])
            yield from _amounts(quota, _asked(containers, initial))


def _said(container: Manifest, ranges: tuple[LimitRange, ...]) -> dict[str, str]:
    """What a container asks for and is limited to, as a quota names it, with the namespace's defaults."""
    resources = mapping(container.get("resources"))
    limits, requests = dict(mapping(resources.get("limits"))), dict(mapping(resources.get("requests")))
    for name, value in limits.items():
        requests.setdefault(name, value)
    for limit in (each for found in ranges for each in found.spec.limits if each.type == "Container"):
        for name, value in (limit.default or {}).items():
            limits.setdefault(name, value)
        for name, value in {**(limit.default or {}), **(limit.default_request or {})}.items():
            requests.setdefault(name, value)
    found = {f"limits.{name}": str(value) for name, value in limits.items()}
    found |= {f"requests.{name}": str(value) for name, value in requests.items()}
    return {**found, **{name: str(value) for name, value in requests.items()}}


def _counts(quota: Quota, pod: Manifest, said: list[dict[str, str]]) -> bool:
    """Whether a quota looks at the pod; one whose scope is not known here is left to the cluster."""
    scopes = set(quota.spec.scopes or ())
    if quota.spec.scope_selector is not None or not scopes <= _KNOWN_SCOPES:
        return False
    best_effort = not any(name in each for each in said for name in _DEMANDED)
    holds = {
        "BestEffort" if best_effort else "NotBestEffort",
        "NotTerminating" if pod.get("activeDeadlineSeconds") is None else "Terminating",
    }
    return scopes <= holds


def _demands(quota: Quota, said: list[dict[str, str]]) -> Iterator[Objection]:
    lacking = [
        name
        for name in quota.spec.hard
        if name in _DEMANDED and not all(name in container for container in said)
    ]
    if lacking:
        yield Objection(
            said=f"the quota {quota.metadata.name} lets no pod in that does not say {', '.join(lacking)}",
            fix=_FIX_CPU if lacking == ["limits.cpu"] else _FIX,
        )


_FIX = "Say how much it needs: `--cpu`, `--memory`; for limits.cpu, in a Job template."
_FIX_CPU = "Say `resources: {limits: {cpu: …}}` in a Job template, or have a LimitRange with a default made."


def _asked(containers: list[dict[str, str]], initial: list[dict[str, str]]) -> dict[str, Decimal]:
    """What the pod takes of a quota: its containers together, or more where one before them takes more."""
    found: dict[str, Decimal] = {"pods": Decimal(1), "count/pods": Decimal(1)}
    for name in {name for each in (*containers, *initial) for name in each}:
        together = sum((_number(each, name) for each in containers), Decimal(0))
        found[name] = max([together, *(_number(each, name) for each in initial)])
    return found


def _number(said: Mapping[str, str], name: str) -> Decimal:
    return quantity(said.get(name, "0")) or Decimal(0)


def _amounts(quota: Quota, asked: Mapping[str, Decimal]) -> Iterator[Objection]:
    used = quota.status.used or {}
    for name, hard in quota.spec.hard.items():
        most, wanted = quantity(hard), asked.get(name)
        if most is None or wanted is None:
            continue
        said = f"the quota {quota.metadata.name} allows {name}={hard}"
        taken = quantity(used.get(name, "0")) or Decimal(0)
        if wanted > most:
            fix = "Ask for less, or for a larger quota."
            yield Objection(said=f"{said}, and {in_words(wanted)} is asked for", fix=fix)
        elif wanted + taken > most:
            said = f"{said}, of which {used[name]} is taken, and {in_words(wanted)} is asked for"
            yield Objection(said=said, fix="It waits until others have ended.", for_ever=False)
