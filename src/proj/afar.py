"""Runs that another machine looks after, or did: what they run in can be followed from here as well.

Their records say where it is. Whoever waits for such a run, or stops it, first leaves that to the run's own
machine, and does it here where that machine does not.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
from typing import TYPE_CHECKING

from proj import active, events, paths, table
from proj.backends import BACKENDS
from proj.errors import BackendError, ProjError
from proj.record import TAG_BACKEND, TAG_CANCEL, TAG_CLAIM, TAG_REFERENCE
from proj.recording import discard_workspace, make_workspace
from proj.recovery import execution_of
from proj.supervise import close_run
from proj.times import now_ms
from proj.tracking.store import RunQuery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.backends.base import Handle
    from proj.model import Outcome, RunRecord
    from proj.tracking import Tracking

_LATE_MS = 20_000
"""How long after the end a run's own machine may take to record it."""
_CANCEL_MS = 10_000
"""How long it may take to see that the run is to be stopped."""


_REST_S = 30.0


class Onlooker:
    """Follows the execution of a run of another machine, in a thread of its own.

    Args:
        tracking: The records; used in the thread that calls, not in the own one.
        run: It.
        handle: The execution.
    """

    def __init__(self, tracking: Tracking, run: RunRecord, handle: Handle) -> None:
        self._tracking = tracking
        self._run_id = run.run_id
        self._handle = handle
        self._outcome: Outcome | None = None
        self._asked_ms: int | None = None
        self._cancelled = False
        self.keeps_files = False
        """Whether its files here are the only ones: they could not be brought to where they belong."""
        target = contextvars.copy_context().run
        self._thread = threading.Thread(target=target, args=(self._follow,), name="proj-afar", daemon=True)
        self._thread.start()

    def look(self) -> RunRecord:
        """Do what the run's own machine should have done by now and has not; return the record.

        Raises:
            StoreError: The record cannot be read or written.
        """
        run = self._tracking.runs.run(self._run_id)
        if run.status.finished:
            return run
        if self._outcome is not None:
            ended_ms = self._outcome.ended_ms or now_ms()
            if self._cancelled or now_ms() - ended_ms >= _LATE_MS:
                return self._close(run, self._outcome)
        elif TAG_CANCEL in run.tags:
            self._asked_ms = self._asked_ms or now_ms()
            if not self._cancelled and now_ms() - self._asked_ms >= _CANCEL_MS:
                self._cancelled = True
                self._handle.cancel()
        return run

    @property
    def has_ended(self) -> bool:
        """Whether the execution had ended when it was found; waits until all is known of it then."""
        if not getattr(self._handle, "ended", False):
            return False
        self._thread.join()
        return self._outcome is not None

    def settle(self) -> None:
        """Wait for what is still to come of its output, now that it has ended."""
        self._thread.join(_REST_S)

    def _follow(self) -> None:
        try:
            self._outcome = self._handle.wait()
        except BackendError as error:
            events.warning(f"What the run {self._run_id} does cannot be seen from here: {error.message}")

    def _close(self, run: RunRecord, outcome: Outcome) -> RunRecord:
        claim = active.Claim.create(paths.home(), self._tracking.uri)
        self.keeps_files = True  # those that are brought to their place do not stay anyway
        try:
            claim.update(run_id=run.run_id, outcome=outcome)
            close_run(self._tracking, run, outcome, claim)
        except BaseException:
            claim.hand_over()
            raise
        claim.release()
        return self._tracking.runs.run(run.run_id)


@contextlib.contextmanager
def looking_on(tracking: Tracking, run: RunRecord) -> Iterator[Onlooker | None]:
    """Follow a run of another machine for as long as the block lasts.

    Yields:
        What follows it; None where it runs nowhere that this machine can look at.
    """
    if run.status.finished or not _is_elsewhere(tracking, run):
        yield None
        return
    make_workspace(tracking, run)
    onlooker: Onlooker | None = None
    try:
        handle = _observed(tracking, run)
        onlooker = None if handle is None else Onlooker(tracking, run, handle)
        yield onlooker
    finally:
        if onlooker is None or not onlooker.keeps_files:
            discard_workspace(tracking, run)


def close_ended(tracking: Tracking) -> tuple[str, ...]:
    """Close the runs of other machines that have ended and that nobody has closed; returns their ids.

    Raises:
        StoreError: The records cannot be read or written.
    """
    if tracking.uri.startswith("file:"):
        return ()
    query = RunQuery(filter=f"tags.`{TAG_REFERENCE}` LIKE '%' AND attributes.status = 'RUNNING'")
    return tuple(
        run.run_id for run in tuple(table.runs(tracking.runs, query)) if close_if_ended(tracking, run)
    )


def close_if_ended(tracking: Tracking, run: RunRecord) -> bool:
    """Close a run of another machine if it has ended and nobody has closed it; returns whether that was so.

    Raises:
        StoreError: The record cannot be read or written.
    """
    with looking_on(tracking, run) as onlooker:
        return onlooker is not None and onlooker.has_ended and onlooker.look().status.finished


def _is_elsewhere(tracking: Tracking, run: RunRecord) -> bool:
    """Whether a process of another machine looks after a run that can be found from every machine."""
    here = tracking.uri.startswith("file:") or active.find(paths.home(), run.tags.get(TAG_CLAIM, ""))
    return not here and TAG_REFERENCE in run.tags


def _observed(tracking: Tracking, run: RunRecord) -> Handle | None:
    reference, backend = run.tags[TAG_REFERENCE], run.tags.get(TAG_BACKEND, "")
    try:
        observe = getattr(BACKENDS.load(backend), "observe", None)
        return None if observe is None else observe(execution_of(run, tracking), reference)
    except ProjError as error:
        events.warning(f"What the run {run.run_id} does cannot be seen from here: {error.message}")
        return None
