"""Bring to the servers what waits for them: what the journal holds, and files that were left behind."""

from __future__ import annotations

import contextlib
import contextvars
import threading
from typing import TYPE_CHECKING

import msgspec

from proj import active, paths, place
from proj.errors import NotFoundError, ProjError
from proj.record import TAG_CLAIM
from proj.recording.uploads import Uploads, left_below
from proj.remote.delivery import deliver
from proj.remote.journal import NOT_AGAIN_MS, Journal, Refused
from proj.times import now_ms

if TYPE_CHECKING:
    from pathlib import Path

    from proj.recording.uploads import Left
    from proj.remote.http import Patience
    from proj.remote.journal import Queue

_QUICK_S = 2.0
"""How long a command may be kept from what it was called for."""


class RunSync(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the items of one run."""

    place: str
    run_id: str
    delivered: int
    waiting: int
    problem: str | None
    """Why something still waits."""


class Synced(msgspec.Struct, frozen=True, kw_only=True):
    """What came of bringing everything to its server."""

    runs: tuple[RunSync, ...]
    refused: tuple[Refused, ...]
    """What servers do not take; it is kept, and keeps nothing else waiting."""


def away_just_now(home: Path, uri: str) -> bool:
    """Whether a server was found to be away a moment ago."""
    if not paths.journal(home).exists():
        return False
    journal = Journal(home)
    try:
        failed_ms = journal.failed_ms(uri)
    finally:
        journal.close()
    return failed_ms is not None and now_ms() - failed_ms < NOT_AGAIN_MS


def forget_failures(home: Path) -> None:
    """Let every server be asked again at once."""
    if paths.journal(home).exists():
        journal = Journal(home)
        try:
            journal.forget_failures()
        finally:
            journal.close()


def note_away(home: Path, uri: str) -> None:
    """Remember that a server is away."""
    journal = Journal(home)
    try:
        journal.failed(uri)
    finally:
        journal.close()


def deliver_quickly(home: Path, uri: str) -> None:
    """Try to deliver what waits, for about two seconds; whatever goes wrong is left for later.

    Args:
        home: Where it waits.
        uri: The place that is asked next anyway: it comes first, even if it was away a moment ago.
    """
    # A thread, since nothing else ends a slow upload in time; killed with the process, it loses nothing.
    # It has to know `--tracking-uri`, which says whose the credentials are.
    target = contextvars.copy_context().run
    thread = threading.Thread(target=target, args=(_try_all, home, uri), name="proj-delivery", daemon=True)
    thread.start()
    thread.join(_QUICK_S)


def _try_all(home: Path, uri: str) -> None:
    from proj.remote.http import QUICK

    try:
        journal = Journal(home)
        try:
            journal.settle()
            for queue in sorted(journal.queues(), key=lambda queue: queue.place != uri):
                failed_ms = journal.failed_ms(queue.place)
                if queue.place == uri or failed_ms is None or now_ms() - failed_ms >= NOT_AGAIN_MS:
                    _deliver(journal, queue, QUICK, large=False)
        finally:
            journal.close()
    except ProjError:  # `proj sync` tells of it
        return


def _deliver(journal: Journal, queue: Queue, patience: Patience, *, large: bool = True) -> RunSync:
    from proj.remote.http import HttpTransport

    try:
        with contextlib.closing(HttpTransport(place.named(queue.place).url, patience=patience)) as transport:
            done = deliver(journal, transport, place=queue.place, run_id=queue.run_id, large=large)
    except ProjError as error:
        return RunSync(
            place=queue.place, run_id=queue.run_id, delivered=0, waiting=queue.requests, problem=error.message
        )
    if done.delivered and done.problem is None:
        journal.answered(queue.place)
    return RunSync(
        place=queue.place,
        run_id=queue.run_id,
        delivered=done.delivered,
        waiting=done.waiting,
        problem=done.problem,
    )


def sync(home: Path, *, retry_refused: bool = False, drop_refused: bool = False) -> Synced:
    """Deliver what waits, and upload what is left in folders of runs that have ended.

    Args:
        home: Where it waits.
        retry_refused: Offer the servers again what they did not take.
        drop_refused: Forget what they did not take, and files of deleted runs that cannot be stored.

    Raises:
        StoreError: The journal cannot be used.
    """
    from proj.remote.http import Patience

    patience = Patience(connect_s=5.0, read_s=120.0, retries=1)
    runs: list[RunSync] = []
    refused: tuple[Refused, ...] = ()
    if paths.journal(home).exists():
        journal = Journal(home)
        try:
            if retry_refused:
                journal.retry()
            if drop_refused:
                journal.drop_refused()
            runs += [_deliver(journal, queue, patience) for queue in journal.queues()]
            refused = journal.refused()
            journal.sweep()
        finally:
            journal.close()
    for workspace, left in left_below(home):
        done = _upload(home, workspace, left, drop_deleted=drop_refused)
        if done is not None:
            runs.append(done)
    return Synced(runs=tuple(runs), refused=refused)


def _upload(home: Path, workspace: Path, left: Left, *, drop_deleted: bool) -> RunSync | None:
    """Upload what is left of a run; None while it is under way, and if its files are forgotten."""
    problem: str | None = None
    try:
        with place.open_tracking(place.named(left.place)) as tracking:
            uploads = Uploads(left.run_id, left.artifact_uri, workspace)
            try:
                run = tracking.runs.run(left.run_id)
            except NotFoundError:  # it has been removed for good
                if not drop_deleted:
                    raise
                uploads.discard(whatever=True)
                return None
            if not run.status.finished or active.find(home, run.tags.get(TAG_CLAIM, "")) is not None:
                return None
            problem = next(iter(uploads.upload(tracking.artifacts)), None)
            uploads.discard(whatever=drop_deleted and run.lifecycle_stage == "deleted")
            if problem is not None and not workspace.exists():
                return None
    except ProjError as error:
        problem = error.message
    delivered, waiting = (1, 0) if problem is None else (0, 1)
    return RunSync(
        place=left.place, run_id=left.run_id, delivered=delivered, waiting=waiting, problem=problem
    )
