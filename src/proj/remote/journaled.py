"""A way to a server that goes on while the server is away: what may wait is written into the journal."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec

from proj.errors import StoreError, UnreachableError
from proj.remote.again import may_be_there, without_what_is_there
from proj.remote.latest import Latest
from proj.remote.transport import Answer
from proj.remote.verdicts import Verdict, judge, knows_itself, reason, verdict

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

_CALL = re.compile(rf"{_API}mlflow/")
_SUCCESS = range(200, 300)
_FORBIDDEN = 403
_WAITING = (Verdict.LOCKED_OUT, Verdict.STRANGE)

_JSON = {"content-type": "application/json"}


def is_update(request: Request) -> bool:
    """Whether a request changes the state or the name of a run."""
    return request.method == "POST" and _UPDATE.fullmatch(unquote(request.path)) is not None


def is_get(request: Request) -> bool:
    """Whether a request asks for a run."""
    return request.method == "GET" and _GET.fullmatch(unquote(request.path)) is not None


def may_wait(request: Request) -> bool:
    """Whether a request can be delivered later, and twice: its answer tells nothing, it only adds or sets."""
    if request.method == "PUT":
        return _UPLOAD.fullmatch(unquote(request.path)) is not None
    return request.method == "POST" and (
        _WRITES.fullmatch(unquote(request.path)) is not None
        or _UPDATE.fullmatch(unquote(request.path)) is not None
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
        writing: The way for what may wait, of less patience; None: the same.
    """

    def __init__(
        self,
        transport: Transport,
        journal: Journal,
        *,
        place: str,
        run_id: str,
        seen: dict[str, Any] | None = None,
        writing: Transport | None = None,
    ) -> None:
        self.transport = transport
        self._writing = writing
        self.journal = journal
        self.place = place
        self.run_id = run_id
        self.behind = threading.Event()
        """Set while something waits."""
        self.hurried = threading.Event()
        """Set when nobody wants to wait for the server any more: writes go into the journal at once."""
        self.problem: str | None = None
        """Why a write had to wait, the last time that one had to."""
        self._lock = threading.Lock()
        self._latest = Latest()
        self._seen = seen
        """The run as the server showed it last."""
        if journal.waits(place, run_id):
            self.behind.set()

    def send(self, request: Request, *, insist: bool = False) -> Answer:
        """See `Transport.send`; what may wait is answered as done.

        Args:
            request: What is asked.
            insist: Also keep what the server fails at (500), which is else the answer: nobody will try again.

        Raises:
            UnreachableError: The server is away, and the request cannot wait.
            StoreError: The journal cannot be written.
        """
        if not may_wait(request):
            return self._ask(request)
        number = self._latest.arrive()
        answer = None if self.behind.is_set() or self.hurried.is_set() else self._try(request, insist=insist)
        if answer is not None:
            if answer.status in _SUCCESS:
                self._latest.accept(request, number)
            return answer
        with self._lock:
            left = self._latest.left(request, number)
            if left is not None:
                self.journal.add(self.place, self.run_id, left)
                self._latest.accept(left, number)
                self.behind.set()
        return self._taken(request)

    def _try(self, request: Request, *, insist: bool) -> Answer | None:
        """Return what the server answers to a write; None: it has to wait."""
        try:
            answer = self.writing.send(request)
        except StoreError as error:  # away, or it sends one elsewhere to log in
            self._put_off(error.message)
            return None
        said = judge(answer, self.writing, self.run_id)
        if said is Verdict.TAKEN:
            return self._watched(request, answer)
        denied = said is Verdict.LOCKED_OUT and answer.status == _FORBIDDEN and knows_itself(answer)
        if (said in _WAITING and not denied) or (said is Verdict.FAILED and insist):
            self._put_off(f"{self.place} answers: {reason(answer)}")
            return None
        if said is Verdict.REFUSED and may_be_there(request, answer.status):
            with contextlib.suppress(StoreError):
                left = without_what_is_there(request, self.writing)
                if left is None:
                    return self._taken(request)
                if left is not request:
                    return self.writing.send(left)
        return answer

    def _put_off(self, problem: str) -> None:
        self.problem = problem
        self.journal.failed(self.place)

    def insisting(self) -> Transport:
        """The same way for those who do not try again: what the server fails at waits, too."""
        return _Insisting(self)

    @property
    def writing(self) -> Transport:
        """The way for what may wait."""
        return self._writing or self.transport

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
        seen = self._as_seen(request)
        if seen is not None and self.behind.is_set():
            return seen
        try:
            answer = (self.transport if seen is None else self.writing).send(request)
        except StoreError:
            if seen is None:
                raise
            return seen
        said = verdict(answer)
        if seen is not None and said in (*_WAITING, Verdict.FAILED):
            return seen
        if said is Verdict.STRANGE and answer.status in _SUCCESS and _CALL.match(unquote(request.path)):
            raise UnreachableError(
                f"No tracking server answers at {self.place}: {reason(answer)}.",
                hint="Check the address; if one has to log in there again, do so.",
            )
        return self._watched(request, answer)

    def _as_seen(self, request: Request) -> Answer | None:
        """The own run as it is known, where it is asked for."""
        if self._seen is None or not self._is_own_get(request):
            return None
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


class _Insisting:
    """A `Transport` that keeps what the server fails at."""

    def __init__(self, way: JournalTransport) -> None:
        self._way = way

    def send(self, request: Request) -> Answer:
        return self._way.send(request, insist=True)

    def open(self, request: Request) -> AbstractContextManager[tuple[Answer, BinaryIO]]:
        return self._way.open(request)

    def close(self) -> None:
        self._way.close()


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)  # msgspec takes no NaN
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
