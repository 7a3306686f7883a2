"""One watch of each kind for all the runs that a process follows in a namespace."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from proj.kube.names import INSTANCE_LABEL, SESSION_LABEL
from proj.kube.objects import Event, Job, Pod
from proj.kube.watch import Watch

if TYPE_CHECKING:
    from proj.errors import BackendError
    from proj.kube.client import Client

Receiver = Callable[[str, str, object], None]
"""Takes what kind of news it is, the kind of change, and the object."""


class Hub:
    """Watches Jobs and pods with a label, and hands their changes to those who follow their Jobs.

    Args:
        client: To whom.
        namespace: Where.
        selector: What the labels have to be.
    """

    def __init__(self, client: Client, namespace: str, selector: str) -> None:
        self.client = client
        self.namespace = namespace
        self._selector = selector
        self._lock = threading.Lock()
        self._receivers: dict[str, Receiver] = {}
        self._watches: list[Watch[Job] | Watch[Pod] | Watch[Event]] = []
        self._events: Watch[Event] | None = None
        self._wanting: set[str] = set()
        self._told: dict[str, list[Event]] = {}
        """Events of those that do not want them yet."""

    def join(self, job: str, receiver: Receiver) -> None:
        """Hand what concerns a Job to `receiver` from now on, in the watches' threads."""
        with self._lock:
            self._receivers[job] = receiver
            if not self._watches:
                self._watches = [self._watch_jobs(), self._watch_pods()]
                for watch in self._watches:
                    watch.start()

    def leave(self, job: str) -> None:
        """No more of a Job; with the last one the watches end."""
        with self._lock:
            self._receivers.pop(job, None)
            self._told.pop(job, None)
            self._wanting.discard(job)
            if self._receivers:
                return
            ending, self._watches, self._events = self._watches, [], None
        for watch in ending:
            watch.stop()

    def want_events(self, job: str) -> None:
        """Hand on a Job's events too; most runs are over before anybody needs to know why they wait."""
        with self._lock:
            if job not in self._receivers or job in self._wanting:
                return
            self._wanting.add(job)
            if self._events is None:
                self._events = self._watch_events()
                self._watches.append(self._events)
                self._events.start()
            told, receiver = self._told.pop(job, []), self._receivers[job]
        for event in told:
            receiver("event", "ADDED", event)

    def _watch_jobs(self) -> Watch[Job]:
        path = f"/apis/batch/v1/namespaces/{self.namespace}/jobs"
        return Watch(
            self.client, path, Job, {"labelSelector": self._selector},
            on_change=lambda change, job: self._tell(job.metadata.name, "job", change, job),
            on_trouble=self._trouble, on_forbidden=self._forbidden,
        )  # fmt: skip

    def _watch_pods(self) -> Watch[Pod]:
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        return Watch(
            self.client, path, Pod, {"labelSelector": self._selector},
            on_change=lambda change, pod: self._tell(
                (pod.metadata.labels or {}).get(INSTANCE_LABEL, ""), "pod", change, pod
            ),
            on_trouble=self._trouble, on_forbidden=self._forbidden,
        )  # fmt: skip

    def _watch_events(self) -> Watch[Event]:
        path = f"/api/v1/namespaces/{self.namespace}/events"
        return Watch(
            self.client, path, Event, {}, on_change=self._on_event, on_trouble=self._trouble, listed=True,
            remembers=False,
        )  # fmt: skip

    def _on_event(self, change: str, event: Event) -> None:
        if change == "DELETED":
            return
        name = event.involved_object.name
        for job in (name, name.rpartition("-")[0]):
            with self._lock:
                receiver = self._receivers.get(job)
                if receiver is not None and job not in self._wanting:
                    self._told.setdefault(job, []).append(event)
                    return
            if receiver is not None:
                receiver("event", change, event)
                return

    def _tell(self, job: str, kind: str, change: str, item: object) -> None:
        with self._lock:
            receiver = self._receivers.get(job)
        if receiver is not None:
            receiver(kind, change, item)

    def _trouble(self, error: BackendError | None) -> None:
        self._tell_all("trouble", error)

    def _forbidden(self, error: BackendError) -> None:
        self._tell_all("forbidden", error)

    def _tell_all(self, kind: str, error: BackendError | None) -> None:
        with self._lock:
            receivers = tuple(self._receivers.values())
        for receiver in receivers:
            receiver(kind, "", error)


def of_session(client: Client, namespace: str, session: str) -> Hub:
    """A hub for the Jobs that a process has made."""
    return Hub(client, namespace, f"{SESSION_LABEL}={session}")
