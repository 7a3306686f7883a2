from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from proj.kube.client import Client
from proj.kube.kubeconfig import Cluster, Connection, User
from proj.kube.quantities import in_words
from proj.kube.quotas import objections

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeapi import Asked, FakeApi
    from proj.kube.quotas import Objection

DEFAULTS = {"limits": [{"type": "Container", "default": {"cpu": "2", "memory": "1Gi"}}]}


def found(
    serve: Callable[..., FakeApi],
    pod: dict[str, Any],
    *,
    used: dict[str, str] | None = None,
    ranges: dict[str, Any] | None = None,
    **spec: Any,
) -> list[Objection]:
    """What one quota has against a pod."""

    def respond(asked: Asked) -> None:
        quota = {"metadata": {"name": "q"}, "spec": spec, "status": {"used": used or {}}}
        known = [{"metadata": {"name": "r"}, "spec": ranges}] if ranges else []
        asked.answer({"items": [quota] if asked.path.endswith("/resourcequotas") else known})

    client = Client(Connection(cluster=Cluster(server=serve(respond).url), user=User()))
    return list(objections(client, pod, "team"))


def pod(*amounts: dict[str, Any], before: dict[str, Any] | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"containers": [{"resources": each} for each in amounts]}
    return {**made, "initContainers": [{"resources": before}]} if before is not None else made


GIB = {"limits": {"memory": "1Gi"}}


@pytest.mark.parametrize(
    ("hard", "pod", "says"),
    [
        ({"limits.memory": "4Gi"}, pod({}), "does not say limits.memory"),
        ({"limits.memory": "4Gi"}, pod(GIB, {}), "does not say limits.memory"),
        ({"limits.memory": "4Gi"}, pod({"limits": ["memory"]}), "does not say limits.memory"),
        ({"limits.memory": "4Gi"}, pod(GIB, before={}), "does not say limits.memory"),
        ({"limits.memory": "4Gi", "memory": "1Gi", "pods": "9"}, pod(GIB), None),
        ({"requests.cpu": "1", "cpu": "1"}, pod({"requests": {"cpu": "500m"}}), None),
        ({"limits.cpu": "1"}, pod({"requests": {"cpu": "500m"}}), "does not say limits.cpu"),
        ({"requests.memory": "1536Mi"}, pod(GIB, GIB), "requests.memory=1536Mi, and 2Gi is asked for"),
        ({"limits.memory": "1Gi"}, pod({"limits": {"memory": "1e60"}}), "9223372036854775807 is asked for"),
        ({"requests.memory": "1Gi"}, pod(GIB, before={"limits": {"memory": "3Gi"}}), "3Gi is asked for"),
        ({"requests.nvidia.com/gpu": "1"}, pod({"limits": {"nvidia.com/gpu": 2}}), "2 is asked for"),
        ({"pods": "0"}, pod({}), "pods=0"),
        ({"configmaps": "0"}, pod({}), None),
    ],
)
def test_what_a_quota_has_against_a_pod(
    serve: Callable[..., FakeApi], hard: dict[str, str], pod: dict[str, Any], says: str | None
) -> None:
    told = found(serve, pod, hard=hard)
    assert [says in each.said for each in told if says] == [True] * (says is not None)
    assert all(each.for_ever for each in told)
    assert bool(told) is (says is not None)


def test_a_limit_range_says_what_a_container_does_not(serve: Callable[..., FakeApi]) -> None:
    hard = {"limits.memory": "1536Mi", "requests.cpu": "2"}
    assert not found(serve, pod({}), hard=hard, ranges=DEFAULTS)
    assert [each.said for each in found(serve, pod({}, GIB), hard=hard, ranges=DEFAULTS)] == [
        "the quota q allows limits.memory=1536Mi, and 2Gi is asked for",
        "the quota q allows requests.cpu=2, and 4 is asked for",
    ]


def test_what_others_have_taken_may_come_back(serve: Callable[..., FakeApi]) -> None:
    (told,) = found(serve, pod(GIB), hard={"limits.memory": "2Gi"}, used={"limits.memory": "1536Mi"})
    assert ("1536Mi is taken" in told.said, told.for_ever) == (True, False)


@pytest.mark.parametrize(
    ("scopes", "counts"),
    [(["Terminating"], False), (["NotTerminating"], True), (["BestEffort"], True), (["NotBestEffort"], False),
     (["PriorityClass"], False)],
)  # fmt: skip
def test_a_quota_counts_what_is_in_its_scope(
    serve: Callable[..., FakeApi], scopes: list[str], counts: bool
) -> None:
    assert bool(found(serve, pod({}), hard={"pods": "0"}, scopes=scopes)) is counts


@pytest.mark.parametrize(
    ("amount", "words"), [("2147483648", "2Gi"), ("0.5", "500m"), ("3", "3"), ("0", "0"), ("100", "100")]
)
def test_amounts_are_written_as_there(amount: str, words: str) -> None:
    assert in_words(Decimal(amount)) == words
