"""Delete the Job of a run that is to end, for as long as it takes."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from proj import events
from proj.errors import BackendError, DetachedError
from proj.kube.errors import NOT_FOUND, ApiError

if TYPE_CHECKING:
    from proj.kube.hub import Hub
    from proj.kube.objects import Pod

_SIGNAL_BASE = 128
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 5.0


class Deletion:
    """Asks for the deletion of a Job until the cluster has taken the request.

    Args:
        hub: Of its namespace.
        job: The Job's name.
    """

    def __init__(self, hub: Hub, job: str) -> None:
        self._hub = hub
        self._job = job
        self._pause_s = _FIRST_PAUSE_S
        self._next_s = 0.0
        self.error: BackendError | None = None
        """What the cluster has against it, or what keeps us from asking."""
        self.accepted = False
        """Whether the cluster is at it."""

    def attempt(self) -> bool:
        """Ask, unless it was accepted, or refused a moment ago; returns whether it is accepted by now."""
        if self.accepted or time.monotonic() < self._next_s:
            return self.accepted
        path = f"/apis/batch/v1/namespaces/{self._hub.namespace}/jobs/{self._job}"
        body = {"propagationPolicy": "Foreground"}
        tries = 2 if self.error is None else 1  # what passes at once is not worth a word
        try:
            self._hub.client.send("DELETE", path, f"delete the Job {self._job}", body=body, tries=tries)
        except BackendError as error:
            self.accepted = isinstance(error, ApiError) and error.status == NOT_FOUND
            if not self.accepted:
                self._wait(error)
        else:
            self.accepted = True
        return self.accepted

    def given_up(self, run_id: str, signum: int) -> DetachedError:
        """What is to be raised where the Job is left to itself, since a signal asks us to end at once."""
        said = self.error.message if self.error is not None else "no answer yet."
        found = DetachedError(
            f"The Job {self._job} could not be deleted and goes on: {said}",
            run_id=run_id,
            hint=f"The run {run_id} stays open until it ends; "
            f"`kubectl delete job {self._job} -n {self._hub.namespace}` ends it.",
        )
        found.exit_code = _SIGNAL_BASE + signum
        return found

    def _wait(self, error: BackendError) -> None:
        if self.error is None:
            events.warning(
                f"{error.message} The Job {self._job} goes on until it can be deleted: trying again."
            )
        self.error = error
        self._next_s = time.monotonic() + self._pause_s
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)


def delete_pod(hub: Hub, pod: Pod) -> None:
    """Have a pod gone at once, if the cluster answers."""
    name = pod.metadata.name
    path = f"/api/v1/namespaces/{hub.namespace}/pods/{name}"
    with contextlib.suppress(BackendError):
        hub.client.send("DELETE", path, f"delete the pod {name}", body={"gracePeriodSeconds": 0}, tries=1)
