"""What the cluster says of a Job and its pod, in the words that all backends share; pure."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import msgspec

from proj.errors import FailureCode
from proj.kube.blueprint import PREPARE
from proj.kube.names import TIMEOUT_ANNOTATION
from proj.kube.quantities import never_fits
from proj.model import Outcome, RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proj.kube.objects import ContainerStatus, Event, Job, Pod, Terminated

_SIGNAL_BASE = 128
_FATAL = frozenset((
    signal.SIGILL, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGKILL, signal.SIGSEGV,
    signal.SIGPIPE, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTRAP,
))  # fmt: skip
_PULLING = frozenset(("ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable"))
_NEVER_PULLED = frozenset(("InvalidImageName", "ErrImageNeverPull"))
_HOPELESS = re.compile(
    r"not found|manifest unknown|does not exist|denied|unauthorized|authentication required|forbidden|"
    r"no basic auth|invalid reference|no match(ing manifest)? for platform|name unknown",
    re.IGNORECASE,
)
_CANNOT_START = frozenset(("CreateContainerConfigError", "CreateContainerError", "RunContainerError"))
_CANNOT_RUN = frozenset(("ContainerCannotRun", "StartError"))
_AT_IMAGES = frozenset(("Pulling", "Pulled", "Created", "Started", "BackOff", "Failed", "InspectFailed"))
_REFUSED_PODS = ("FailedCreate",)
_OWN = re.compile(r"proj: (?P<word>source_failed|env_failed): (?P<said>[^\n]+)")
_PASSING = re.compile(
    r"etcdserver|timeout|timed out|connection refused|try again|internal error", re.IGNORECASE
)
PULL_PATIENCE_S = 90.0
"""How long a pull may fail for a reason that may pass, such as a registry that does not answer."""
START_PATIENCE_S = 20.0
"""How long a container may not be made: what it needs may be on its way."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run did not come to its end."""

    code: FailureCode
    message: str
    after_s: float = 0.0
    """It counts once it has been so for that long."""


def started(pod: Pod, name: str) -> bool:
    """Whether a container has run, or does."""
    status = pod.container(name)
    return status is not None and (status.state.running is not None or status.state.terminated is not None)


def pull_error(pod: Pod) -> str | None:
    """What is said of an image that was not pulled just now."""
    for status in _statuses(pod):
        waiting = status.state.waiting
        if waiting is not None and waiting.reason in _PULLING - {"ImagePullBackOff"} and waiting.message:
            return waiting.message
    return None


def _statuses(pod: Pod) -> tuple[ContainerStatus, ...]:
    return (*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ()))


def stuck(pod: Pod, main: str, pulled: str | None = None) -> Verdict | None:
    """Why a pod that has not begun is not going to; None while there is hope.

    Args:
        pod: It.
        main: Name of the container that runs the program.
        pulled: What was said when the image was not pulled.
    """
    for status in _statuses(pod):
        found = _stuck_container(status, pulled)
        if found is not None:
            return found
        ended = status.state.terminated
        if status.name != main and ended is not None and ended.exit_code and _is_init(pod, status):
            return _failed_init(status, ended)
    return None


def _is_init(pod: Pod, status: ContainerStatus) -> bool:
    return status in (pod.status.init_container_statuses or ())


def _stuck_container(status: ContainerStatus, pulled: str | None) -> Verdict | None:
    waiting = status.state.waiting
    if waiting is None or waiting.reason is None:
        return None
    told = pulled if waiting.reason == "ImagePullBackOff" else None
    said = " ".join((told or waiting.message or waiting.reason).split())
    if waiting.reason in _PULLING or waiting.reason in _NEVER_PULLED:
        hopeless = waiting.reason in _NEVER_PULLED or _HOPELESS.search(said) is not None
        return Verdict(
            code=FailureCode.IMAGE_PULL,
            message=f"The image {status.image} cannot be pulled: {said}",
            after_s=0.0 if hopeless else PULL_PATIENCE_S,
        )
    if waiting.reason in _CANNOT_START:
        root = "runAsNonRoot" in said or "non-numeric user" in said
        return Verdict(
            code=FailureCode.IMAGE_FAILED,
            message=f"The container {status.name} cannot be started: {said}"
            + ("; `run-as-user` in the backend's settings names another user" if root else ""),
            after_s=0.0 if root else START_PATIENCE_S,
        )
    return None


def _failed_init(status: ContainerStatus, ended: Terminated) -> Verdict:
    said = " ".join((ended.message or "").split())
    if ended.reason == "OOMKilled":
        return Verdict(
            code=FailureCode.OOM_KILLED, message=f"The init container {status.name} ran out of memory."
        )
    own = _own_words(ended)
    if own is not None:
        return own
    detail = f": {said[-500:]}" if said else ""
    return Verdict(
        code=FailureCode.ENV_FAILED,
        message=f"The init container {status.name} ended with exit code {ended.exit_code}{detail}",
    )


def _own_words(ended: Terminated) -> Verdict | None:
    """What our own scripts in the pod have to say."""
    found = _OWN.match((ended.message or "").strip())
    if found is None or not ended.exit_code:
        return None
    return Verdict(code=FailureCode(found["word"]), message=f"In the pod, {found['said'].rstrip('.')}.")


def ended(  # noqa: PLR0911  rules, in their order
    pod: Pod, status: ContainerStatus, terminated: Terminated
) -> Outcome:
    """The outcome that the end of the program's container tells."""
    from proj.kube.objects import milliseconds

    base = Outcome(
        status=RunStatus.FAILED,
        started_ms=milliseconds(terminated.started_at),
        ended_ms=milliseconds(terminated.finished_at),
    )
    code = terminated.exit_code
    taken = lost_pod(pod)
    if code and taken is not None:
        return msgspec.structs.replace(base, failure=taken.code, message=taken.message)
    if code == 0:
        return msgspec.structs.replace(base, status=RunStatus.FINISHED, exit_code=0)
    own = _own_words(terminated)
    if own is not None:
        return msgspec.structs.replace(base, failure=own.code, message=own.message)
    if terminated.reason == "OOMKilled":
        limit = _memory_limit(pod, status.name)
        of = f" its limit of {limit}" if limit else " what the node has"
        return msgspec.structs.replace(
            base, failure=FailureCode.OOM_KILLED, message=f"The command used more memory than{of}."
        )
    if terminated.reason in _CANNOT_RUN:
        said = " ".join((terminated.message or "").split())
        return msgspec.structs.replace(
            base, failure=FailureCode.IMAGE_FAILED, message=f"The command cannot be started: {said}"
        )
    number = terminated.signal or (code - _SIGNAL_BASE if code - _SIGNAL_BASE in _FATAL else 0)
    if number:
        name = _signal_name(number)
        return msgspec.structs.replace(
            base, failure=FailureCode.SIGNAL, signal=name, message=f"The command was ended by {name}."
        )
    return msgspec.structs.replace(
        base,
        exit_code=code,
        failure=FailureCode.USER_EXIT,
        message=f"The command ended with exit code {code}.",
    )


def lost_pod(pod: Pod) -> Verdict | None:
    """Why the cluster took a pod away; None if it did not."""
    status = pod.status
    said = " ".join((status.message or "").split())
    if status.reason == "Evicted":
        return Verdict(code=FailureCode.EVICTED, message=f"The pod was evicted: {said or 'no reason given'}")
    if status.reason == "DeadlineExceeded":
        return Verdict(code=FailureCode.DEADLINE, message=f"The pod took longer than it may. {said}".strip())
    if status.reason in ("Preempting", "Preempted"):
        return Verdict(code=FailureCode.PREEMPTED, message=f"The pod had to make room: {said}")
    if status.reason in (
        "NodeLost",
        "Shutdown",
        "Terminated",
        "NodeShutdown",
        "NodeAffinity",
        "UnexpectedAdmissionError",
    ):
        node = pod.spec.node_name or "the node"
        return Verdict(
            code=FailureCode.LOST, message=f"The pod was lost with {node}: {said or status.reason}"
        )
    return _disrupted(pod)


def _disrupted(pod: Pod) -> Verdict | None:
    """What the condition `DisruptionTarget` says (Kubernetes 1.25 and later)."""
    found = pod.condition("DisruptionTarget")
    if found is None or found.status != "True":
        return None
    said = found.message or found.reason or ""
    if found.reason == "PreemptionByScheduler":
        return Verdict(code=FailureCode.PREEMPTED, message=f"The pod had to make room: {said}")
    if found.reason in ("DeletionByTaintManager", "DeletionByPodGC"):
        return Verdict(code=FailureCode.LOST, message=f"The pod was lost with {_node_of(pod)}: {said}")
    return Verdict(code=FailureCode.EVICTED, message=f"The pod was evicted: {said}")


def _node_of(pod: Pod) -> str:
    return f"its node {pod.spec.node_name}" if pod.spec.node_name else "its node"


def failed_job(job: Job) -> Verdict | None:
    """Why the cluster gave a Job up, apart from what its pods tell."""
    failed = job.holds("Failed")
    if failed is None:
        return None
    if failed.reason == "DeadlineExceeded":
        limit, own = (
            job.spec.active_deadline_seconds,
            (job.metadata.annotations or {}).get(TIMEOUT_ANNOTATION),
        )
        said = f"The Job took longer than its deadline{f' of {limit} s' if limit else ''}."
        if own is not None:
            said = f"The command took longer than {own} s and was stopped."
        return Verdict(code=FailureCode.DEADLINE, message=said)
    said = failed.message or failed.reason or "no reason given"
    return Verdict(code=FailureCode.LOST, message=f"The Job failed: {said}")


def refused_pod(events: Iterable[Event]) -> Verdict | None:
    """Why a Job gets no pod, by its events."""
    for event in events:
        if event.involved_object.kind != "Job" or event.reason not in _REFUSED_PODS:
            continue
        said = " ".join(event.message.split()).removeprefix("Error creating: ")
        if "exceeded quota" in said or "failed quota" in said:
            hopeless = "failed quota" in said or never_fits(said)
            return Verdict(
                code=FailureCode.REFUSED if hopeless else FailureCode.UNSCHEDULABLE,
                message=f"The namespace's quota does not allow the pod: {said}",
                after_s=0.0 if hopeless else float("inf"),
            )
        patience = 60.0 if _PASSING.search(said) else 0.0
        return Verdict(
            code=FailureCode.REFUSED, message=f"The cluster refuses the pod: {said}", after_s=patience
        )
    return None


def preempted(events: Iterable[Event], pod: Pod) -> Verdict | None:
    """Whether events tell that a pod had to make room, or was evicted, where its status does not."""
    for event in events:
        if event.involved_object.uid != pod.metadata.uid:
            continue
        if event.reason == "Preempted":
            return Verdict(code=FailureCode.PREEMPTED, message=f"The pod had to make room: {event.message}")
        if event.reason == "Evicted":
            return Verdict(code=FailureCode.EVICTED, message=f"The pod was evicted: {event.message}")
        if event.reason in ("TaintManagerEviction", "NodeNotReady"):
            return Verdict(
                code=FailureCode.LOST, message=f"The pod was lost with {_node_of(pod)}: {event.message}"
            )
    return None


def unschedulable(pod: Pod) -> str | None:
    """What the scheduler says of a pod that has no place yet."""
    found = pod.condition("PodScheduled")
    if found is None or found.status != "False":
        return None
    return " ".join((found.message or found.reason or "").split()).rstrip(".") or None


def held_up(pod: Pod, events: Iterable[Event]) -> str | None:
    """What keeps a pod from being started on its node; None: nothing, or it is not known.

    Images are pulled once volumes and network are there: what comes after that is not for here to judge.
    """
    of_pod = [event for event in events if event.involved_object.uid == pod.metadata.uid]
    begun = any(status.state.running or status.state.terminated for status in _statuses(pod))
    if begun or not of_pod or any(event.reason in _AT_IMAGES for event in of_pod):
        return None
    warnings = [event for event in of_pod if event.type == "Warning"]
    if not warnings:
        return "no reason given"
    return " ".join(max(warnings, key=lambda event: event.last or "").message.split())[:500].rstrip(".")


def progress(job: Job | None, pod: Pod | None, events: Iterable[Event], main: str) -> str | None:
    """What is waited for, in a line; None where nothing is."""
    if pod is None:
        if job is not None and job.spec.suspend:
            said = next((event.message for event in events if event.reason == "Suspended"), "")
            queue = (job.metadata.labels or {}).get("kueue.x-k8s.io/queue-name")
            return f"queued by Kueue in {queue}" if queue else f"the Job is suspended {said}".strip()
        return None
    if started(pod, main):
        return None
    waits = unschedulable(pod)
    return f"no node yet: {waits}" if waits else _starting(pod, tuple(events))


def _starting(pod: Pod, events: tuple[Event, ...]) -> str | None:
    """What a pod does that has a node, and does not run yet."""
    for event in events:
        if event.involved_object.uid == pod.metadata.uid and event.reason in (
            "FailedMount",
            "FailedAttachVolume",
        ):
            return " ".join(event.message.split())[:200]
    for status in _statuses(pod):
        waiting = status.state.waiting
        if waiting is not None and waiting.reason in _PULLING | _CANNOT_START:
            return f"{waiting.reason}: {' '.join((waiting.message or status.image).split())}"[:300]
        if status.name == PREPARE and status.state.running is not None:
            return "preparing the code and the environment"
    pulling = [event for event in events if event.reason == "Pulling"]
    if pulling and not any(event.reason == "Pulled" for event in events):
        return pulling[-1].message[:1].lower() + pulling[-1].message[1:]
    return None


def _memory_limit(pod: Pod, name: str) -> str | None:
    for container in pod.spec.containers:
        if container.name == name:
            return (container.resources.limits or {}).get("memory")
    return None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
