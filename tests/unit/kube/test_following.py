"""What following a Job does where the cluster does not play along."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from fakeapi import Asked, FakeApi, pod
from proj import events
from proj.errors import DetachedError, FailureCode
from proj.kube import following as following_module
from proj.kube import outputs as outputs_module
from proj.kube import state as state_module
from proj.kube.client import Client
from proj.kube.errors import ApiError
from proj.kube.following import Following
from proj.kube.hub import Hub
from proj.kube.kubeconfig import Cluster, Connection, User
from proj.model import Command, Execution, HostRuntime, RunStatus
from projkit import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


BEGAN = {"running": {"startedAt": "2026-11-30T10:00:20Z"}}


class Scene:
    """A cluster with one Job, whose answers change as a test goes on."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.away = False
        self.answers: dict[tuple[str, str], tuple[int, str]] = {}
        """Method and last part of the path -> status and sentence of a refusal."""
        self.pods: list[dict[str, Any]] = [running()]
        self.jobs: list[dict[str, Any]] = [job()]
        self.events: list[dict[str, Any]] = []
        self.api: FakeApi | None = None
        self.following: Following | None = None
        self.job_first = False
        """Whether no news of pods come before those of their Job are known."""
        self.deleted = threading.Event()

    def __call__(self, asked: Asked) -> None:
        name = asked.path.rpartition("/")[2]
        if self.away:
            asked.cut()
        elif (asked.method, name) in self.answers:
            status, said = self.answers[asked.method, name]
            asked.answer({"message": said, "code": status}, status)
        elif asked.method == "DELETE":
            self.deleted.set()
            asked.answer({})
        elif name == "log":
            asked.answer(b"2026-11-30T04:24:33.000000000Z hello\n")
        elif "watch" in asked.query:
            self._watched(asked, {"pods": self.pods, "jobs": self.jobs}.get(name, []))
        else:
            asked.answer({"metadata": {"resourceVersion": "1"}, "items": self.events})

    def _watched(self, asked: Asked, items: list[dict[str, Any]]) -> None:
        asked.begin()
        told = 0
        while not self.over.wait(0.02) and not self.away:
            if asked.path.endswith("pods") and self.job_first and not self._knows_job():
                continue
            for item in items[told:]:
                asked.change("ADDED", item)
                told += 1
            if self.deleted.is_set() and asked.path.endswith("pods"):
                asked.change("DELETED", {**items[-1]})
        asked.cut()

    def _knows_job(self) -> bool:
        return self.following is not None and self.following._state.job is not None


def job(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "j", "uid": "j", "resourceVersion": "1"}, "spec": spec}


def running(**state: Any) -> dict[str, Any]:
    found = pod("j-abcde", 1, containerStatuses=[{"name": "main", "state": state or {"running": {}}}])
    found["metadata"]["labels"] = {"app.kubernetes.io/instance": "j"}
    return found


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.over.set()


@pytest.fixture
def follow(serve: Callable[..., FakeApi], scene: Scene, tmp_path: Path) -> Callable[..., Following]:
    def begin(timeout_s: float | None = None, **more: Any) -> Following:
        scene.api = serve(scene)
        client = Client(Connection(cluster=Cluster(server=scene.api.url), user=User()))
        execution = Execution(
            run_id="r", run_name="r", project_name="", command=Command(line="", argv=(), cwd=""),
            runtime=HostRuntime(), variables={}, record_dir=str(tmp_path), quiet=True, grace_s=0.5,
            timeout_s=timeout_s,
        )  # fmt: skip
        hub = Hub(client, "ns", "x")
        scene.following = Following(execution, hub, "j", reference="x", pending_s=None, **more)
        return scene.following

    return begin


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(events, "warning", found.append)
    return found


def soon(what: Callable[[], None], when: Callable[[], object] = lambda: True) -> threading.Thread:
    def run() -> None:
        eventually(when)
        what()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_a_job_that_cannot_be_deleted_now_is_deleted_later(
    scene: Scene, follow: Callable[..., Following], told: list[str]
) -> None:
    following = follow()

    def cancel() -> None:
        scene.away = True
        following.cancel()
        eventually(lambda: told)
        scene.away = False

    soon(cancel, lambda: following._state.running)
    outcome = following.wait()
    assert scene.deleted.is_set()
    assert (outcome.status, outcome.failure) == (RunStatus.KILLED, FailureCode.CANCELLED)
    assert len(told) == 1
    assert "goes on until it can be deleted" in told[0]


def test_a_job_that_may_not_be_deleted_is_left_at_the_second_signal(
    scene: Scene, follow: Callable[..., Following], told: list[str]
) -> None:
    scene.answers["DELETE", "j"] = (403, "jobs are not yours")
    following = follow()

    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        eventually(lambda: told)
        os.kill(os.getpid(), signal.SIGTERM)

    soon(interrupt, lambda: following._state.running)
    with pytest.raises(DetachedError, match=r"deleted and goes on: .*not yours") as caught:
        following.wait()
    assert (caught.value.exit_code, caught.value.run_id) == (143, "r")
    assert "kubectl delete job j -n ns" in (caught.value.hint or "")


def test_a_job_that_may_not_be_deleted_ends_as_its_program(
    scene: Scene, follow: Callable[..., Following], told: list[str]
) -> None:
    scene.answers["DELETE", "j"] = (403, "jobs are not yours")
    following = follow()

    def cancel() -> None:
        following.cancel()
        eventually(lambda: told)
        scene.pods.append(running(terminated={"exitCode": 3}))

    soon(cancel, lambda: following._state.running)
    outcome = following.wait()
    assert (outcome.failure, outcome.exit_code) == (FailureCode.USER_EXIT, 3)


def test_a_log_that_cannot_be_had_is_told(
    scene: Scene, follow: Callable[..., Following], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs_module, "_LOGS_WAIT_S", 0.5)
    scene.answers["GET", "log"] = (500, "dial tcp 10.0.0.1:10250: i/o timeout")
    scene.pods[:] = [running(terminated={"exitCode": 0})]
    outcome = follow().wait()
    assert outcome.status is RunStatus.FINISHED
    said = "The output is incomplete: Cannot read the log of main: dial tcp 10.0.0.1:10250: i/o timeout."
    assert outcome.message == said


def test_a_log_that_may_not_be_read_is_told_at_once(scene: Scene, follow: Callable[..., Following]) -> None:
    scene.answers["GET", "log"] = (403, "pods/log are not yours")
    scene.pods[:] = [running(terminated={"exitCode": 0})]
    outcome = follow().wait()
    assert outcome.status is RunStatus.FINISHED
    assert "The output is incomplete: Cannot read the log of main: pods/log" in (outcome.message or "")


def test_a_log_that_is_about_to_begin_is_no_trouble(
    scene: Scene, follow: Callable[..., Following], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(events, "progress", said.append)
    scene.answers["GET", "log"] = (400, 'container "main" is waiting to start')
    following = follow()

    def begin() -> None:
        scene.answers.clear()
        scene.pods.append(running(terminated={"exitCode": 0}))

    def asked_twice() -> bool:
        asked = scene.api.asked if scene.api is not None else []
        return sum(each.path.endswith("/log") for each in asked) > 1

    soon(begin, asked_twice)
    assert following.wait().message is None
    assert not said


def test_a_whole_log_is_no_matter_of_words(
    scene: Scene, follow: Callable[..., Following], tmp_path: Path
) -> None:
    scene.pods[:] = [running(terminated={"exitCode": 0})]
    assert follow().wait().message is None
    assert (tmp_path / "stdout.log").read_bytes() == b"hello\n"


NO_WATCH = (
    'jobs.batch is forbidden: User "ada" cannot watch resource "jobs" in API group "batch" in the namespace '
    '"ns"'
)


def test_who_may_not_watch_is_told_what_is_missing(scene: Scene, follow: Callable[..., Following]) -> None:
    scene.answers["GET", "jobs"] = (403, NO_WATCH)
    outcome = follow().wait()
    assert scene.deleted.is_set()
    assert (outcome.status, outcome.failure) == (RunStatus.FAILED, FailureCode.REFUSED)
    assert "ada may not watch jobs in the namespace ns" in (outcome.message or "")


def test_a_job_of_another_process_that_may_not_be_watched_goes_on(
    scene: Scene, follow: Callable[..., Following]
) -> None:
    scene.answers["GET", "jobs"] = (403, NO_WATCH)
    with pytest.raises(ApiError, match="may not watch jobs"):
        follow(again=True).wait()
    assert not scene.deleted.is_set()


def test_a_right_to_watch_that_comes_late_is_waited_for(
    scene: Scene, follow: Callable[..., Following]
) -> None:
    scene.answers["GET", "pods"] = (403, NO_WATCH.replace("jobs", "pods"))
    scene.pods[:] = [running(terminated={"exitCode": 0})]
    following = follow()
    soon(scene.answers.clear, lambda: following._forbidden_since_s)
    assert following.wait().status is RunStatus.FINISHED
    assert not scene.deleted.is_set()


def test_events_are_asked_why_a_pod_is_gone(
    scene: Scene, follow: Callable[..., Following], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it was there for a moment only: before Kubernetes 1.26 nothing else tells."""
    monkeypatch.setattr(following_module, "_EXPLAIN_AFTER_S", 600.0)
    monkeypatch.setattr(state_module, "_SETTLE_S", 600.0)
    gone = running(terminated={"exitCode": 143})
    gone["metadata"]["deletionTimestamp"] = "2026-11-30T10:00:00Z"
    scene.pods[:] = [gone]
    about = {"kind": "Pod", "name": "j-abcde", "uid": gone["metadata"]["uid"]}
    scene.events = [
        {"metadata": {"name": "e"}, "reason": "Preempted", "message": "by ns/large", "involvedObject": about}
    ]
    assert follow().wait().failure is FailureCode.PREEMPTED


# --- a time limit -------------------------------------------------------------------------------------


def begun(scene: Scene) -> None:
    """A program that began 20 seconds after its Job, whose own news come first: a limit is short here."""
    scene.job_first = True
    scene.jobs[:] = [{**job(), "status": {"startTime": "2026-11-30T10:00:00Z"}}]
    scene.pods[:] = [running(**BEGAN)]


def patched(scene: Scene) -> dict[str, Any] | None:
    assert scene.api is not None
    sent = [json.loads(asked.body) for asked in scene.api.asked if asked.method == "PATCH"]
    assert len(sent) <= 1
    return sent[0] if sent else None


def test_whoever_comes_later_leaves_the_time_limit_to_the_cluster(
    scene: Scene, follow: Callable[..., Following], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_module, "_SETTLE_S", 600.0)  # news of the Job may come after those of its pod
    begun(scene)
    following = follow(timeout_s=0.2, again=True)

    def end() -> None:
        eventually(lambda: following._running_since_s is not None)
        eventually(lambda: time.monotonic() - (following._running_since_s or 0.0) > 0.5)
        failed = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}
        meta = {**job()["metadata"], "annotations": {"proj/timeout": "0.2"}}
        ended = running(terminated={"exitCode": 143})
        ended["metadata"]["deletionTimestamp"] = "2026-11-30T10:00:22Z"
        scene.pods.append(ended)
        scene.jobs.append({**job(), "metadata": meta, "status": {"conditions": [failed]}})

    soon(end, lambda: patched(scene))
    outcome = following.wait()
    assert (outcome.failure, scene.deleted.is_set()) == (FailureCode.DEADLINE, False)
    assert outcome.message == "The command took longer than 0.2 s and was stopped."
    assert patched(scene) == {
        "metadata": {"annotations": {"proj/timeout": "0.2"}}, "spec": {"activeDeadlineSeconds": 22}
    }  # fmt: skip


@pytest.mark.parametrize("may_patch", [True, False])
def test_whoever_is_there_from_the_beginning_keeps_the_time_limit_too(
    scene: Scene, follow: Callable[..., Following], may_patch: bool
) -> None:
    begun(scene)
    if not may_patch:
        scene.answers["PATCH", "j"] = (403, "jobs are not yours")
    outcome = follow(timeout_s=0.2).wait()
    assert (outcome.failure, scene.deleted.is_set()) == (FailureCode.DEADLINE, True)
    assert patched(scene) is not None


def test_a_deadline_that_is_nearer_stays(scene: Scene, follow: Callable[..., Following]) -> None:
    begun(scene)
    scene.jobs[0]["spec"] = {"activeDeadlineSeconds": 21}
    assert follow(timeout_s=0.5).wait().failure is FailureCode.DEADLINE
    assert patched(scene) is None
