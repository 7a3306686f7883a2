"""Runs that another machine looks after, or did: what they run in can be followed from here as well.

Their records say where it is. Whoever waits for such a run, or stops it, first leaves that to the run's own
machine, and does it here where that machine does not.
"""

from __future__ import annotations

import contextvars
import shutil
import threading
import time
import uuid
from typing import TYPE_CHECKING

import msgspec

from proj import active, events, paths, table
from proj.backends import BACKENDS
from proj.closing import close_run
from proj.errors import FailureCode, ProjError, StoreError
from proj.files import make_private
from proj.model import Outcome, RunStatus
from proj.record import TAG_BACKEND, TAG_CANCEL, TAG_CLAIM, TAG_REFERENCE
from proj.recording.uploads import Left, mark, marker_of
from proj.recovery import execution_of
from proj.times import now_ms
from proj.tracking.store import RunQuery

if TYPE_CHECKING:
    from proj.backends.base import Handle
    from proj.model import RunRecord
    from proj.tracking import Tracking

_LATE_S = 20.0
"""How long after the end a run's own machine may take to record it."""
_CANCEL_S = 10.0
"""How long it may take to see that the run is to be stopped."""
_GONE_S = 600.0
"""How long after its begin a run may have nothing to be found in the cluster."""
_AGAIN_S = 5.0


_REST_S = 30.0


class Onlooker:
    """Follows the execution of a run of another machine; a context manager.

    Args:
        tracking: The records; used in the thread that calls, not in that which follows.
        run: It.
    """

    def __init__(self, tracking: Tracking, run: RunRecord) -> None:
        self._tracking = tracking
        self._run = run
        # One folder for each that looks on: several may, on one machine.
        workspace = tracking.workspace(run)
        self._workspace = workspace.with_name(f"{run.run_id}.{uuid.uuid4().hex[:8]}")
        self._handle: Handle | None = None
        self._thread: threading.Thread | None = None
        self._outcome: Outcome | None = None
        self._ended_s: float | None = None
        """When it was seen to have ended, by this process's clock."""
        self._asked_s: float | None = None
        self._cancelled = False
        self._leaving = False
        self._looked_s = 0.0
        self._known_gone = False
        """Whether the cluster was asked, and has nothing of it."""

    def __enter__(self) -> Onlooker:  # noqa: PYI034  typing.Self is new in Python 3.11
        self._find()
        return self

    def __exit__(self, *_: object) -> None:
        abandon = getattr(self._handle, "abandon", None)
        if abandon is not None and self._thread is not None:
            self._leaving = True
            abandon()
            self._thread.join(_REST_S)
        if not marker_of(self._workspace).exists():
            shutil.rmtree(self._workspace, ignore_errors=True)

    @property
    def uri(self) -> str | None:
        """Where the run's logs are as they come; None: they cannot be had."""
        at_hand = self._thread is not None and self._workspace.is_dir()
        return self._workspace.as_uri() if at_hand else None

    def look(self) -> RunRecord:
        """Do what the run's own machine should have done by now and has not; return the record.

        Raises:
            StoreError: The record cannot be read or written.
        """
        run = self._tracking.runs.run(self._run.run_id)
        if run.status.finished:
            return run
        now_s = time.monotonic()
        if self._handle is None:
            return self._look_again(run)
        if self._outcome is not None:
            if self._cancelled or now_s - (self._ended_s or now_s) >= _LATE_S:
                return self._close(run, self._outcome)
        elif TAG_CANCEL in run.tags:
            self._asked_s = self._asked_s or now_s
            if not self._cancelled and now_s - self._asked_s >= _CANCEL_S:
                self._cancelled = True
                self._handle.cancel()
        return run

    def close_if_late(self) -> bool:
        """Close the run if it ended so long ago that nobody else is going to; returns whether that was so.

        Raises:
            StoreError: The record cannot be read or written.
        """
        if self._handle is None:
            return self._look_again(self._run).status.finished
        if not getattr(self._handle, "ended", False):
            return False
        self._follow()
        outcome = self._outcome
        if outcome is None or now_ms() - (outcome.ended_ms or 0) < 1000 * _LATE_S:
            return False
        return self._close(self._run, outcome).status.finished

    def follow(self) -> None:
        """Follow it from now on, in a thread."""
        if self._handle is not None and self._thread is None:
            target = contextvars.copy_context().run
            self._thread = threading.Thread(
                target=target, args=(self._follow,), name="proj-afar", daemon=True
            )
            self._thread.start()

    def settle(self) -> None:
        """Wait for what is still to come of its output, now that it has ended."""
        if self._thread is not None:
            self._thread.join(_REST_S)

    # --- below ----------------------------------------------------------------------------------------

    def _find(self) -> None:
        self._looked_s = time.monotonic()
        reference, backend = self._run.tags[TAG_REFERENCE], self._run.tags.get(TAG_BACKEND, "")
        try:
            make_private(self._workspace.parent)
            (self._workspace / "proj").mkdir(parents=True, exist_ok=True)
            observe = getattr(BACKENDS.load(backend), "observe", None)
            folder = str(self._workspace / "proj")
            execution = msgspec.structs.replace(execution_of(self._run, self._tracking), record_dir=folder)
            self._handle = None if observe is None else observe(execution, reference)
            self._known_gone = self._handle is None
        except OSError as error:
            raise StoreError(f"The folder {self._workspace} cannot be made: {error.strerror}.") from error
        except ProjError as error:
            self._known_gone = False
            self._tell(error)

    def _look_again(self, run: RunRecord) -> RunRecord:
        """Nothing is to be found in the cluster: not yet, not by us, or not any more."""
        if time.monotonic() - self._looked_s >= _AGAIN_S and self._known_gone:
            self._find()
            self.follow()
        if self._known_gone and now_ms() - run.started_ms >= 1000 * _GONE_S:
            return self._close(run, _gone())
        return run

    def _follow(self) -> None:
        assert self._handle is not None  # noqa: S101  as the callers have found
        try:
            self._outcome = self._handle.wait()
        except ProjError as error:
            if not self._leaving:
                self._tell(error)
        self._ended_s = time.monotonic()

    def _tell(self, error: ProjError) -> None:
        events.warning(f"What the run {self._run.run_id} does cannot be seen from here: {error.message}")

    def _read_metrics(self, run: RunRecord) -> None:
        """Record what the program printed while nobody read metrics of it, or nobody who is left."""
        from proj.printed import catch_up

        try:
            catch_up(self._tracking, run.run_id, self._workspace / "proj" / "stdout.log")
        except StoreError as error:
            events.warning(f"Metrics that the run {run.run_id} printed are not recorded: {error.message}")

    def _close(self, run: RunRecord, outcome: Outcome) -> RunRecord:
        claim = active.Claim.create(paths.home(), self._tracking.uri)
        left = Left(place=self._tracking.uri, run_id=run.run_id, artifact_uri=run.artifact_uri)
        mark(self._workspace, left)  # from now on `proj sync` brings what does not get there now
        try:
            claim.update(run_id=run.run_id, outcome=outcome)
            if getattr(self._handle, "read_metrics", None) is not None:
                self._read_metrics(run)
            close_run(self._tracking, run, outcome, claim, workspace=self._workspace)
        except BaseException:
            claim.hand_over()
            raise
        claim.release()
        return self._tracking.runs.run(run.run_id)


def looking_on(tracking: Tracking, run: RunRecord) -> Onlooker | None:
    """What follows an open run of another machine; None where it is none, or cannot be found from here."""
    if tracking.uri.startswith("file:") or run.status.finished or TAG_REFERENCE not in run.tags:
        return None
    here = active.find(paths.home(), run.tags.get(TAG_CLAIM, ""))
    return Onlooker(tracking, run) if here is None else None


def close_ended(tracking: Tracking) -> tuple[str, ...]:
    """Close the runs of other machines that have ended and that nobody has closed; returns their ids.

    Raises:
        StoreError: The records cannot be read or written.
    """
    query = RunQuery(filter=f"tags.`{TAG_REFERENCE}` LIKE '%' AND attributes.status = 'RUNNING'")
    return tuple(
        run.run_id for run in tuple(table.runs(tracking.runs, query)) if close_if_ended(tracking, run)
    )


def close_if_ended(tracking: Tracking, run: RunRecord) -> bool:
    """Close a run of another machine if it has ended and nobody has closed it; returns whether that was so.

    Raises:
        StoreError: The record cannot be read or written.
    """
    onlooker = looking_on(tracking, run)
    if onlooker is None:
        return False
    with onlooker:
        return onlooker.close_if_late()


def _gone() -> Outcome:
    return Outcome(
        status=RunStatus.KILLED,
        failure=FailureCode.LOST,
        message="What the run ran in is gone from the cluster, and with it how it ended and what it wrote.",
        ended_ms=now_ms(),
    )
