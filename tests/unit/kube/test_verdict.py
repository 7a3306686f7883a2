"""What the test cluster cannot produce: answers as other clusters give them, eviction to Kueue."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from proj.errors import FailureCode
from proj.exitcodes import exit_code
from proj.kube import state as state_module
from proj.kube import verdict
from proj.kube.objects import Event, Job, Pod
from proj.kube.quantities import never_fits, quantity
from proj.kube.state import JobState
from proj.model import RunStatus


def pod(phase: str = "Running", *, state: dict[str, Any] | None = None, init: dict[str, Any] | None = None,
        deleted: bool = False, **status: Any) -> Pod:  # fmt: skip
    found: dict[str, Any] = {
        "metadata": {"name": "demo-1-abcde", "uid": "pod"},
        "spec": {
            "nodeName": "node-7",
            "containers": [{"name": "main", "resources": {"limits": {"memory": "1Gi"}}}],
        },
        "status": {"phase": phase, **status},
    }
    if deleted:
        found["metadata"]["deletionTimestamp"] = "2026-11-30T10:00:00Z"
    if state is not None:
        found["status"]["containerStatuses"] = [{"name": "main", "image": "i:1", "state": state}]
    if init is not None:
        found["status"]["initContainerStatuses"] = [{"name": "proj-prepare", "image": "i:1", "state": init}]
    return msgspec.convert(found, Pod)


def job(*conditions: dict[str, str], backoff: int = 0, **spec: Any) -> Job:
    return msgspec.convert(
        {
            "metadata": {"name": "demo-1", "labels": {"kueue.x-k8s.io/queue-name": "team-q"}},
            "spec": {"backoffLimit": backoff, **spec},
            "status": {"conditions": list(conditions)},
        },
        Job,
    )


def event(reason: str, message: str, *, kind: str = "Pod", uid: str = "pod", **more: Any) -> Event:
    return msgspec.convert(
        {**more, "metadata": {"name": reason}, "reason": reason, "message": message,
         "involvedObject": {"kind": kind, "name": "demo-1-abcde", "uid": uid}},
        Event,
    )  # fmt: skip


def ended(code: int, **more: Any) -> dict[str, Any]:
    times = {"startedAt": "2026-11-30T10:00:00Z", "finishedAt": "2026-11-30T10:00:05.123456789Z"}
    return {"terminated": {"exitCode": code, **times, **more}}


TAKEN = [
    # As kubelets say it when a node is short of memory.
    ({"reason": "Evicted", "message": "The node was low on memory."}, FailureCode.EVICTED, "low on"),
    # Kubernetes 1.25 and later.
    ({"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler",
                      "message": "preempting to accommodate a higher priority pod"}]},
     FailureCode.PREEMPTED, "higher priority"),
    ({"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
                      "message": "Eviction API: evicting"}]}, FailureCode.EVICTED, "Eviction API"),
    ({"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager",
                      "message": "deleting due to NoExecute taint"}]}, FailureCode.LOST, "taint"),
    ({"reason": "NodeLost", "message": "Node node-7 which was running pod is unresponsive"},
     FailureCode.LOST, "node-7"),
    ({"reason": "Terminated", "message": "Pod was terminated in response to imminent node shutdown."},
     FailureCode.LOST, "shutdown"),
    ({"reason": "DeadlineExceeded", "message": "Pod was active longer than the specified deadline"},
     FailureCode.DEADLINE, "longer"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "code", "says"), TAKEN)
def test_a_pod_that_is_taken_away_tells_why(status: dict[str, Any], code: FailureCode, says: str) -> None:
    for state in (ended(137), None):
        found = JobState("demo-1")
        found.take_job("ADDED", job({"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}))
        found.take_pod("ADDED", pod("Failed", state=state, **status))
        outcome = found.outcome()
        assert outcome is not None
        assert (outcome.status, outcome.failure) == (RunStatus.FAILED, code)
        assert says in (outcome.message or "")


@pytest.mark.parametrize(
    ("reason", "code"),
    [("Preempted", FailureCode.PREEMPTED), ("Evicted", FailureCode.EVICTED),
     ("TaintManagerEviction", FailureCode.LOST)],
)  # fmt: skip
def test_events_tell_why_a_pod_was_deleted(reason: str, code: FailureCode) -> None:
    found = JobState("demo-1")
    found.take_job("ADDED", job())
    found.take_pod("DELETED", pod("Failed", state=ended(143), deleted=True))
    assert found.outcome() is None  # the reason may be on its way
    found.take_event(event(reason, "by somebody"))
    outcome = found.outcome()
    assert outcome is not None
    assert (outcome.failure, outcome.message and "by somebody" in outcome.message) == (code, True)


def test_a_pod_that_is_deleted_without_a_reason_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "_SETTLE_S", 0.0)
    found = JobState("demo-1")
    found.take_job("ADDED", job())
    found.take_pod("DELETED", pod(state={"running": {}}, deleted=True))
    outcome = found.outcome()
    assert outcome is not None
    assert outcome.failure is FailureCode.LOST
    assert "demo-1-abcde was deleted" in (outcome.message or "")


DEADLINE = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}


@pytest.mark.parametrize(
    ("condition", "failure", "exits"),
    [
        ({"type": "Complete", "status": "True"}, None, 0),
        ({"type": "Failed", "status": "True", "message": "too often"}, FailureCode.LOST, 125),
        (DEADLINE, FailureCode.DEADLINE, 124),
    ],
)
def test_a_job_that_is_found_ended_waits_for_news_of_its_pod(
    monkeypatch: pytest.MonkeyPatch, condition: dict[str, Any], failure: FailureCode | None, exits: int
) -> None:
    found = JobState("demo-1")
    found.take_job("ADDED", job(condition))
    assert found.outcome() is None
    monkeypatch.setattr(state_module, "_SETTLE_S", 0.0)
    outcome = found.outcome()
    assert outcome is not None
    assert (outcome.failure, exit_code(outcome)) == (failure, exits)


def test_a_job_that_is_found_ended_ends_as_its_program() -> None:
    found = JobState("demo-1")
    found.take_job("ADDED", job({"type": "Failed", "status": "True"}))
    assert found.outcome() is None
    found.take_pod("ADDED", pod("Failed", state=ended(3)))
    outcome = found.outcome()
    assert outcome is not None
    assert outcome.exit_code == 3


def test_a_job_with_tries_left_goes_on() -> None:
    found = JobState("demo-1")
    found.take_job("ADDED", job(backoff=2))
    found.take_pod("ADDED", pod("Failed", state=ended(1)))
    assert found.outcome() is None
    found.take_job("MODIFIED", job({"type": "Failed", "status": "True"}, backoff=2))
    outcome = found.outcome()
    assert outcome is not None
    assert outcome.exit_code == 1


@pytest.mark.parametrize(
    ("state", "failure", "exits", "says"),
    [
        (ended(0), None, 0, None),
        (ended(3), FailureCode.USER_EXIT, 3, "exit code 3"),
        (ended(137, reason="OOMKilled"), FailureCode.OOM_KILLED, 137, "1Gi"),
        (ended(139), FailureCode.SIGNAL, 139, "SIGSEGV"),
        (ended(137, signal=9), FailureCode.SIGNAL, 137, "SIGKILL"),
        (ended(200), FailureCode.USER_EXIT, 200, "200"),
        (
            ended(128, reason="StartError", message='exec: "sh": not found'),
            FailureCode.IMAGE_FAILED,
            125,
            "sh",
        ),
        (
            ended(1, message="proj: source_failed: the code is not whole"),
            FailureCode.SOURCE_FAILED,
            125,
            "whole",
        ),
    ],
)
def test_ends(state: dict[str, Any], failure: FailureCode | None, exits: int, says: str | None) -> None:
    found = JobState("demo-1")
    found.take_job("ADDED", job())
    found.take_pod("ADDED", pod("Failed", state=state))
    outcome = found.outcome()
    assert outcome is not None
    assert (outcome.failure, exit_code(outcome)) == (failure, exits)
    assert (outcome.started_ms, outcome.ended_ms) == (1796032800000, 1796032805123)
    assert says is None or says in (outcome.message or "")


WAITING = [
    ("InvalidImageName", "couldn't parse", FailureCode.IMAGE_PULL, 0.0),
    ("ErrImagePull", "rpc error: manifest unknown", FailureCode.IMAGE_PULL, 0.0),
    ("ErrImagePull", "pull access denied for x", FailureCode.IMAGE_PULL, 0.0),
    ("ErrImagePull", "dial tcp: i/o timeout", FailureCode.IMAGE_PULL, verdict.PULL_PATIENCE_S),
    ("CreateContainerConfigError", 'secret "x" not found', FailureCode.IMAGE_FAILED,
     verdict.START_PATIENCE_S),
    ("CreateContainerConfigError", "container has runAsNonRoot and image will run as root",
     FailureCode.IMAGE_FAILED, 0.0),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "said", "code", "after_s"), WAITING)
def test_containers_that_wait_in_vain(reason: str, said: str, code: FailureCode, after_s: float) -> None:
    waiting = pod("Pending", state={"waiting": {"reason": reason, "message": said}})
    found = verdict.stuck(waiting, "main")
    assert found is not None
    assert (found.code, found.after_s) == (code, after_s)
    assert said in found.message
    state = JobState("demo-1")
    state.take_pod("ADDED", waiting)
    assert (state.hopeless(100.0) is not None) == (after_s == 0)
    assert state.hopeless(100.0 + after_s) is not None


def test_between_two_tries_the_first_reason_counts() -> None:
    state = JobState("demo-1")
    state.take_pod(
        "ADDED", pod("Pending", state={"waiting": {"reason": "ErrImagePull", "message": "no such host"}})
    )
    back_off = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "i:1"'}
    state.take_pod("MODIFIED", pod("Pending", state={"waiting": back_off}))
    state.hopeless(0.0)
    found = state.hopeless(1000.0)
    assert found is not None
    assert "no such host" in found.message


def test_an_init_container_of_ours_has_words_of_its_own() -> None:
    found = verdict.stuck(pod("Failed", init=ended(1, message="proj: env_failed: no pip")), "main")
    assert found is not None
    assert (found.code, found.message) == (FailureCode.ENV_FAILED, "In the pod, no pip.")


QUOTA = (
    'Error creating: pods "x" is forbidden: exceeded quota: q, requested: limits.memory={}, '
    "used: limits.memory=1Gi, limited: limits.memory=2Gi"
)


def test_a_quota_is_waited_for_unless_it_can_never_be_met() -> None:
    never = verdict.refused_pod([event("FailedCreate", QUOTA.format("3Gi"), kind="Job")])
    later = verdict.refused_pod([event("FailedCreate", QUOTA.format("1500Mi"), kind="Job")])
    assert never is not None
    assert later is not None
    assert (never.code, never.after_s) == (FailureCode.REFUSED, 0.0)
    assert later.after_s == float("inf")
    assert never_fits(QUOTA.format("3Gi"))
    assert not never_fits("nothing of the kind")
    assert [quantity(text) for text in ("500m", "1Ki", "2", "x")] == [quantity("0.5"), 1024, 2, None]


def test_a_queue_is_told_and_its_patience_has_a_word() -> None:
    state = JobState("demo-1")
    state.take_job("ADDED", job(suspend=True))
    assert state.progress() == "queued by Kueue in team-q"
    found = state.waiting_for(60.0)
    assert found is not None
    assert found.code is FailureCode.QUEUE_WAIT


def test_what_is_waited_for_is_told() -> None:
    state = JobState("demo-1")
    state.take_job("ADDED", job())
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                 "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."}  # fmt: skip
    state.take_pod("ADDED", pod("Pending", conditions=[condition]))
    assert state.progress() == "no node yet: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu"
    found = state.waiting_for(61.0)
    assert found is not None
    assert (found.code, "nvidia.com/gpu" in found.message) == (FailureCode.UNSCHEDULABLE, True)
    state.take_pod("MODIFIED", pod("Pending", state={"waiting": {"reason": "ContainerCreating"}}))
    state.take_event(event("Pulling", 'Pulling image "i:1"'))
    assert state.progress() == 'pulling image "i:1"'
    state.take_pod("MODIFIED", pod(state={"running": {}}))
    assert state.progress() is None


MADE_ROOM: dict[str, Any] = {
    "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]
}


@pytest.mark.parametrize(
    "spec", [{"backoff": 3}, {"podFailurePolicy": {"rules": [{"action": "Ignore"}]}}], ids=["limit", "policy"]
)
@pytest.mark.parametrize("change", ["ADDED", "DELETED"])
def test_a_job_that_makes_another_pod_goes_on(
    monkeypatch: pytest.MonkeyPatch, spec: dict[str, Any], change: str
) -> None:
    monkeypatch.setattr(state_module, "_SETTLE_S", 0.0)
    found = JobState("demo-1")
    found.take_job("ADDED", job(**spec))
    taken = pod("Failed", state=ended(143), deleted=change == "DELETED", **MADE_ROOM)
    found.take_pod(change, taken)
    assert found.outcome() is None
    found.take_job("MODIFIED", job({"type": "Failed", "status": "True"}, **spec))
    outcome = found.outcome()
    assert outcome is not None
    assert outcome.failure is FailureCode.PREEMPTED


def test_a_job_that_its_queue_takes_back_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "_SETTLE_S", 0.0)
    found = JobState("demo-1")
    found.take_job("ADDED", job())
    found.take_pod("ADDED", pod(state={"running": {}}))
    found.take_job("MODIFIED", job(suspend=True))
    found.take_pod("MODIFIED", pod("Failed", state=ended(143), deleted=True))
    assert found.outcome() is None
    assert not found.queued_again
    found.take_pod("DELETED", pod("Failed", state=ended(143), deleted=True))
    assert found.outcome() is None
    assert found.queued_again
    assert found.progress() == "queued by Kueue in team-q"
    found.take_job("MODIFIED", job())
    assert found.outcome() is None  # the next pod is on its way
    assert not found.running
    second = msgspec.convert(
        {**msgspec.to_builtins(pod("Succeeded", state=ended(0))), "metadata": {"name": "b", "uid": "b"}}, Pod
    )
    found.take_pod("ADDED", second)
    outcome = found.outcome()
    assert outcome is not None
    assert outcome.status is RunStatus.FINISHED


TAINT = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager", "message": "taint"}


@pytest.mark.parametrize(
    ("conditions", "of_job", "says"),
    [
        ([TAINT], [{"type": "Failed", "status": "True"}], "lost with its node node-7: taint"),
        ([TAINT], [], "lost with its node node-7: taint"),
        ([], [], "node-7 does not say that it has ended"),
        ([], [{"type": "Failed", "status": "True", "message": "too often"}], "The Job failed: too often"),
    ],
)
def test_a_pod_whose_node_is_silent_does_not_run_for_ever(
    monkeypatch: pytest.MonkeyPatch, conditions: list[Any], of_job: list[Any], says: str
) -> None:
    """Its kubelet is dead: it says "running" until somebody removes the pod, and nobody may."""
    monkeypatch.setattr(state_module, "_SETTLE_S", 0.0)
    found = JobState("demo-1")
    found.take_job("ADDED", job(*of_job))
    found.take_pod("ADDED", pod(state={"running": {}}, deleted=True, conditions=conditions))
    assert found.outcome() is None  # its grace
    monkeypatch.setattr(state_module, "_UNHEARD_S", 0.0)
    outcome = found.outcome()
    assert outcome is not None
    assert outcome.failure is FailureCode.LOST
    assert says in (outcome.message or "")


def test_a_deleted_job_whose_node_is_silent_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    found = JobState("demo-1")
    found.take_job("DELETED", job())
    found.take_pod("ADDED", pod(state={"running": {}}, deleted=True))
    assert found.outcome() is None
    monkeypatch.setattr(state_module, "_UNHEARD_S", 0.0)
    outcome = found.outcome()
    assert outcome is not None
    assert outcome.failure is FailureCode.CANCELLED


@pytest.mark.parametrize(
    ("told", "times", "last"),
    [
        ({"count": 3, "lastTimestamp": "b", "eventTime": "a"}, 3, "b"),
        ({"eventTime": "a", "lastTimestamp": None, "count": None}, 1, "a"),
        ({"eventTime": "a", "series": {"count": 4, "lastObservedTime": "c"}}, 4, "c"),
        ({"metadata": {"creationTimestamp": "d"}}, 1, "d"),
    ],
)
def test_events_of_both_kinds_tell_how_often_and_when(told: dict[str, Any], times: int, last: str) -> None:
    found = msgspec.convert({"metadata": {}, **told}, Event)
    assert (found.times, found.last) == (times, last)


CREATING = {"waiting": {"reason": "ContainerCreating"}}
NO_VOLUME = 'MountVolume.SetUp failed for volume "x": secret "y" not found'


def test_a_pod_whose_volume_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    found = JobState("demo-1")
    found.take_job("ADDED", job())
    found.take_pod("ADDED", pod("Pending", state=CREATING))
    monkeypatch.setattr(state_module, "_STARTING_S", 0.0)
    assert found.waiting_for(1e6) is None  # nothing tells whether an image is pulled
    found.take_event(event("Scheduled", "Successfully assigned", type="Normal"))
    found.take_event(event("FailedMount", NO_VOLUME, type="Warning"))
    given_up = found.waiting_for(1e6)
    assert given_up is not None
    assert given_up.code is FailureCode.UNSCHEDULABLE
    assert given_up.message == f"The pod could not be started on node-7: {NO_VOLUME}."
    monkeypatch.setattr(state_module, "_STARTING_S", 1e6)
    assert found.waiting_for(1e6) is None  # it has got its node only now


@pytest.mark.parametrize("what", ["pulls", "prepares", "has prepared"])
def test_a_pod_that_is_about_to_run_is_not_given_up(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(state_module, "_STARTING_S", 0.0)
    found = JobState("demo-1")
    found.take_event(event("FailedMount", "for a moment", type="Warning"))
    init = {"prepares": {"running": {}}, "has prepared": ended(0)}.get(what)
    found.take_pod("ADDED", pod("Pending", state=CREATING, init=init))
    if what == "pulls":
        assert found.waiting_for(1e6) is not None
        found.take_event(event("Pulling", 'Pulling image "large"', type="Normal"))
    assert found.waiting_for(1e6) is None


def test_a_pod_that_no_scheduler_looks_at_is_given_up() -> None:
    found = JobState("demo-1")
    found.take_pod("ADDED", msgspec.convert({"metadata": {"name": "a", "uid": "a"}}, Pod))
    given_up = found.waiting_for(60.0)
    assert given_up is not None
    assert "no scheduler" in given_up.message


def told_to_end(at: str, grace_s: int) -> Pod:
    """A pod whose deletion was asked for `grace_s` before `at`, and whose program ended well at 10:00:05."""
    made = msgspec.to_builtins(pod("Succeeded", state=ended(0)), str_keys=True)
    found = msgspec.convert(made, Pod)
    meta = msgspec.structs.replace(
        found.metadata, deletion_timestamp=at, deletion_grace_period_seconds=grace_s
    )
    return msgspec.structs.replace(found, metadata=meta)


@pytest.mark.parametrize(
    ("condition", "failure", "exits"),
    [({}, FailureCode.CANCELLED, 130), (DEADLINE, FailureCode.DEADLINE, 124)],
)
def test_a_program_that_was_told_to_end_has_not_finished(
    condition: dict[str, str], failure: FailureCode, exits: int
) -> None:
    """What it makes of TERM is its own affair, and an exit code of 0 no success."""
    found = JobState("demo-1")
    found.take_job("MODIFIED" if condition else "DELETED", job(*([condition] if condition else [])))
    found.take_pod("DELETED", told_to_end("2026-11-30T10:00:15Z", 11))
    outcome = found.outcome()
    assert outcome is not None
    assert (outcome.failure, exit_code(outcome)) == (failure, exits)


def test_a_program_that_ended_before_it_was_told_to_has_finished() -> None:
    found = JobState("demo-1")
    found.take_job("DELETED", job())
    found.take_pod("DELETED", told_to_end("2026-11-30T10:00:25Z", 11))
    outcome = found.outcome()
    assert outcome is not None
    assert outcome.status is RunStatus.FINISHED


def made(name: str, second: int, **more: Any) -> Pod:
    """A pod of several, made one after the other."""
    found = pod(**more)
    meta = msgspec.structs.replace(
        found.metadata, name=name, uid=name, creation_timestamp=f"2026-11-30T10:00:{second:02}Z"
    )
    return msgspec.structs.replace(found, metadata=meta)


def names(found: JobState) -> list[str]:
    """Of the pod that was deleted, and of the one in its place."""
    return [each.metadata.name for each in found.replaced or ()]


RUNS: dict[str, Any] = {"state": {"running": {}}}


def test_a_job_of_one_try_that_begins_anew_is_no_longer_the_run() -> None:
    """Jobs make another pod for one that was deleted, whatever their backoffLimit is."""
    found = JobState("demo-1")
    found.take_pod("ADDED", made("one", 1, **RUNS))
    found.take_pod("ADDED", made("two", 1))
    found.take_pod("MODIFIED", made("one", 1, deleted=True, **RUNS))
    assert names(found) == []  # nothing is known of the Job's tries yet
    found.take_job("ADDED", job())
    assert names(found) == ["one", "two"]
    found.take_pod("MODIFIED", made("two", 1, **RUNS))
    found.take_pod("DELETED", made("one", 1, deleted=True, state=ended(143)))
    assert [each.metadata.name for each in found.followed] == []
    assert found.replaced is not None
    said = found.why_replaced(*found.replaced)
    assert said.code is FailureCode.LOST
    assert "one was deleted by somebody else" in said.message
    assert "begun again in two" in said.message
    found.take_event(event("TaintManagerEviction", "Marking for deletion", uid="one"))
    assert "lost with its node" in found.why_replaced(*found.replaced).message


@pytest.mark.parametrize(
    ("spec", "state"),
    [({"backoff": 1}, RUNS), ({"suspend": True}, RUNS), ({}, {}), ({}, {"init": {"running": {}}})],
)
def test_a_pod_that_may_be_replaced_is(spec: dict[str, Any], state: dict[str, Any]) -> None:
    """By another try, by its queue, or before the program has begun."""
    found = JobState("demo-1")
    found.take_job("ADDED", job(**spec))
    found.take_pod("ADDED", made("one", 1, deleted=True, **state))
    found.take_pod("ADDED", made("two", 2, **RUNS))
    assert found.replaced is None
    assert found.pod is not None
    assert found.pod.metadata.name == "two"
    assert "two" in [each.metadata.name for each in found.followed]


def test_a_deadline_that_deletes_the_pod_is_no_replacement() -> None:
    found = JobState("demo-1")
    found.take_job("ADDED", job())
    found.take_pod("ADDED", made("early", 1))
    found.take_pod("DELETED", made("early", 1, deleted=True))
    found.take_pod("ADDED", made("one", 1, deleted=True, **RUNS))
    assert found.replaced is None
