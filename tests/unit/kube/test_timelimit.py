"""What the cluster is told of a run's time limit, and how often."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from fakeapi import Asked, FakeApi, pod
from proj.kube import timelimit
from proj.kube.client import Client
from proj.kube.hub import Hub
from proj.kube.kubeconfig import Cluster, Connection, User
from proj.kube.objects import Job, Pod
from proj.kube.state import JobState
from proj.kube.timelimit import TimeLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMIT_S = 60.0


@pytest.fixture
def limited(serve: Callable[..., FakeApi]) -> Iterator[Callable[..., tuple[TimeLimit, FakeApi]]]:
    clients: list[Client] = []

    def made(status: int = 200) -> tuple[TimeLimit, FakeApi]:
        def respond(asked: Asked) -> None:
            asked.answer({"message": "not now", "code": status}, status)

        api = serve(respond)
        clients.append(Client(Connection(cluster=Cluster(server=api.url), user=User())))
        return TimeLimit(Hub(clients[-1], "ns", "x"), "j", LIMIT_S), api

    yield made
    for client in clients:
        client.close()


def program(name: str, began: str, *, ended: bool = False, restarts: int = 0, going: bool = False) -> Pod:
    at = {"startedAt": f"2026-11-30T10:{began}Z"}
    state = {"terminated": {**at, "exitCode": 1}} if ended else {"running": at}
    found = pod(name, 1, containerStatuses=[{"name": "main", "state": state, "restartCount": restarts}])
    if going:
        found["metadata"]["deletionTimestamp"] = "2026-11-30T10:09:00Z"
    return msgspec.convert(found, Pod)


def known(*programs: Pod, deadline_s: int | None = None, tries: int = 0, ours: bool = False) -> JobState:
    """A Job that started at 10:10:00."""
    spec: dict[str, Any] = {"activeDeadlineSeconds": deadline_s, "backoffLimit": tries}
    meta = {"name": "j", "uid": "j", "annotations": {"proj/timeout": "60"} if ours else {}}
    job = {"metadata": meta, "spec": spec, "status": {"startTime": "2026-11-30T10:10:00Z"}}
    state = JobState("j")
    state.take_job("ADDED", msgspec.convert(job, Job))
    for each in programs:
        state.take_pod("ADDED", each)
    return state


def deadlines(api: FakeApi) -> list[int]:
    return [json.loads(asked.body)["spec"]["activeDeadlineSeconds"] for asked in api.asked]


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (known(program("a", "10:50")), [111]),
        (known(program("a", "10:50"), deadline_s=66), []),  # the user's own
        (known(program("a", "10:50"), deadline_s=600), [111]),
        (known(program("a", "10:50"), deadline_s=66, ours=True), [111]),  # of an earlier go
        (known(program("a", "10:50"), deadline_s=111, ours=True), []),
        (known(program("a", "00:05", going=True), program("b", "10:50"), tries=1), [111]),
        (known(program("a", "10:05", ended=True), program("b", "10:50"), tries=1), [66]),
        (
            known(
                program("a", "10:05", ended=True), program("b", "10:50"), tries=1, deadline_s=66, ours=True
            ),
            [],
        ),
        (known(program("a", "10:50", restarts=1), tries=1, deadline_s=66, ours=True), []),
    ],
)
def test_a_deadline_counts_from_when_the_program_began_this_time(
    limited: Callable[..., tuple[TimeLimit, FakeApi]], state: JobState, told: list[int]
) -> None:
    limit, api = limited()
    for _ in range(2):
        limit.hand_over(state)
    assert (deadlines(api), limit.kept) == (told, True)


def test_a_cluster_that_cannot_now_is_asked_ever_less_often(
    limited: Callable[..., tuple[TimeLimit, FakeApi]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 100.0
    monkeypatch.setattr(timelimit, "time", SimpleNamespace(monotonic=lambda: now_s))
    limit, api = limited(503)
    state, asked_s = known(program("a", "10:50")), []
    for _ in range(1200):
        before = len(api.asked)
        limit.hand_over(state)
        if len(api.asked) > before:
            asked_s.append(now_s - 100.0)
        now_s += 1.0
    assert asked_s == [0, 5, 15, 35, 75, 155, 315, 615, 915]
    assert not limit.kept
    limit.begin_anew()
    limit.hand_over(state)
    assert len(api.asked) == len(asked_s) + 1
