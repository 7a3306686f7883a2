"""Bring what waits in the journal to its server."""

from __future__ import annotations

import contextvars
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj import events
from proj.errors import StoreError, UnreachableError

if TYPE_CHECKING:
    from proj.remote.journal import Item, Journal
    from proj.remote.journaled import JournalTransport
    from proj.remote.transport import Answer, Transport

_MAX_ATTEMPTS = 8
"""How often a server may fail at a request (500) until it is set aside."""
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_UNAUTHORISED = (401, 403)


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an attempt."""

    delivered: int = 0
    refused: int = 0
    waiting: int = 0
    problem: str | None = None
    """Why something still waits."""


def deliver(
    journal: Journal, transport: Transport, *, place: str, run_id: str, deadline_s: float | None = None
) -> Delivery:
    """Send what waits for one run, in its order, until all is delivered or the server is away.

    Args:
        journal: Where it waits.
        transport: The way to the server.
        place: The server's URL.
        run_id: The run.
        deadline_s: Of `time.monotonic`, after which no further request is begun.

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
            if deadline_s is not None and time.monotonic() > deadline_s:
                problem = "there was no time for more"
                break
            taken, problem = _deliver_one(journal, transport, place, item)
            delivered += taken is True
            refused += taken is False
    waiting = journal.waits(place, run_id)
    if not waiting:
        journal.settle()
    return Delivery(
        delivered=delivered, refused=refused, waiting=waiting, problem=problem if waiting else None
    )


def _deliver_one(
    journal: Journal, transport: Transport, place: str, item: Item
) -> tuple[bool | None, str | None]:
    """Return whether the server took it (None: it waits on), and why no more can be delivered now."""
    body = item.request.body
    if isinstance(body, Path) and not body.exists():
        journal.refuse(item, 0, f"its content is gone: {body}")
        return False, None
    try:
        answer = transport.send(item.request)
    except UnreachableError as error:
        journal.failed(place)
        return None, error.message
    if _is_taken(item, answer):
        journal.delivered(item)
        return True, None
    if answer.status in _UNAUTHORISED:
        return None, f"{place} does not let you in ({answer.status}): {reason(answer)}"
    if answer.status >= 500 and item.attempts < _MAX_ATTEMPTS:  # noqa: PLR2004  the server's own fault
        journal.put_off(item)
        return None, f"{place} failed ({answer.status}): {reason(answer)}"
    journal.refuse(item, answer.status, reason(answer))
    return False, None


def _is_taken(item: Item, answer: Answer) -> bool:
    if answer.status < 300:  # noqa: PLR2004  a success
        return True
    # Sent before, and the answer was lost.
    return answer.status == 404 and item.request.path.endswith("/runs/delete-tag")  # noqa: PLR2004  not there


def reason(answer: Answer) -> str:
    """What a server says of a request that it does not take."""
    try:
        return msgspec.json.decode(answer.body, type=_Error).message
    except msgspec.DecodeError:
        text = answer.body[:200].decode(errors="replace").strip()
        return text or f"status {answer.status}"


class _Error(msgspec.Struct, frozen=True):
    message: str


class Courier:
    """Delivers in the background, with growing pauses, for as long as the block lasts.

    Args:
        transport: Whose requests it delivers.
    """

    def __init__(self, transport: JournalTransport) -> None:
        self._transport = transport
        self._ending = threading.Event()
        # A thread begins without the listener of events.
        target = contextvars.copy_context().run
        self._thread = threading.Thread(target=target, args=(self._run,), name="proj-courier", daemon=True)

    def __enter__(self) -> Courier:  # noqa: PYI034  typing.Self is new in Python 3.11
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._transport.behind.set()  # it may be waiting for this
        self._thread.join()
        self._transport.caught_up()

    def _run(self) -> None:
        transport = self._transport
        told = False
        pause_s = _FIRST_PAUSE_S
        while transport.behind.wait() and not self._ending.is_set():
            if not told:
                told = True
                events.warning(f"{transport.place} is away: what is to be recorded waits for it.")
            if self._ending.wait(pause_s):
                return
            try:
                done = deliver(
                    transport.journal, transport.transport, place=transport.place, run_id=transport.run_id
                )
                if transport.caught_up():
                    events.note(f"{transport.place} is there again: all was delivered.")
                    told, pause_s = False, _FIRST_PAUSE_S
                    continue
            except StoreError as error:
                events.warning(error.message)
                done = Delivery()
            pause_s = _FIRST_PAUSE_S if done.delivered else min(pause_s * 2, _LONGEST_PAUSE_S)
