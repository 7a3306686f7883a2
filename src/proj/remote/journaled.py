"""A way to a server that goes on while the server is away: what may wait is written into the journal."""

from __future__ import annotations

import json
import re
import threading
from typing import TYPE_CHECKING, Any

import msgspec

from proj.errors import UnreachableError
from proj.remote.transport import Answer

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from proj.remote.journal import Journal
    from proj.remote.transport import Request, Transport

_API = r"/(?:api|ajax-api)/\d\.0/(?:preview/)?"
_WRITES = re.compile(
    rf"{_API}mlflow/runs/(?:log-metric|log-parameter|log-batch|set-tag|delete-tag|log-inputs|outputs|log-model)"
)
_UPDATE = re.compile(rf"{_API}mlflow/runs/update")
_GET = re.compile(rf"{_API}mlflow/runs/get")
_UPLOAD = re.compile(rf"{_API}mlflow-artifacts/artifacts/.+")

_JSON = {"content-type": "application/json"}


def is_update(request: Request) -> bool:
    """Whether a request changes the state or the name of a run."""
    return request.method == "POST" and _UPDATE.fullmatch(request.path) is not None


def is_get(request: Request) -> bool:
    """Whether a request asks for a run."""
    return request.method == "GET" and _GET.fullmatch(request.path) is not None


def may_wait(request: Request) -> bool:
    """Whether a request can be delivered later, and twice: its answer tells nothing, it only adds or sets."""
    if request.method == "PUT":
        return _UPLOAD.fullmatch(request.path) is not None
    return request.method == "POST" and (
        _WRITES.fullmatch(request.path) is not None or _UPDATE.fullmatch(request.path) is not None
    )


class JournalTransport:
    """A `Transport` for all that concerns one run: what its server cannot take now waits in the journal.

    Once something waits, all later writes wait behind it, so that they arrive in their order. Reads and
    creations go to the server; the run itself is shown as it was last seen where the server is away.

    Args:
        transport: The way to the server.
        journal: Where requests wait.
        place: The server's URL, without credentials.
        run_id: The run.
        seen: What is known of the run until the server has shown it, in MLflow's words.
    """

    def __init__(
        self,
        transport: Transport,
        journal: Journal,
        *,
        place: str,
        run_id: str,
        seen: dict[str, Any] | None = None,
    ) -> None:
        self.transport = transport
        self.journal = journal
        self.place = place
        self.run_id = run_id
        self.behind = threading.Event()
        """Set while something waits."""
        self._lock = threading.Lock()
        self._seen = seen
        """The run as the server showed it last."""
        if journal.waits(place, run_id):
            self.behind.set()

    def send(self, request: Request) -> Answer:
        """See `Transport.send`; what may wait is answered as done.

        Raises:
            UnreachableError: The server is away, and the request cannot wait.
            StoreError: The journal cannot be written.
        """
        if not may_wait(request):
            return self._ask(request)
        if not self.behind.is_set():
            try:
                return self._watched(request, self.transport.send(request))
            except UnreachableError:
                self.journal.failed(self.place)
        with self._lock:
            self.journal.add(self.place, self.run_id, request)
            self.behind.set()
        return self._taken(request)

    def open(self, request: Request) -> AbstractContextManager[tuple[Answer, BinaryIO]]:
        """See `Transport.open`; for reading only."""
        return self.transport.open(request)

    def close(self) -> None:
        """See `Transport.close`."""
        self.transport.close()

    def caught_up(self) -> bool:
        """Look whether everything was delivered, by whomever; if so, the next write goes to the server."""
        with self._lock:
            if self.journal.first(self.place, self.run_id) is not None:
                return False
            self.behind.clear()
            return True

    # --- the run as it was last seen ------------------------------------------------------------------

    def _ask(self, request: Request) -> Answer:
        try:
            return self._watched(request, self.transport.send(request))
        except UnreachableError:
            if self._seen is None or not self._is_own_get(request):
                raise
            return Answer(status=200, headers=_JSON, body=msgspec.json.encode({"run": self._seen}))

    def _watched(self, request: Request, answer: Answer) -> Answer:
        if answer.status == 200 and self._is_own_get(request):  # noqa: PLR2004  OK
            seen = _decoded(answer.body).get("run")
            self._seen = seen if isinstance(seen, dict) else self._seen
        elif answer.status == 200 and is_update(request):  # noqa: PLR2004  OK
            self._note(request)
        return answer

    def _is_own_get(self, request: Request) -> bool:
        return is_get(request) and self.run_id in (value for _, value in request.query)

    def _taken(self, request: Request) -> Answer:
        """What the server would answer to a request that waits."""
        content: dict[str, Any] = {"run_info": self._note(request)} if is_update(request) else {}
        return Answer(status=200, headers=_JSON, body=msgspec.json.encode(content))

    def _note(self, request: Request) -> dict[str, Any]:
        """Remember a change of the run's state; returns what is known of the run that it concerns."""
        body = request.body
        asked = _decoded(body if isinstance(body, bytes) else b"")
        run_id = asked.get("run_id") or asked.get("run_uuid")
        given = {key: asked[key] for key in ("status", "end_time", "run_name") if asked.get(key) is not None}
        if run_id != self.run_id or self._seen is None:
            return {"run_id": run_id, "run_uuid": run_id, **given}
        self._seen = {**self._seen, "info": {**self._seen.get("info", {}), **given}}
        info: dict[str, Any] = self._seen["info"]
        return info


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)  # msgspec takes no NaN
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
