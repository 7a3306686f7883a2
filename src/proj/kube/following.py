"""Follow one Job from its creation to its end: its state, its output, and what is waited for."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from proj import events, process
from proj.errors import BackendError, DetachedError, FailureCode
from proj.kube.deletion import Deletion, delete_pod
from proj.kube.facts import FACTS
from proj.kube.objects import Event, Job, Pod
from proj.kube.outputs import Outputs
from proj.kube.state import JobState
from proj.kube.timelimit import TimeLimit
from proj.kube.verdict import Verdict
from proj.model import Execution, Outcome, RunStatus
from proj.times import now_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from proj.kube.hub import Hub
    from proj.process.interrupts import Pending

_LOOK_S = 0.25
"""How late a signal may be seen: Python tells the main thread of it, and wakes nobody up."""
_EXPLAIN_AFTER_S = 2.0
"""From when on it is told what is waited for."""
_FORBIDDEN_PATIENCE_S = 2.0
_END_SLACK_S = 20.0
"""Beyond the program's grace: how long the cluster may take to tell that it has ended what was deleted."""

Stop = Literal["cancelled", "deadline", "given up", "replaced"]


class Following:
    """A Job that is followed; `wait` once, from any thread, `cancel` from any other.

    Args:
        execution: What runs.
        hub: Where news come from.
        job: The Job's name.
        reference: By which it is found again.
        pending_s: How long its pod may wait for a node; None: for ever.
        again: Whether another process followed it before: its output comes again from the beginning.
        made: Names of the pods that its Job has made, as far as its events tell.
        observing: Whether another process looks after it: it is given up by that one alone.
        serves: Whether the program records by way of this process.
        tap: Takes the bytes of its output, if metrics are read of it.
    """

    def __init__(
        self,
        execution: Execution,
        hub: Hub,
        job: str,
        *,
        reference: str,
        pending_s: float | None,
        again: bool = False,
        made: tuple[str, ...] = (),
        observing: bool = False,
        serves: bool = False,
        tap: Callable[[bytes], None] | None = None,
    ) -> None:
        self._execution = execution
        self._hub = hub
        self._name = job
        self.reference = reference
        self.read_metrics: Callable[[Callable[[str, float, int], None]], None] | None = None
        """See `Handle`; set by whoever knows how."""
        self.ended = False
        """Whether it has ended already, so that `wait` returns at once."""
        self._pending_s = pending_s
        self._state = JobState(job)
        self._news: deque[tuple[str, str, object]] = deque()
        self._wake = threading.Condition()
        self._stop: Stop | None = None
        self._asked_by: int | None = None
        self._given_up: Verdict | None = None
        self._replaced: tuple[Pod, Pod] | None = None
        self._stopped_at_s: float | None = None
        self._cancelled = False
        self._forbidden_since_s: float | None = None
        self._deaf = False
        """Whether no news come, however long it is waited."""
        self._abandoned = self._waited_for = False
        self._told: str | None = None
        self._explains = False
        self._begun_s = time.monotonic()
        self._running_since_s: float | None = None
        self._outcome: Outcome | None = None
        self._deletion = Deletion(hub, job)
        limit_s = execution.timeout_s
        self._limit = None if limit_s is None else TimeLimit(hub, job, limit_s)
        self._observing, self._serves = observing, serves
        self.tap = tap
        self._again, self._made = again, made
        if not again:  # what is about to begin is listened to before it does
            self._listen()

    def _listen(self) -> None:
        self._outputs = Outputs(
            self._execution, self._hub, again=self._again, tap=self.tap,
            on_trouble=lambda error: self._receive("trouble", "", error),
        )  # fmt: skip
        self._hub.join(self._name, self._receive)

    def wait(self) -> Outcome:
        """See `Handle.wait`.

        Raises:
            DetachedError: The Job goes on without us.
            BackendError: It was begun by another process, and we may not watch it.
        """
        if self._outcome is None:
            self._waited_for = True
            with process.deferred() as pending:
                if self._again:
                    self._listen()
                try:
                    self._outcome = self._follow(pending)
                finally:
                    self._leave()
        return self._outcome

    def cancel(self) -> None:
        """See `Handle.cancel`."""
        with self._wake:
            self._cancelled = True
            self._wake.notify()

    def abandon(self) -> None:
        """Follow it no longer, from any thread: whoever waits gets an error."""
        with self._wake:
            self._abandoned = True
            self._wake.notify()
        if not self._waited_for and not self._again:
            self._leave()

    # --- news -----------------------------------------------------------------------------------------

    def _receive(self, kind: str, change: str, item: object) -> None:
        with self._wake:
            self._news.append((kind, change, item))
            self._wake.notify()

    def _next_news(self) -> list[tuple[str, str, object]]:
        main = threading.current_thread() is threading.main_thread()
        limit_s = _LOOK_S if main or self._state.pod is None or self._stop else 1.0
        with self._wake:
            if not self._news and not self._cancelled:
                self._wake.wait(limit_s)
            elif not self._news and self._stop is not None:
                self._wake.wait(_LOOK_S)
            found = list(self._news)
            self._news.clear()
        return found

    def _follow(self, pending: Pending) -> Outcome:
        while True:
            if self._abandoned:
                raise BackendError(f"The Job {self._name} is not followed.", code=FailureCode.LOST)
            for kind, change, item in self._next_news():
                self._take(kind, change, item)
            for signum in pending.take():
                self._on_signal(signum, pending)
            if self._cancelled and self._stop is None:
                self._end("cancelled")
            self._outputs.follow(self._state)
            outcome = self._decide()
            if outcome is not None:
                return self._finish(outcome, pending)

    def _take(self, kind: str, change: str, item: object) -> None:
        if isinstance(item, Job):
            self._state.take_job(change, item)
        elif isinstance(item, Pod):
            self._state.take_pod(change, item)
        elif isinstance(item, Event):
            self._state.take_event(item)
        elif kind == "trouble":
            self._tell_trouble(item)
        elif kind == "forbidden" and isinstance(item, BackendError):
            self._on_forbidden(item)

    def _on_forbidden(self, error: BackendError) -> None:
        """Nothing is ever heard of the Job; a right that was given a moment ago may take its time."""
        now_s = time.monotonic()
        self._forbidden_since_s = self._forbidden_since_s or now_s
        if now_s - self._forbidden_since_s < _FORBIDDEN_PATIENCE_S:
            self._tell_trouble(error)
        elif self._again or self._observing:  # others may see it, and it runs
            raise error
        elif self._stop is None:
            self._deaf = True
            self._give_up(Verdict(code=FailureCode.REFUSED, message=error.message))

    def _tell_trouble(self, error: object) -> None:
        if isinstance(error, BackendError):
            events.progress(f"{error.message} Trying again.")
            self._told = error.message

    # --- the end --------------------------------------------------------------------------------------

    def _finish(self, outcome: Outcome, pending: Pending) -> Outcome:
        """Take the rest of the output, and write down what the cluster says."""
        problems = self._outputs.finish(self._state, pending, stopped=self._stop is not None)
        begun = self._state.begun
        if len(begun) > 1 and self._replaced is None:
            problems.append(f"The program was begun {len(begun)} times, in the pods {', '.join(begun)}.")
        elif len(self._made) > 1 and not self._state.may_retry:
            problems.append(
                f"The Job has made the pods {', '.join(self._made)}: the program may have begun in each."
            )
        if problems:
            outcome = msgspec.structs.replace(
                outcome, message=" ".join(filter(None, (outcome.message, *problems)))
            )
        self._state.write(Path(self._execution.record_dir) / FACTS, self._hub.namespace)
        return outcome

    def _leave(self) -> None:
        self._hub.leave(self._name)
        self._outputs.close()

    def _on_signal(self, signum: int, pending: Pending) -> None:
        """See to it that the run ends.

        Raises:
            DetachedError: It is to go on, or cannot be ended now and its user waits no longer.
        """
        if self._stop is None:
            if signum == signal.SIGINT and self._ended_while_asking(pending):
                return
            self._asked_by = signum
            self._end("cancelled")
        elif self._deletion.accepted:  # asked again: at once
            for pod in self._state.pods.values():
                delete_pod(self._hub, pod)
            self._stopped_at_s = -math.inf
        elif self._asked_by is None:
            self._asked_by = signum
        elif self._deletion.error is not None:
            raise self._deletion.given_up(self._execution.run_id, self._asked_by)

    def _ended_while_asking(self, pending: Pending) -> bool:
        """Ask whether the Job is to go on without us, unless it ends meanwhile; without an answer it is not.

        Raises:
            DetachedError: It is.
        """

        def over() -> bool:
            with self._wake:
                found = list(self._news)
                self._news.clear()
            for kind, change, item in found:
                self._take(kind, change, item)
            return pending.waits or self._state.outcome() is not None

        lost = " (its metrics are recorded no longer)" if self._serves else ""
        question = f"The Job {self._name} can go on without proj{lost}:"
        with self._outputs.held():
            answer = events.ask(question, ("detach", "cancel"), stop=over)
        if answer == "detach":
            run_id = self._execution.run_id
            raise DetachedError(f"The run {run_id} goes on as the Job {self._name}.", run_id=run_id)
        return not pending.waits and self._state.outcome() is not None

    def _end(self, cause: Stop) -> None:
        """Delete the Job, and with it its pods; the program gets its grace."""
        self._stop = cause
        self._try_to_delete()

    def _try_to_delete(self) -> None:
        """The time that the cluster has for it begins once it is asked."""
        if self._deletion.attempt() and self._stopped_at_s is None:
            self._stopped_at_s = -math.inf if self._deaf else time.monotonic()

    def _decide(self) -> Outcome | None:
        if self._stop is not None:
            return self._decide_stopped()
        outcome = self._state.outcome()
        if outcome is not None:
            return outcome
        if self._state.unexplained:
            self._hub.want_events(self._name)
        replaced = self._state.replaced
        if replaced is not None and not self._observing:
            self._on_replaced(*replaced)
            return None
        self._look_at_clock()
        found = self._state.hopeless(time.monotonic())
        if found is not None and not self._observing:
            self._give_up(found)
        return None

    def _on_replaced(self, deleted: Pod, other: Pod) -> None:
        """End what the Job began anew by itself; the pod that counts has what is left of its grace."""
        self._hub.want_events(self._name)
        self._replaced = deleted, other
        events.warning(
            f"The pod {deleted.metadata.name} was deleted, and the Job made another one, "
            f"{other.metadata.name}: a run is one pod, so it ends."
        )
        self._end("replaced")

    def _give_up(self, found: Verdict) -> None:
        self._given_up = found
        self._end("given up")

    def _look_at_clock(self) -> None:
        now_s, state = time.monotonic(), self._state
        if state.running and self._running_since_s is None:
            self._running_since_s = now_s
        if state.queued_again and self._running_since_s is not None:
            self._running_since_s, self._begun_s = None, now_s
            if self._limit is not None:
                self._limit.begin_anew()
        if self._running_since_s is None:
            self._look_at_wait(now_s - self._begun_s)
        elif self._limit is not None and not self._observing:
            self._look_at_limit(self._limit, now_s - self._running_since_s)

    def _look_at_limit(self, limit: TimeLimit, ran_s: float) -> None:
        limit.hand_over(self._state)
        # Who comes later does not know how much is left of it.
        if ran_s >= limit.limit_s and not (self._again and limit.kept):
            self._end("deadline")

    def _look_at_wait(self, waited_s: float) -> None:
        """Tell what is waited for before the program begins, and give up in the end."""
        if waited_s < _EXPLAIN_AFTER_S:
            return
        if not self._explains:
            self._explains = True
            self._hub.want_events(self._name)
        told = self._state.progress()
        if told and told != self._told:
            events.progress(told)
            self._told = told
        if self._pending_s is not None and waited_s >= self._pending_s:
            found = self._state.waiting_for(waited_s)
            if found is not None:
                self._give_up(found)

    def _decide_stopped(self) -> Outcome | None:
        """How a run ended that we have ended: once it has, or the cluster takes too long to say so."""
        if self._state.deleted:  # the answer to our request was lost, say
            self._deletion.accepted = True
        self._try_to_delete()
        if self._stopped_at_s is None:  # it may come to its end by itself
            return self._state.outcome()
        slack_s = self._execution.grace_s + _END_SLACK_S
        if not self._state.at_rest and time.monotonic() - self._stopped_at_s < slack_s:
            return None
        ended = self._state.ended_main()
        base = Outcome(
            status=RunStatus.FAILED,
            started_ms=ended.started_ms if ended else None,
            ended_ms=(ended.ended_ms if ended else None) or now_ms(),
        )
        if self._replaced is not None:
            self._given_up = self._state.why_replaced(*self._replaced)
        if self._given_up is not None:
            found = self._given_up
            return msgspec.structs.replace(base, failure=found.code, message=found.message)
        finished = ended is not None and ended.status is RunStatus.FINISHED
        if finished and self._stop == "cancelled" and not self._state.cut_short:
            return ended  # it was faster
        if self._stop == "deadline":
            limit_s = self._execution.timeout_s
            message = f"The command took longer than {limit_s:g} s and was stopped."
            return msgspec.structs.replace(base, failure=FailureCode.DEADLINE, message=message)
        name = signal.Signals(self._asked_by).name if self._asked_by else None
        message = f"The run was interrupted by {name}." if name else "The run was cancelled."
        return msgspec.structs.replace(
            base, status=RunStatus.KILLED, failure=FailureCode.CANCELLED, signal=name, message=message
        )
