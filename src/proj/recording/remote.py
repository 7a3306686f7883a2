"""A run that is recorded on a server: what happens there while it goes on, and when it has ended."""

from __future__ import annotations

import contextlib
import contextvars
import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proj import events
from proj.errors import ProjError, UnreachableError
from proj.record import TAG_CANCEL
from proj.recording import Recording, tell_of
from proj.recording.uploads import Uploads
from proj.remote.delivery import Courier, deliver
from proj.remote.http import QUICK, HttpTransport, Patience
from proj.remote.journal import Journal
from proj.remote.journaled import JournalTransport
from proj.remote.store import open_remote
from proj.remote.transport import Request

if TYPE_CHECKING:
    from proj.assignment import Assignment

_WRITING = Patience(connect_s=3.0, read_s=60.0, retries=2)
"""With what may wait in the journal: the program waits for the answer."""
_BESIDE = Patience(connect_s=2.0, read_s=30.0, retries=0)
"""With what is only for those who watch."""
_LOOK_S = 2.0
_FIRST_REFRESH_S = 3.0
_LONGEST_REFRESH_S = 300.0
_REFRESH_BYTES_PER_S = 100_000
"""A log that grows is sent as a whole each time: seldom enough that this rate is held."""
_LAST_DELIVERY_S = 10.0


class RemoteRecording(Recording):
    """Records on a server.

    While the block lasts, the run's logs are shown there now and then, a tag there cancels the run, and what
    the server could not take is delivered as soon as it can.

    Args:
        assignment: The run.
    """

    def __init__(self, assignment: Assignment) -> None:
        self._place = assignment.place
        self._run_id = assignment.execution.run_id
        self._http = HttpTransport(self._place.url)
        self._journal = Journal(assignment.home)
        self._upstream = JournalTransport(
            self._http.with_patience(_WRITING),
            self._journal,
            place=self._place.uri,
            run_id=self._run_id,
            seen=_first_sight(assignment),
        )
        self.upstream = self._upstream
        super().__init__(open_remote(self._place.uri, transport=self._upstream))
        self._beside = open_remote(self._place.uri, transport=self._http.with_patience(_BESIDE))
        workspace = Path(assignment.execution.record_dir).parent
        self._uploads = Uploads(self._run_id, assignment.artifact_uri, workspace)
        self._courier = Courier(self._upstream)
        self._ending = threading.Event()
        # A thread begins without the listener of events.
        target = contextvars.copy_context().run
        self._watcher = threading.Thread(target=target, args=(self._watch,), name="proj-watch", daemon=True)

    def __enter__(self) -> RemoteRecording:  # noqa: PYI034  typing.Self is new in Python 3.11
        with contextlib.suppress(UnreachableError):
            self.tracking.runs.run(self._run_id)  # so that it can be shown while the server is away
        self._courier.__enter__()
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Deliver what can be delivered, and say what waits."""
        self._stop_watching()
        self._courier.__exit__()
        try:
            self._tell_of_the_end()
        finally:
            self._uploads.discard()
            self._journal.close()
            self._http.close()

    def upload(self) -> None:
        """See `Recording.upload`; where the server is away, they go into the journal."""
        self._stop_watching()
        tell_of(self._uploads.upload(self.tracking.artifacts), self._uploads.workspace)

    # --- while the run goes on ------------------------------------------------------------------------

    def _stop_watching(self) -> None:
        self._ending.set()
        self._watcher.join()

    def _watch(self) -> None:
        due_s = time.monotonic() + _FIRST_REFRESH_S
        cancelled = False
        while not self._ending.wait(_LOOK_S):
            if self._upstream.behind.is_set():  # the server is away
                continue
            with contextlib.suppress(ProjError):
                if not cancelled and TAG_CANCEL in self._beside.runs.run(self._run_id).tags:
                    cancelled = True
                    os.kill(os.getpid(), signal.SIGTERM)
                if time.monotonic() >= due_s:
                    due_s = self._refresh()

    def _refresh(self) -> float:
        """Show the logs as they are; returns when to do so again."""
        begun_s = time.monotonic()
        size = 0
        try:
            size = self._uploads.refresh(self._beside.artifacts)
        finally:
            took_s = time.monotonic() - begun_s
            pause_s = max(_FIRST_REFRESH_S, 10 * took_s, size / _REFRESH_BYTES_PER_S)
            due_s = time.monotonic() + min(pause_s, _LONGEST_REFRESH_S)
        return due_s

    # --- when it has ended ----------------------------------------------------------------------------

    def _tell_of_the_end(self) -> None:
        place, run_id = self._place.uri, self._run_id
        if not self._upstream.caught_up():
            done = deliver(
                self._journal,
                self._http.with_patience(QUICK),
                place=place,
                run_id=run_id,
                deadline_s=time.monotonic() + _LAST_DELIVERY_S,
            )
            if done.waiting:
                noun = "item waits" if done.waiting == 1 else "items wait"
                events.warning(f"{done.waiting} {noun} for {place}: `proj sync` delivers them.")
                return
        mine = [refused for refused in self._journal.refused() if refused.run_id == run_id]
        if mine:
            noun = "item" if len(mine) == 1 else "items"
            events.warning(f"{place} refused {len(mine)} {noun}: {mine[0].message} `proj sync` lists them.")
        with contextlib.suppress(ProjError):
            self._tell_of_page()

    def _tell_of_page(self) -> None:
        """Say where the run is to be seen, if the server has pages: ours has none."""
        pages = self._http.with_patience(QUICK).send(Request(method="GET", path="/"))
        if pages.status == 200 and "html" in pages.headers.get("content-type", ""):  # noqa: PLR2004  OK
            experiment_id = self._beside.runs.run(self._run_id).experiment_id
            page = f"{self._place.uri}/#/experiments/{experiment_id}/runs/{self._run_id}"
            events.status(f"View run at {page}")


def _first_sight(assignment: Assignment) -> dict[str, Any]:
    """The run as it was created."""
    execution, settings = assignment.execution, assignment.endpoint
    info = {
        "run_id": execution.run_id,
        "run_uuid": execution.run_id,
        "run_name": execution.run_name,
        "experiment_id": execution.origin.experiment_id if execution.origin else "0",
        "status": "RUNNING",
        "artifact_uri": assignment.artifact_uri,
        "lifecycle_stage": "active",
    }
    recorded = settings.recorded if settings is not None else {}
    params = [{"key": key, "value": value} for key, value in recorded.items()]
    return {"info": info, "data": {"params": params}}
