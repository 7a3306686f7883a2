"""Bring what waits in the journal to its server."""

from __future__ import annotations

import contextvars
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj import events
from proj.errors import ProjError, StoreError
from proj.remote.again import may_be_there, without_what_is_there
from proj.remote.transport import Answer
from proj.remote.verdicts import Verdict, judge, knows_itself, reason

if TYPE_CHECKING:
    from proj.remote.journal import Item, Journal
    from proj.remote.journaled import JournalTransport
    from proj.remote.transport import Request, Transport

_MAX_ATTEMPTS = 8
"""How often a server may fail at a request (500) until it is set aside."""
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_LARGE_BYTES = 1 << 20
_LAST_S = 2.0
"""How long the end of a block waits for a request that is under way."""
_PROBLEMS = {
    Verdict.LOCKED_OUT: "{place} does not let you in ({status}): {reason}",
    Verdict.FAILED: "{place} failed ({status}): {reason}",
    Verdict.STRANGE: "no tracking server answers at {place}: {reason}",
}


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an attempt."""

    delivered: int = 0
    refused: int = 0
    waiting: int = 0
    problem: str | None = None
    """Why something still waits."""


def deliver(
    journal: Journal,
    transport: Transport,
    *,
    place: str,
    run_id: str,
    deadline_s: float | None = None,
    large: bool = True,
    stop: threading.Event | None = None,
) -> Delivery:
    """Send what waits for one run, in its order, until all is delivered or the server is away.

    Args:
        journal: Where it waits.
        transport: The way to the server.
        place: The server's URL.
        run_id: The run.
        deadline_s: Of `time.monotonic`, after which no further request is begun.
        large: Whether to send what is larger than a megabyte: for those who have the time.
        stop: When it is set, no further request is begun.

    Raises:
        StoreError: The journal cannot be used.
    """
    delivered = refused = 0
    problem: str | None = None
    with journal.delivering(run_id) as ours:
        if not ours:
            problem = "another process is delivering it"
        while ours and problem is None:
            item = journal.first(place, run_id)
            if item is None:
                break
            late = deadline_s is not None and time.monotonic() > deadline_s
            if late or (stop is not None and stop.is_set()):
                problem = "there was no time for more"
                break
            if not large and _is_large(item):
                problem = "what is large is left to `proj sync`"
                break
            taken, problem = _deliver_one(journal, transport, place, run_id, item)
            delivered += taken is True
            refused += taken is False
    waiting = journal.waits(place, run_id)
    if not waiting:
        journal.settle()
    return Delivery(
        delivered=delivered, refused=refused, waiting=waiting, problem=problem if waiting else None
    )


def _deliver_one(
    journal: Journal, transport: Transport, place: str, run_id: str, item: Item
) -> tuple[bool | None, str | None]:
    """Return whether the server took it (None: it waits on), and why no more can be delivered now."""
    body = item.request.body
    if isinstance(body, Path) and not body.exists():
        journal.refuse(item, 0, f"its content is gone: {body}")
        return False, None
    try:
        answer = _send(transport, item.request)
        said = judge(answer, transport, run_id)
    except ProjError as error:
        journal.failed(place)
        return None, error.message
    if said is Verdict.TAKEN or _is_gone(item, answer):
        journal.delivered(item)
        return True, None
    if said is Verdict.REFUSED:
        journal.refuse(item, answer.status, reason(answer))
        return False, None
    if said is Verdict.FAILED and item.attempts >= _MAX_ATTEMPTS:
        journal.refuse(item, answer.status, reason(answer))
        return False, None
    if said is Verdict.FAILED:
        journal.put_off(place, item)
    else:
        journal.failed(place)
    return None, _PROBLEMS[said].format(place=place, status=answer.status, reason=reason(answer))


def _send(transport: Transport, request: Request) -> Answer:
    """Send a request; where that is refused, only what the server has not yet."""
    answer = transport.send(request)
    if may_be_there(request, answer.status):
        left = without_what_is_there(request, transport)
        if left is None:
            return Answer(status=200, headers={}, body=b"")
        if left is not request:
            return transport.send(left)
    return answer


def _is_gone(item: Item, answer: Answer) -> bool:
    """Whether a tag that is to be removed is not there: it was removed before, and the answer was lost."""
    return (
        answer.status == 404  # noqa: PLR2004  not there
        and item.request.path.endswith("/runs/delete-tag")
        and knows_itself(answer)
    )


def _is_large(item: Item) -> bool:
    body = item.request.body
    if isinstance(body, Path):
        try:
            return body.stat().st_size > _LARGE_BYTES
        except OSError:
            return False
    return body is not None and len(body) > _LARGE_BYTES


class Courier:
    """Delivers in the background, with growing pauses, for as long as the block lasts.

    Args:
        transport: Whose requests it delivers.
        way: The way to the server; None: that of the transport.
    """

    def __init__(self, transport: JournalTransport, way: Transport | None = None) -> None:
        self._transport = transport
        self._way = way
        self._ending = threading.Event()
        # A thread begins without the listener of events.
        target = contextvars.copy_context().run
        self._thread = threading.Thread(target=target, args=(self._run,), name="proj-courier", daemon=True)

    def __enter__(self) -> Courier:  # noqa: PYI034  typing.Self is new in Python 3.11
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; a request that has no answer within moments is left behind, and stays in the journal."""
        self._ending.set()
        self._transport.behind.set()  # it may be waiting for this
        self._thread.join(_LAST_S)
        self._transport.caught_up()

    def _run(self) -> None:
        transport = self._transport
        told = False
        pause_s = _FIRST_PAUSE_S
        while transport.behind.wait() and not self._ending.is_set():
            if not told:
                told = True
                why = f" ({transport.problem})" if transport.problem else ""
                events.warning(f"{transport.place} is away{why}: what is to be recorded waits for it.")
            if self._ending.wait(pause_s):
                return
            try:
                done = deliver(
                    transport.journal,
                    self._way or transport.transport,
                    place=transport.place,
                    run_id=transport.run_id,
                    stop=self._ending,
                )
                if self._ending.is_set():
                    return
                if transport.caught_up():
                    events.note(f"{transport.place} is there again: all was delivered.")
                    told, pause_s = False, _FIRST_PAUSE_S
                    continue
            except StoreError as error:
                if self._ending.is_set():  # its journal is closed, perhaps
                    return
                events.warning(error.message)
                done = Delivery()
            pause_s = _FIRST_PAUSE_S if done.delivered else min(pause_s * 2, _LONGEST_PAUSE_S)
