"""Find the Job of a run again whose client died."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from proj.errors import BackendError, FailureCode
from proj.kube import manifest
from proj.kube.blueprint import Names
from proj.kube.cluster import open_cluster
from proj.kube.errors import ConfigError
from proj.kube.following import Following
from proj.kube.hub import Hub
from proj.kube.launch import delete
from proj.kube.names import INSTANCE_LABEL, RUN_LABEL
from proj.kube.objects import Event, Items, Job, Pod
from proj.kube.state import JobState
from proj.model import Outcome, RunStatus
from proj.times import now_ms

if TYPE_CHECKING:
    from proj.kube.client import Client
    from proj.model import Execution


class Reference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """By what a Job is found again whose client died; as JSON, a handle's reference."""

    namespace: str
    run_id: str
    context: str | None = None
    server: str | None = None
    """The API server's URL: a context may name another cluster one day."""
    job: str | None = None
    """None: it was about to be created."""
    timeout_s: float | None = None
    grace_s: float = 10.0
    pending_s: float | None = None
    metrics: bool = False
    """Whether metrics are read of its output."""

    def text(self) -> str:
        """As one line."""
        return msgspec.json.encode(self).decode()

    def resumed(self, execution: Execution) -> Execution:
        """A run as its record tells it, with what only its first process knew."""
        return msgspec.structs.replace(
            execution, timeout_s=self.timeout_s, grace_s=self.grace_s, quiet=True,
            metrics_from_stdout=self.metrics,
        )  # fmt: skip


class Ended:
    """An execution that there is nothing of: it was never begun, or is gone.

    Args:
        reference: What it was looked for by.
        outcome: What is to be said of it.
    """

    def __init__(self, reference: str, outcome: Outcome) -> None:
        self.reference = reference
        self._outcome = outcome

    @property
    def ended(self) -> bool:
        """It has."""
        return True

    def wait(self) -> Outcome:
        """The outcome, at once."""
        return self._outcome

    def cancel(self) -> None:
        """There is nothing to stop."""


def find(
    execution: Execution,
    known: Reference,
    reference: str,
    *,
    context: str | None,
    observing: bool = False,
) -> Following | Ended | None:
    """Follow a run's Job again; one that was never completed is deleted.

    Args:
        execution: The run, as far as its record tells.
        known: What is known of its Job.
        reference: The same as text.
        context: Of the kubeconfig.
        observing: Whether another process looks after it: then nothing is deleted.

    Returns:
        None where the Job was never made; for one who only looks on, where it is not to be seen.

    Raises:
        BackendError: The cluster cannot be asked, or is another one.
    """
    client = open_cluster(context).client
    namespace = known.namespace
    found = _youngest(client, namespace, known.run_id, known.job)
    if found is None:
        if observing:
            return None
        _check_cluster(client, known)
        return None if known.job is None else Ended(reference, _gone(known.job))
    if manifest.is_held(found) and not observing:
        delete(client, Names(job=found.metadata.name, namespace=namespace, session=""))
        return Ended(reference, _never_begun())
    hub = Hub(client, namespace, f"{RUN_LABEL}={known.run_id}")
    following = Following(
        execution, hub, found.metadata.name, reference=reference, pending_s=known.pending_s, again=True,
        made=_pods_made(client, namespace, found), observing=observing,
    )  # fmt: skip
    following.ended = _has_ended(client, namespace, found)
    return following


def _check_cluster(client: Client, known: Reference) -> None:
    """See that a Job that is not there was looked for where it was made."""
    if known.server is not None and client.server != known.server:
        raise ConfigError(
            f"The context {known.context!r} names the cluster at {client.server} now, and the run's Job is "
            f"at {known.server}.",
            hint="Run proj with the kubeconfig that the run was started with.",
        )


def _has_ended(client: Client, namespace: str, job: Job) -> bool:
    state = JobState(job.metadata.name)
    state.take_job("ADDED", job)
    path = f"/api/v1/namespaces/{namespace}/pods"
    selector = f"{INSTANCE_LABEL}={job.metadata.name}"
    for pod in client.get(path, Items[Pod], "list pods", labelSelector=selector).items or ():
        state.take_pod("ADDED", pod)
    return state.outcome() is not None


def _pods_made(client: Client, namespace: str, job: Job) -> tuple[str, ...]:
    """Names of the pods that a Job has made, for as long as the cluster remembers its events."""
    path, meta = f"/api/v1/namespaces/{namespace}/events", job.metadata
    selector = f"involvedObject.uid={meta.uid},reason=SuccessfulCreate"
    try:
        told = client.get(path, Items[Event], "list events", fieldSelector=selector).items or ()
    except BackendError:
        return ()
    made = [
        event.message.partition("Created pod: ")[2]
        for event in sorted(told, key=lambda each: each.last or "")
    ]
    return tuple(dict.fromkeys(name for name in made if name))


def _youngest(client: Client, namespace: str, run_id: str, job: str | None) -> Job | None:
    """The Job of a run; of several, from when it was made again, the named one, else the last."""
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    listed = client.get(path, Items[Job], "list Jobs", labelSelector=f"{RUN_LABEL}={run_id}").items or ()
    named = [each for each in listed if each.metadata.name == job]
    return max(named or listed, key=lambda each: each.metadata.creation_timestamp or "", default=None)


def _gone(job: str) -> Outcome:
    return Outcome(
        status=RunStatus.KILLED,
        failure=FailureCode.LOST,
        message=f"The Job {job} is gone, and with it how it ended and what it wrote.",
        ended_ms=now_ms(),
    )


def _never_begun() -> Outcome:
    return Outcome(
        status=RunStatus.KILLED,
        failure=FailureCode.LOST,
        message="The proj process that looked after this run was killed before the Job had all that it "
        "needs; it was deleted.",
        ended_ms=now_ms(),
    )
