"""What is known of one Job and its pods at a moment."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from proj.errors import FailureCode
from proj.kube import pods, verdict
from proj.kube.facts import write_facts
from proj.model import Outcome, RunStatus
from proj.times import now_ms

if TYPE_CHECKING:
    from pathlib import Path

    from proj.kube.objects import Event, Job, Pod
    from proj.kube.verdict import Verdict

_MOST_EVENTS = 200
_SETTLE_S = 8.0
"""How long the end of a pod that the cluster took away waits for news of why."""

_UNHEARD_S = 30.0
"""How long the end of a pod that is deleted, beyond its grace, waits for news from its node."""

_STARTING_S = 120.0
"""How long a pod may take on its node until something of it runs, whatever `pending-timeout` says."""


class JobState:
    """A Job as the news tell it.

    Args:
        name: The Job's.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.job: Job | None = None
        self.job_deleted = False
        self.pods: dict[str, Pod] = {}
        self._gone: dict[str, Pod] = {}
        self._seen: dict[str, int] = {}
        """Which pod was heard of when."""
        self._events: dict[str, Event] = {}
        self._since: tuple[str, float] | None = None
        self._pull_error: str | None = None
        """Why an image was not pulled: between two tries, the cluster says only that it waits."""
        self._ended_at_s: float | None = None
        self._requeued: set[str] = set()
        """Pods that a queue took away; it brings others in their place."""
        self._deleting_since_s: dict[str, float] = {}
        self._placed_since_s: dict[str, float] = {}
        self.unexplained = False
        """Whether it has ended, and events may tell why."""

    # --- news -----------------------------------------------------------------------------------------

    def take_job(self, change: str, job: Job) -> None:
        """Take news of the Job."""
        self.job = job
        self.job_deleted = change == "DELETED"
        if job.spec.suspend:
            self._requeued |= {*self.pods, *self._gone}
        else:  # news of pods may be faster than those of their Job
            self._requeued -= {uid for uid, pod in self.pods.items() if not pod.metadata.deletion_timestamp}

    def take_pod(self, change: str, pod: Pod) -> None:
        """Take news of one of its pods."""
        uid = pod.metadata.uid
        self._seen.setdefault(uid, len(self._seen))
        going = change == "DELETED" or pod.metadata.deletion_timestamp is not None
        if going and self.job is not None and self.job.spec.suspend:
            self._requeued.add(uid)
        if pod.spec.node_name is not None:
            self._placed_since_s.setdefault(uid, time.monotonic())
        if going:
            self._deleting_since_s.setdefault(uid, time.monotonic())
        if change == "DELETED":
            self.pods.pop(uid, None)
            self._gone[uid] = pod
        else:
            self.pods[uid] = pod
            self._pull_error = verdict.pull_error(pod) or self._pull_error

    def take_event(self, event: Event) -> None:
        """Take what is told of it."""
        self._events[event.metadata.name] = event
        if len(self._events) > _MOST_EVENTS:
            del self._events[next(iter(self._events))]

    # --- questions ------------------------------------------------------------------------------------

    @property
    def pod(self) -> Pod | None:
        """The pod that counts: the youngest, not one that is gone, and whose place is taken by another one.

        Where a Job has but one try, the first one whose program has begun is it: a Job makes another pod for
        one that was deleted all the same, and a run is not run twice.
        """
        begun = None if self.may_retry else self._first_begun()
        if begun is not None:
            return begun
        known = self.pods or {uid: pod for uid, pod in self._gone.items() if uid not in self._requeued}
        return max(known.values(), key=self._age, default=None)

    @property
    def followed(self) -> list[Pod]:
        """The pods that are there and whose output is the run's, in the order in which they were made."""
        alone = None if self.may_retry else self._first_begun()
        known = sorted(self.pods.values(), key=self._age)
        return [pod for pod in known if alone is None or pod is alone or pod.metadata.uid in self._requeued]

    @property
    def replaced(self) -> tuple[Pod, Pod] | None:
        """A pod that was deleted while its program ran, and the one that its Job of one try made for it."""
        job, counts = self.job, self._first_begun()
        if job is None or job.spec.suspend or self.deleted or self.may_retry or counts is None:
            return None
        later = [pod for pod in self._known if self._age(pod) > self._age(counts)]
        return (counts, later[-1]) if later and self._is_going(counts) else None

    @property
    def begun(self) -> tuple[str, ...]:
        """Names of the pods in which the program has begun, in the order in which they were made."""
        return tuple(pod.metadata.name for pod in self._known if pods.begun(pod))

    @property
    def running(self) -> bool:
        """Whether the program has begun."""
        pod = self.pod
        return pod is not None and pods.begun(pod)

    @property
    def may_retry(self) -> bool:
        """Whether the Job makes another pod when one fails: until it says that it has failed itself."""
        spec = self.job.spec if self.job is not None else None
        return spec is not None and ((spec.backoff_limit or 0) > 0 or spec.pod_failure_policy is not None)

    @property
    def queued_again(self) -> bool:
        """Whether it waits for its turn once more, after its pod was taken away."""
        suspended = self.job is not None and bool(self.job.spec.suspend)
        return suspended and self.pod is None and bool(self._gone)

    @property
    def deleted(self) -> bool:
        """Whether the Job is gone, or about to go."""
        going = self.job is not None and self.job.metadata.deletion_timestamp is not None
        return self.job_deleted or going

    @property
    def at_rest(self) -> bool:
        """Whether nothing of it runs any more."""
        if not self.pods:
            return self.job_deleted or bool(self._gone)
        return all(pods.program_ended(pod) for pod in self.pods.values())

    def why_replaced(self, deleted: Pod, other: Pod) -> Verdict:
        """Why a run ends whose pod was deleted, and for which its Job made another one."""
        found = self._cause(deleted)
        said = f"The pod {deleted.metadata.name} was deleted by somebody else."
        code = FailureCode.LOST
        if found is not None:
            said, code = f"{found.message.rstrip('.')}.", found.code
        name = other.metadata.name
        ran = f"The program had begun again in {name} by then" if name in self.begun else f"{name} was ended"
        return _verdict(code, f"{said} A run is one pod, and its Job made another one: {ran}.")

    def ended_main(self) -> Outcome | None:
        """How the program ended, if it has."""
        pod = self.pod
        found = pods.terminated(pod) if pod is not None else None
        if pod is None or found is None:
            return None
        return verdict.ended(pod, found[0], found[1])

    @property
    def cut_short(self) -> bool:
        """Whether the program was told to end before it had: what it makes of that is no end of its own."""
        pod = self.pod
        return pod is not None and pods.cut_short(pod)

    def outcome(self) -> Outcome | None:  # noqa: PLR0911  rules, in their order
        """How the run ended, if it has by itself."""
        job, pod = self.job, self.pod
        ended = self.ended_main()
        complete = job is not None and job.holds("Complete") is not None
        if ended is not None and ended.status is RunStatus.FINISHED and (complete or not self.cut_short):
            return ended
        if self.job_deleted:
            return self._deleted(ended) if self._over else None
        failed = verdict.failed_job(job) if job is not None else None
        if pod is None and job is not None and (failed is not None or job.holds("Complete")):
            return self._without_pod(job, failed)
        if failed is not None and failed.code is FailureCode.DEADLINE:
            return self._failed(failed, ended) if self._over else None
        if pod is not None and self._taken_away(pod) and failed is None:
            return None if self._goes_on(pod) else self._explained(pod, ended)
        if ended is not None and (failed is not None or not self.may_retry):
            return ended
        if failed is not None and self._over:
            return self._failed(self._cause(pod) or failed, ended)
        if complete and ended is not None:
            return ended
        if pod is not None and pod.status.phase == "Failed" and not self.may_retry:
            return self._failed_pod(pod)
        return None

    def hopeless(self, now_s: float) -> Verdict | None:
        """Why the run is not going to begin, if that is so for long enough."""
        pod = self.pod
        if self.running:
            return None
        found = (
            verdict.stuck(pod, pods.main_of(pod), self._pull_error)
            if pod is not None
            else verdict.refused_pod(self.events)
        )
        if found is None:
            self._since = None
            return None
        if self._since is None or self._since[0] != found.code.value:
            self._since = (found.code.value, now_s)
        return found if now_s - self._since[1] >= found.after_s else None

    def waiting_for(self, waited_s: float) -> Verdict | None:
        """The verdict on a run that has waited too long; None if it waits for nothing of the cluster's."""
        pod, job = self.pod, self.job
        if pod is None:
            found = verdict.refused_pod(self.events)
            if found is not None:
                return found
            suspended = job is not None and bool(job.spec.suspend)
            code = FailureCode.QUEUE_WAIT if suspended else FailureCode.UNSCHEDULABLE
            what = "The Job waited in its queue" if suspended else "The Job got no pod"
            return _verdict(code, f"{what} for {waited_s:.0f} s.")
        said = verdict.unschedulable(pod)
        if said is None and pod.spec.node_name is None:
            said = "no scheduler says anything of it"
        if said is not None:
            return _verdict(
                FailureCode.UNSCHEDULABLE, f"No node could take the pod for {waited_s:.0f} s: {said}."
            )
        since_s = self._placed_since_s.get(pod.metadata.uid, math.inf)
        said = verdict.held_up(pod, self.events)
        if said is None or time.monotonic() - since_s < _STARTING_S:
            return None
        node = pod.spec.node_name
        return _verdict(FailureCode.UNSCHEDULABLE, f"The pod could not be started on {node}: {said}.")

    def progress(self) -> str | None:
        """What is waited for."""
        pod = self.pod
        return verdict.progress(self.job, pod, self.events, pods.main_of(pod) if pod else "")

    @property
    def events(self) -> tuple[Event, ...]:
        """What was told of it."""
        return tuple(self._events.values())

    # --- below ----------------------------------------------------------------------------------------

    def _goes_on(self, pod: Pod) -> bool:
        """Whether another pod takes the place of one that was taken away."""
        return self.may_retry or pod.metadata.uid in self._requeued

    def _taken_away(self, pod: Pod) -> bool:
        over = self._over or (self.replaced is not None and (pods.program_ended(pod) or self._unheard(pod)))
        return self._is_going(pod) and over

    def _is_going(self, pod: Pod) -> bool:
        return pod.metadata.uid in self._gone or pod.metadata.deletion_timestamp is not None

    def _first_begun(self) -> Pod | None:
        """The oldest pod whose program has begun, other than those that a queue took away."""
        known = (pod for pod in self._known if pod.metadata.uid not in self._requeued)
        return next((pod for pod in known if pods.begun(pod)), None)

    @property
    def _known(self) -> list[Pod]:
        """All pods, those that are gone too, in the order in which they were made."""
        return sorted((*self._gone.values(), *self.pods.values()), key=self._age)

    def _age(self, pod: Pod) -> tuple[str, int]:
        """What pods are sorted by: their times are in whole seconds."""
        return pod.metadata.creation_timestamp or "", self._seen.get(pod.metadata.uid, 0)

    @property
    def _over(self) -> bool:
        """Whether nothing of it runs any more, or nobody is left who could tell that."""
        ended = all(pods.program_ended(pod) or self._unheard(pod) for pod in self.pods.values())
        return self.at_rest or (bool(self.pods) and ended)

    def _unheard(self, pod: Pod) -> bool:
        """Whether a pod was to be gone by now, and its node does not say that it is."""
        since_s = self._deleting_since_s.get(pod.metadata.uid)
        grace_s = pod.metadata.deletion_grace_period_seconds or 0
        return since_s is not None and time.monotonic() - since_s >= grace_s + _UNHEARD_S

    def _cause(self, pod: Pod | None) -> Verdict | None:
        if pod is None:
            return verdict.refused_pod(self.events)
        return verdict.lost_pod(pod) or verdict.preempted(self.events, pod)

    def _explained(self, pod: Pod, ended: Outcome | None) -> Outcome | None:
        """The end of a pod that was deleted; why it was may still be told."""
        settled = self._settled()
        cause = self._cause(pod)
        if cause is not None:
            return self._failed(cause, ended)
        if not settled:
            self.unexplained = True
            return None
        if self._unheard(pod) and not self.at_rest:
            node = pod.spec.node_name or "its node"
            said = f"The pod {pod.metadata.name} was deleted, and {node} does not say that it has ended."
        else:
            said = f"The pod {pod.metadata.name} was deleted by somebody else."
        return self._failed(_verdict(FailureCode.LOST, said), ended)

    def _without_pod(self, job: Job, failed: Verdict | None) -> Outcome | None:
        """The end of a Job whose pods are not known: news of them may come late."""
        if not self._settled():
            self.unexplained = True
            return None
        refused = verdict.refused_pod(self.events)
        if refused is not None:
            return self._failed(refused, None)
        gone = "Its pod is gone, and with it what it wrote."
        if failed is not None:
            message = f"{failed.message.rstrip('.')}. {gone}" if job.status.failed else failed.message
            return self._failed(_verdict(failed.code, message), None)
        return Outcome(status=RunStatus.FINISHED, exit_code=0, message=gone, ended_ms=now_ms())

    def _settled(self) -> bool:
        """Whether the news of why it ended have had their time to come."""
        now_s = time.monotonic()
        self._ended_at_s = self._ended_at_s or now_s
        return now_s - self._ended_at_s >= _SETTLE_S

    def _deleted(self, ended: Outcome | None) -> Outcome:
        return Outcome(
            status=RunStatus.KILLED,
            failure=FailureCode.CANCELLED,
            message=f"The Job {self.name} was deleted by somebody else.",
            started_ms=ended.started_ms if ended else None,
            ended_ms=(ended.ended_ms if ended else None) or now_ms(),
        )

    def _failed(self, found: Verdict, ended: Outcome | None) -> Outcome:
        return Outcome(
            status=RunStatus.FAILED,
            failure=found.code,
            message=found.message,
            started_ms=ended.started_ms if ended else None,
            ended_ms=(ended.ended_ms if ended else None) or now_ms(),
        )

    def _failed_pod(self, pod: Pod) -> Outcome | None:
        """A pod that failed without its program's having ended."""
        found = self._cause(pod) or verdict.stuck(pod, pods.main_of(pod))
        if found is None:
            said = pod.status.message or pod.status.reason or "no reason given"
            found = _verdict(FailureCode.LOST, f"The pod failed: {said}")
        return self._failed(found, None)

    def write(self, path: Path, namespace: str) -> None:
        """Write down what the cluster says, before it forgets."""
        known, pod = (*self._gone.values(), *self.pods.values()), self.pod
        main = pod.container(pods.main_of(pod)) if pod is not None else None
        image_id = main.image_id if main is not None else None
        write_facts(
            path, job=self.name, namespace=namespace, pods=known, told=self.events, image_id=image_id or None
        )


def _verdict(code: FailureCode, message: str) -> Verdict:
    """A verdict that counts at once."""
    return verdict.Verdict(code=code, message=message)
