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
    from proj.kube.hub import Hub
    from proj.kube.objects import Job, Pod
    from proj.kube.state import JobState

_SLACK_S = 1
"""Whoever follows it from the beginning comes first."""
_PAUSE_S = 5.0


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
        self._next_s = 0.0

    def begin_anew(self) -> None:
        """The program is going to begin once more, after its queue has taken it back."""
        self.kept, self._next_s = False, 0.0

    def hand_over(self, state: JobState) -> None:
        """Tell the cluster of it, once it is known when the program began; tried again while that fails."""
        job, pod = state.job, state.pod
        if self.kept or job is None or pod is None or time.monotonic() < self._next_s:
            return
        deadline_s = self._deadline_s(job, pod)
        if deadline_s is None:
            return
        known_s = job.spec.active_deadline_seconds
        if known_s is not None and known_s <= deadline_s:  # the user's own, or one that is set already
            self.kept = True
            return
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
            self._next_s = math.inf if refused else time.monotonic() + _PAUSE_S
        else:
            self.kept = True

    def _deadline_s(self, job: Job, pod: Pod) -> int | None:
        """The Job's deadline that ends the program in time; None: not known yet."""
        status = pod.container(pods.main_of(pod))
        state = status.state if status is not None else None
        begun = (state.running or state.terminated) if state is not None else None
        begun_s = seconds(begun.started_at) if begun is not None else None
        start_s = seconds(job.status.start_time)
        if begun_s is None or start_s is None or job.spec.parallelism == 0 or job.spec.suspend:
            return None
        return math.ceil(max(0.0, begun_s - start_s) + self.limit_s) + _SLACK_S
