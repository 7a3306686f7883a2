"""Each way a run can fail that a cluster can produce: the word, the cluster's own cause, the exit code."""

from __future__ import annotations

import base64
import os
import shlex
import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from clusterkit import IMAGE, RULES, Namespace, limited_kubeconfig
from proj.backends.kubernetes import KubernetesBackend
from proj.errors import BackendError, FailureCode
from proj.exitcodes import exit_code
from proj.kube.following import Following
from proj.kube.objects import Event, Items
from proj.model import Execution, ImageRuntime, Outcome, RunStatus
from proj.testing.backends import Waiter, await_output, execution_maker, stored
from projkit import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from proj.backends.base import Handle
    from proj.kube.objects import Job

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def make(tmp_path: Path, namespace: Namespace) -> Callable[..., Execution]:
    maker = execution_maker(tmp_path, runtime=ImageRuntime(image=IMAGE), cwd="/")

    def made(line: str, image: str = IMAGE, config: str | None = None, **changes: object) -> Execution:
        settings: dict[str, object] = {
            "backend_config": config or namespace.config(),
            "grace_s": 1.0,
            "run_id": os.urandom(16).hex(),
            "runtime": ImageRuntime(image=image),
        }
        return maker(line, **{**settings, **changes})

    return made


def run(execution: Execution) -> Outcome:
    return KubernetesBackend().submit(execution).wait()


def shown(execution: Execution) -> str:
    """What is written of the Job beside its logs."""
    from pathlib import Path

    return (Path(execution.record_dir) / "kubernetes.json").read_text()


def test_exit_codes_are_the_programs_own(make: Callable[..., Execution]) -> None:
    outcome = run(make("echo no >&2; exit 7"))
    assert (outcome.failure, outcome.exit_code, exit_code(outcome)) == (FailureCode.USER_EXIT, 7, 7)


@pytest.mark.parametrize(("name", "code"), [("SEGV", 139), ("KILL", 137), ("TERM", 143)])
def test_signals_are_named(make: Callable[..., Execution], name: str, code: int) -> None:
    outcome = run(make(f"kill -{name} $$"))
    assert (outcome.failure, outcome.signal) == (FailureCode.SIGNAL, f"SIG{name}")
    assert exit_code(outcome) == code


def test_a_missing_image_is_told_with_the_registrys_words(make: Callable[..., Execution]) -> None:
    begun_s = time.monotonic()
    execution = make("true", image="127.0.0.1:5000/proj-test/no-such:1")
    outcome = run(execution)
    assert (outcome.failure, exit_code(outcome)) == (FailureCode.IMAGE_PULL, 125)
    assert "127.0.0.1:5000/proj-test/no-such:1" in (outcome.message or "")
    assert "not found" in (outcome.message or "") or "unknown" in (outcome.message or "")
    assert time.monotonic() - begun_s < 30
    assert outcome.started_ms is None


def test_an_image_that_is_no_name_is_refused_at_once(make: Callable[..., Execution]) -> None:
    outcome = run(make("true", image="NOT//valid"))
    assert outcome.failure is FailureCode.IMAGE_PULL


def test_an_impossible_request_names_what_is_lacking(
    make: Callable[..., Execution], namespace: Namespace
) -> None:
    execution = make("true", config=namespace.config(cpu="1000", pending_timeout="3s"))
    outcome = run(execution)
    assert (outcome.failure, exit_code(outcome)) == (FailureCode.UNSCHEDULABLE, 125)
    assert "Insufficient cpu" in (outcome.message or "")
    namespace.until_gone(execution.run_id)


def test_memory_that_runs_out_names_the_limit(make: Callable[..., Execution], namespace: Namespace) -> None:
    line = "python3 -c 'b = bytearray(200_000_000); print(len(b))'"
    outcome = run(make(line, config=namespace.config(memory="32Mi")))
    assert (outcome.failure, exit_code(outcome)) == (FailureCode.OOM_KILLED, 137)
    assert "32Mi" in (outcome.message or "")


def test_the_clusters_deadline_counts(make: Callable[..., Execution], namespace: Namespace) -> None:
    execution = make("echo begun; exec sleep 600", config=namespace.config(deadline="15s"))
    outcome = run(execution)
    assert (outcome.failure, exit_code(outcome)) == (FailureCode.DEADLINE, 124)
    assert "15 s" in (outcome.message or "")
    assert stored(execution) == b"begun\n"


def followed(handle: Handle) -> Callable[[], None]:
    """Wait for a run in a thread; returns what gives that up."""
    assert isinstance(handle, Following)

    def follow() -> None:
        with pytest.raises(BackendError, match="is not followed"):
            handle.wait()

    def leave() -> None:
        handle.abandon()
        thread.join()

    thread = threading.Thread(target=follow)
    thread.start()
    return leave


def test_a_time_limit_counts_from_the_beginning_whoever_follows(
    make: Callable[..., Execution], namespace: Namespace
) -> None:
    execution = make("while echo on; do sleep 1; done", timeout_s=20.0)
    first = KubernetesBackend().submit(execution)
    assert isinstance(first, Following)

    def its_job() -> Job:
        (found,) = [
            each
            for each in namespace.jobs()
            if (each.metadata.labels or {}).get("proj/run-id") == execution.run_id
        ]
        return found

    leave = followed(first)
    eventually(lambda: first._limit is not None and first._limit.kept)
    leave()  # before it counts to the end itself
    assert "proj/timeout" in (its_job().metadata.annotations or {})
    eventually(lambda: its_job().holds("Failed"))  # by the cluster itself: nobody follows
    again = KubernetesBackend().attach(execution, first.reference)
    assert again is not None
    outcome = again.wait()
    assert (outcome.failure, exit_code(outcome)) == (FailureCode.DEADLINE, 124)
    assert outcome.message == "The command took longer than 20 s and was stopped."


CAREFUL = """\
import os, signal, time
def end(*_):
    time.sleep(1)
    os.write(1, b"cleaned\\n")
    os._exit(0)
signal.signal(signal.SIGTERM, end)
print("up", signal.getsignal(signal.SIGINT) is signal.default_int_handler, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("line", ["{} && echo next", "{} & wait", "echo | {}; echo next"])
def test_all_of_a_program_gets_its_grace(make: Callable[..., Execution], line: str) -> None:
    line = line.format(f"python3 -c {shlex.quote(CAREFUL)}")
    execution = make(line, grace_s=40.0)
    handle = KubernetesBackend().submit(execution)
    waiter = Waiter(handle)
    await_output(execution, b"up")
    asked_s = time.monotonic()
    handle.cancel()
    assert waiter.outcome().status is RunStatus.KILLED
    assert time.monotonic() - asked_s < 30
    assert stored(execution) == b"up %s\ncleaned\n" % (b"False" if "& wait" in line else b"True")
    assert stored(execution, "stderr") == b""


def test_a_program_that_does_not_end_is_ended(make: Callable[..., Execution], namespace: Namespace) -> None:
    execution = make(
        "trap '' TERM; echo begun; sleep 600; sleep 600", config=namespace.config(deadline="15s")
    )
    begun_s = time.monotonic()
    assert run(execution).failure is FailureCode.DEADLINE
    assert time.monotonic() - begun_s < 32
    assert stored(execution) == b"begun\n"


def test_what_a_program_leaves_behind_keeps_no_pod(make: Callable[..., Execution]) -> None:
    execution = make("sleep 600 & echo done; exit 6")
    waiter = Waiter(KubernetesBackend().submit(execution))
    await_output(execution, b"done")
    begun_s = time.monotonic()
    assert waiter.outcome().exit_code == 6
    assert time.monotonic() - begun_s < 20
    assert stored(execution) == b"done\n"


def test_a_job_that_somebody_deletes_is_cancelled(
    make: Callable[..., Execution], namespace: Namespace
) -> None:
    execution = make("echo begun; exec sleep 600")
    handle = KubernetesBackend().submit(execution)
    waiter = Waiter(handle)
    await_output(execution, b"begun")
    job = msgspec.json.decode(handle.reference, type=dict[str, Any])["job"]
    body = {"propagationPolicy": "Background"}
    namespace.client.send("DELETE", namespace.path("jobs") + f"/{job}", "delete it", body=body)
    outcome = waiter.outcome()
    assert (outcome.status, outcome.failure) == (RunStatus.KILLED, FailureCode.CANCELLED)
    assert job in (outcome.message or "")
    assert "somebody else" in (outcome.message or "")


def delete_pod(namespace: Namespace, execution: Execution) -> str:
    """As `kubectl delete pod` does, and does not wait; returns its name."""
    (pod,) = namespace.names("pods", f"proj/run-id={execution.run_id}")
    namespace.client.send("DELETE", namespace.path("pods") + f"/{pod}", "delete it")
    return pod


NUMBERED = """\
import os, signal, time
def end(*_):
    os.write(1, b"told\\n")
    os._exit(3)
signal.signal(signal.SIGTERM, end)
last = 3 if os.path.exists("/volume/short") else 10000
for number in range(last):
    os.write(1, b"%d\\n" % number)
    time.sleep(0.3)
"""
"""A program that counts, and says when it is told to end; three numbers are enough where a file says so."""


@pytest.fixture
def counting(
    make: Callable[..., Execution], namespace: Namespace, tmp_path: Path
) -> Callable[..., Execution]:
    """A run that counts; later pods of it soon end by themselves once `tmp_path/volume/short` is there."""
    folder = tmp_path / "volume"
    folder.mkdir(mode=0o755)
    pod = {
        "volumes": [{"name": "v", "hostPath": {"path": str(folder)}}],
        "containers": [{"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/volume"}]}],
    }

    def made(**spec: Any) -> Execution:
        template = {"kind": "Job", "spec": {"template": {"spec": pod}, **spec}}
        line = f"exec python3 -c {shlex.quote(NUMBERED)}"
        return make(line, config=namespace.config(kube_job_template=template), grace_s=5.0)

    return made


def test_a_pod_that_somebody_deletes_ends_the_run(
    counting: Callable[..., Execution], namespace: Namespace
) -> None:
    """The Job makes another one, in which the program would run a second time."""
    execution = counting()
    waiter = Waiter(KubernetesBackend().submit(execution))
    await_output(execution, b"2\n")
    pod = delete_pod(namespace, execution)
    outcome = waiter.outcome()
    assert (outcome.status, outcome.failure, exit_code(outcome)) == (RunStatus.FAILED, FailureCode.LOST, 125)
    assert f"The pod {pod} was deleted by somebody else. A run is one pod" in (outcome.message or "")
    *numbers, last = stored(execution).decode().split()
    assert (numbers, last) == ([str(number) for number in range(len(numbers))], "told")
    assert pod in shown(execution)
    namespace.until_gone(execution.run_id)


def test_a_pod_that_was_replaced_while_nobody_followed_is_told(
    counting: Callable[..., Execution], namespace: Namespace, tmp_path: Path
) -> None:
    execution = counting()
    handle = KubernetesBackend().submit(execution)
    leave = followed(handle)
    await_output(execution, b"1\n")
    leave()
    (tmp_path / "volume" / "short").touch()
    pod = delete_pod(namespace, execution)
    eventually(lambda: pod not in namespace.names("pods", f"proj/run-id={execution.run_id}"))
    job = msgspec.json.decode(handle.reference, type=dict[str, Any])["job"]
    told = {"fieldSelector": f"involvedObject.kind=Job,involvedObject.name={job},reason=SuccessfulCreate"}

    def made() -> tuple[Event, ...]:
        return namespace.client.get(namespace.path("events"), Items[Event], "list events", **told).items or ()

    eventually(lambda: len(made()) > 1)  # it is of these that the pods are known
    again = KubernetesBackend().attach(execution, handle.reference)
    assert again is not None
    outcome = again.wait()
    assert outcome.status is RunStatus.FINISHED
    assert f"The Job has made the pods {pod}, " in (outcome.message or "")


def test_a_pod_that_somebody_deletes_is_replaced_where_there_are_tries_left(
    counting: Callable[..., Execution], namespace: Namespace, tmp_path: Path
) -> None:
    execution = counting(backoffLimit=2)
    waiter = Waiter(KubernetesBackend().submit(execution))
    await_output(execution, b"2\n")
    (tmp_path / "volume" / "short").touch()
    pod = delete_pod(namespace, execution)
    outcome = waiter.outcome()
    assert outcome.status is RunStatus.FINISHED
    assert f"The program was begun 2 times, in the pods {pod}, " in (outcome.message or "")
    first, told, second = stored(execution).partition(b"told\n")
    assert first.startswith(b"0\n1\n2\n")
    assert (told, second) == (b"told\n", b"0\n1\n2\n")


def quota_status(namespace: Namespace, name: str) -> dict[str, str]:
    """What the quota's controller has seen of it."""
    answer = namespace.client.send("GET", namespace.path("resourcequotas") + f"/{name}", "read the quota")
    found: dict[str, str] = msgspec.json.decode(answer).get("status", {}).get("hard", {})
    return found


def test_a_quota_that_can_never_be_met_is_told_at_once(
    make: Callable[..., Execution], namespace: Namespace
) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"},
             "spec": {"hard": {"requests.memory": "64Mi", "limits.memory": "64Mi"}}}  # fmt: skip
    namespace.create("resourcequotas", quota)
    try:
        eventually(lambda: "requests.memory" in quota_status(namespace, "small"))
        time.sleep(1)  # what lets Jobs in hears of it a moment later
        outcome = run(make("true", config=namespace.config(memory="128Mi")))
    finally:
        path = namespace.path("resourcequotas")
        namespace.client.send("DELETE", f"{path}/small", "delete the quota")
    assert (outcome.failure, exit_code(outcome)) == (FailureCode.REFUSED, 125)
    assert "exceeded quota" in (outcome.message or "")


def test_an_init_container_that_fails_is_named(make: Callable[..., Execution], namespace: Namespace) -> None:
    init = {"name": "fetch", "image": IMAGE, "command": ["sh", "-c", "echo no data >&2; exit 3"]}
    template: dict[str, Any] = {"kind": "Job", "spec": {"template": {"spec": {"initContainers": [init]}}}}
    execution = make("true", config=namespace.config(kube_job_template=template))
    outcome = run(execution)
    assert (outcome.failure, exit_code(outcome)) == (FailureCode.ENV_FAILED, 125)
    assert "fetch" in (outcome.message or "")
    assert "exit code 3" in (outcome.message or "")
    assert stored(execution, "stderr") == b"[fetch] no data\n"


def test_a_command_that_cannot_be_started_is_told(make: Callable[..., Execution]) -> None:
    outcome = run(make("true", image="proj-test/pause:3.2"))
    assert (outcome.failure, exit_code(outcome)) == (FailureCode.IMAGE_FAILED, 125)
    assert "sh" in (outcome.message or "")


def test_what_is_forbidden_is_named(
    make: Callable[..., Execution], namespace: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(limited_kubeconfig(namespace, tmp_path, RULES[1:])))
    with pytest.raises(BackendError, match=r"may not create jobs in the namespace") as caught:
        run(make("true"))
    assert caught.value.code == FailureCode.REFUSED.value
    assert "verb create on jobs" in (caught.value.hint or "")


def test_what_is_forbidden_half_way_leaves_nothing(
    make: Callable[..., Execution], namespace: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(limited_kubeconfig(namespace, tmp_path, RULES[:4])))
    execution = make("true", variables={"TOKEN": "x"}, secrets=("TOKEN",))
    with pytest.raises(BackendError, match=r"may not create secrets"):
        run(execution)
    namespace.until_gone(execution.run_id)


def test_few_rights_are_enough(
    make: Callable[..., Execution], namespace: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(limited_kubeconfig(namespace, tmp_path, RULES)))
    execution = make('sleep 3; printf %s "$TOKEN"', variables={"TOKEN": "$(x) y"}, secrets=("TOKEN",))
    assert run(execution).status is RunStatus.FINISHED
    assert stored(execution) == b"$(x) y"


def test_a_canary_is_seen_in_no_object(make: Callable[..., Execution], namespace: Namespace) -> None:
    canary = f"canary-{os.urandom(8).hex()}"
    execution = make("sleep 3", variables={"TOKEN": canary}, secrets=("TOKEN",))
    handle = KubernetesBackend().submit(execution)
    seen: list[str] = []
    looking = threading.Event()

    def look() -> None:
        while not looking.wait(0.5):
            seen.extend(namespace.text(kind) for kind in ("jobs", "pods", "configmaps", "events"))

    thread = threading.Thread(target=look)
    thread.start()
    outcome = handle.wait()
    looking.set()
    thread.join()
    assert outcome.status is RunStatus.FINISHED
    assert seen
    assert not any(canary in text for text in seen)
    assert canary not in shown(execution) + handle.reference
    assert canary not in stored(execution).decode() + stored(execution, "stderr").decode()
    assert base64.b64encode(canary.encode()).decode() in namespace.text("secrets")
