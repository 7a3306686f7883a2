"""Find the Job of a run again whose client died."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from proj.errors import FailureCode
from proj.kube import manifest
from proj.kube.blueprint import Names
from proj.kube.cluster import open_cluster
from proj.kube.following import Following
from proj.kube.hub import Hub
from proj.kube.launch import delete
from proj.kube.names import INSTANCE_LABEL, RUN_LABEL
from proj.kube.objects import Items, Job, Pod
from proj.kube.state import JobState
from proj.model import Outcome, RunStatus
from proj.times import now_ms

if TYPE_CHECKING:
    from proj.kube.client import Client
    from proj.model import Execution


class Ended:
    """An execution that was never begun.

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
    *,
    context: str | None,
    namespace: str,
    job: str | None,
    reference: str,
    observing: bool = False,
) -> Following | Ended | None:
    """Follow a run's Job again; one that was never completed is deleted.

    Args:
        execution: The run, as far as its record tells.
        context: Of the kubeconfig.
        namespace: Where the Job is.
        job: Its name; None: it was about to be created.
        reference: All of that as one text.
        observing: Whether another process looks after it: then nothing is deleted.

    Raises:
        BackendError: The cluster cannot be asked.
    """
    client = open_cluster(context).client
    found = _youngest(client, namespace, execution.run_id, job)
    if found is None:
        return None
    if manifest.is_held(found) and not observing:
        delete(client, Names(job=found.metadata.name, namespace=namespace, session=""))
        return Ended(reference, _never_begun())
    hub = Hub(client, namespace, f"{RUN_LABEL}={execution.run_id}")
    quiet = msgspec.structs.replace(execution, quiet=True)
    following = Following(
        quiet, hub, found.metadata.name, reference=reference, pending_s=None, again=True, observing=observing
    )
    following.ended = _has_ended(client, namespace, found)
    return following


def _has_ended(client: Client, namespace: str, job: Job) -> bool:
    state = JobState(job.metadata.name)
    state.take_job("ADDED", job)
    path = f"/api/v1/namespaces/{namespace}/pods"
    selector = f"{INSTANCE_LABEL}={job.metadata.name}"
    for pod in client.get(path, Items[Pod], "list pods", labelSelector=selector).items or ():
        state.take_pod("ADDED", pod)
    return state.outcome() is not None


def _youngest(client: Client, namespace: str, run_id: str, job: str | None) -> Job | None:
    """The Job of a run; of several, from when it was made again, the named one, else the last."""
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    listed = client.get(path, Items[Job], "list Jobs", labelSelector=f"{RUN_LABEL}={run_id}").items or ()
    named = [each for each in listed if each.metadata.name == job]
    return max(named or listed, key=lambda each: each.metadata.creation_timestamp or "", default=None)


def _never_begun() -> Outcome:
    return Outcome(
        status=RunStatus.KILLED,
        failure=FailureCode.LOST,
        message="The proj process that looked after this run was killed before the Job had all that it "
        "needs; it was deleted.",
        ended_ms=now_ms(),
    )
