"""A run that is recorded on a server: what happens there while it goes on, and when it has ended."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from proj import events
from proj.errors import ProjError, UnreachableError
from proj.recording import Recording, tell_of
from proj.recording.beside import Beside
from proj.recording.uploads import Uploads
from proj.remote.delivery import Courier, deliver
from proj.remote.http import QUICK, HttpTransport, Patience, usual_patience
from proj.remote.journal import Journal
from proj.remote.journaled import JournalTransport
from proj.remote.store import open_remote
from proj.remote.transport import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from proj.assignment import Assignment
    from proj.process.interrupts import Pending
    from proj.remote.transport import Answer

_WRITING = Patience(
    connect_s=3.0, read_s=10.0, retries=2, timeout_retries=0, first_pause_s=0.2, longest_pause_s=2.0
)
"""With what may wait in the journal: the program waits for the answer, for 120 seconds at most."""
_SENDING = msgspec.structs.replace(_WRITING, read_s=60.0, retries=1)
"""With files: a server may be busy with them for a while when it has all of them."""
_LARGE_BYTES = 1 << 20
_BESIDE = Patience(connect_s=2.0, read_s=10.0, retries=0)
"""With what is only for those who watch."""
_HURRY_LOOK_S = 0.2
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
        usual = usual_patience()
        asking = msgspec.structs.replace(
            usual, connect_s=3.0, retries=min(usual.retries, 2), timeout_retries=0, tell_after_s=None
        )
        self._upstream = JournalTransport(
            self._http.with_patience(asking),
            self._journal,
            place=self._place.uri,
            run_id=self._run_id,
            seen=_first_sight(assignment),
            writing=_Writing(self._http, usual),
        )
        self.upstream = self._upstream
        super().__init__(open_remote(self._place.uri, transport=self._upstream.insisting()))
        self._beside = open_remote(self._place.uri, transport=self._http.with_patience(_BESIDE))
        workspace = Path(assignment.execution.record_dir).parent
        self._uploads = Uploads(self._run_id, assignment.artifact_uri, workspace)
        delivering = msgspec.structs.replace(usual, retries=0, tell_after_s=None)
        self._courier = Courier(self._upstream, self._http.with_patience(delivering))
        self._watcher = Beside(self._beside, self._uploads, is_away=self._upstream.behind.is_set)

    def __enter__(self) -> RemoteRecording:  # noqa: PYI034  typing.Self is new in Python 3.11
        with contextlib.suppress(UnreachableError):
            self.tracking.runs.run(self._run_id)  # so that it can be shown while the server is away
        self._courier.__enter__()
        self._watcher.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Deliver what can be delivered, and say what waits."""
        self._watcher.stop(self._upstream.hurried)
        self._courier.__exit__()
        try:
            self._tell_of_the_end()
        except ProjError as error:
            events.warning(f"What waits for {self._place.uri} cannot be delivered: {error.message}")
        finally:
            self._uploads.discard()
            self._journal.close()
            self._http.close()

    def begun(self, cancel: Callable[[], None]) -> None:
        """See `Recording.begun`."""
        self._watcher.cancel = cancel

    def upload(self) -> None:
        """See `Recording.upload`; where the server is away, they go into the journal."""
        self._watcher.stop(self._upstream.hurried)
        tell_of(self._uploads.upload(self.tracking.artifacts), self._uploads.workspace)

    def ending(self, pending: Pending) -> AbstractContextManager[None]:
        """See `Recording.ending`."""
        return hurrying(pending, self._upstream.hurried)

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
                large=False,
                stop=self._upstream.hurried,
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


@contextlib.contextmanager
def hurrying(pending: Pending, hurried: threading.Event) -> Iterator[None]:
    """Set an event as soon as a signal is held back, for as long as the block lasts."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(_HURRY_LOOK_S):
            if pending.waits:
                hurried.set()

    watcher = threading.Thread(target=look, name="proj-hurry", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


class _Writing:
    """The way for what may wait: files have more time than the rest."""

    def __init__(self, http: HttpTransport, usual: Patience) -> None:
        self._small, self._large = (
            http.with_patience(
                msgspec.structs.replace(
                    patience,
                    read_s=min(patience.read_s, usual.read_s),
                    retries=min(patience.retries, usual.retries),
                )
            )
            for patience in (_WRITING, _SENDING)
        )

    def send(self, request: Request) -> Answer:
        return self._way(request).send(request)

    def open(self, request: Request) -> AbstractContextManager[tuple[Answer, BinaryIO]]:
        return self._way(request).open(request)

    def close(self) -> None:
        self._small.close()

    def _way(self, request: Request) -> HttpTransport:
        body = request.body
        if isinstance(body, Path):
            with contextlib.suppress(OSError):  # sending it will tell
                return self._large if body.stat().st_size > _LARGE_BYTES else self._small
        return self._large if isinstance(body, bytes) and len(body) > _LARGE_BYTES else self._small


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
