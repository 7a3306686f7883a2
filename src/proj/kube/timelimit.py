"""A run's time limit, kept by the cluster: it counts from when the program began, whoever follows it then."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from proj.errors import BackendError
from proj.kube import pods
from proj.kube.client import MERGE
from proj.kube.errors import BUSY, ApiError
from proj.kube.names import TIMEOUT_ANNOTATION
from proj.kube.objects import seconds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proj.kube.hub import Hub
    from proj.kube.objects import Job, Pod
    from proj.kube.state import JobState

_SLACK_S = 1
"""Whoever follows it from the beginning comes first."""
_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 300.0


class TimeLimit:
    """Has the cluster end a Job in time, from when its program is seen to run.

    The deadline of a Job counts from its own start, and a program may begin long after that: so it can be
    set only then.

    Args:
        hub: Of its namespace.
        job: The Job's name.
        limit_s: How long the program may take.
    """

    def __init__(self, hub: Hub, job: str, limit_s: float) -> None:
        self._hub = hub
        self._job = job
        self.limit_s = limit_s
        self.kept = False
        """Whether the cluster keeps it."""
        self._next_s, self._pause_s = 0.0, _PAUSE_S

    def begin_anew(self) -> None:
        """The program is going to begin once more, after its queue has taken it back."""
        self.kept, self._next_s, self._pause_s = False, 0.0, _PAUSE_S

    def hand_over(self, state: JobState) -> None:
        """Tell the cluster of it, once it is known when the program began; tried again while that fails."""
        job, pod = state.job, state.pod
        if self.kept or job is None or pod is None or time.monotonic() < self._next_s:
            return
        deadline_s = self._deadline_s(job, pod, state.pods.values())
        if deadline_s is None:
            return
        if _holds(job, pod, deadline_s):
            self.kept = True
            return
        self._set(deadline_s)

    def _set(self, deadline_s: int) -> None:
        path = f"/apis/batch/v1/namespaces/{self._hub.namespace}/jobs/{self._job}"
        body = {
            "metadata": {"annotations": {TIMEOUT_ANNOTATION: f"{self.limit_s:g}"}},
            "spec": {"activeDeadlineSeconds": deadline_s},
        }
        try:
            self._hub.client.send(
                "PATCH", path, "set the Job's deadline", body=body, content_type=MERGE, tries=1
            )
        except BackendError as error:
            refused = isinstance(error, ApiError) and error.status not in BUSY
            self._next_s = math.inf if refused else time.monotonic() + self._pause_s
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        else:
            self.kept = True

    def _deadline_s(self, job: Job, pod: Pod, others: Iterable[Pod]) -> int | None:
        """The Job's deadline that ends the program in time; None: not known yet."""
        begun_s, start_s = _begun_s(pod), seconds(job.status.start_time)
        if begun_s is None or start_s is None or job.spec.parallelism == 0 or job.spec.suspend:
            return None
        # Where a Job may try again, the first try counts; a pod that its queue took away is deleted.
        tries = (_begun_s(each) for each in others if each.metadata.deletion_timestamp is None)
        first_s = min([begun_s, *(each for each in tries if each is not None)])
        return math.ceil(max(0.0, first_s - start_s) + self.limit_s) + _SLACK_S


def _holds(job: Job, pod: Pod, deadline_s: int) -> bool:
    """Whether a Job has the deadline already, or the user's own comes first.

    One that was set for an earlier go, before its queue took the Job back, counts from there.
    """
    known_s = job.spec.active_deadline_seconds
    if known_s is None or known_s > deadline_s:
        return False
    ours = TIMEOUT_ANNOTATION in (job.metadata.annotations or {})
    status = pod.container(pods.main_of(pod))
    restarted = status is not None and status.restart_count > 0  # it began earlier than can be seen
    return not ours or restarted or known_s == deadline_s


def _begun_s(pod: Pod) -> float | None:
    status = pod.container(pods.main_of(pod))
    state = status.state if status is not None else None
    begun = (state.running or state.terminated) if state is not None else None
    return seconds(begun.started_at) if begun is not None else None
