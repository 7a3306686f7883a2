"""What stages tell whoever is watching: steps, progress, notes, warnings. The command line listens.

The library never prints. A stage says `events.note("…")`; without a listener it goes to the `proj` logger.
Nor does it read what somebody types: it asks, and without somebody who can be asked there is no answer.
"""

from __future__ import annotations

import contextlib
import contextvars
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened in a stage.

    `step` begins something that may take a while ("Resolving 12 requirements"); `progress` says how far the
    current step is; `note` and `warning` are said to the user once; `status` is a line of the run's own story
    that people and scripts look for (`=== Run (ID '…') succeeded ===`), shown as it is; `output` says that
    the program's own output comes next, from any thread.
    """

    kind: Literal["step", "progress", "note", "warning", "status", "output"]
    message: str
    done: int | None = None
    total: int | None = None


class Listener(Protocol):
    """Receives events in the thread that emits them."""

    def __call__(self, event: Event, /) -> None:
        """Take one event; must not raise."""


class Asker(Protocol):
    """Puts questions to the user."""

    def __call__(self, question: str, choices: tuple[str, ...], stop: Callable[[], bool], /) -> str | None:
        """Return which of `choices` was chosen; None: there was no answer before `stop` returned True."""


def _log(event: Event) -> None:
    if event.kind == "output":
        return
    import logging

    level = logging.WARNING if event.kind == "warning" else logging.DEBUG
    logging.getLogger("proj").log(level, "%s", event.message)


_listener: contextvars.ContextVar[Listener] = contextvars.ContextVar("proj_events", default=_log)


_asker: contextvars.ContextVar[Asker | None] = contextvars.ContextVar("proj_asker", default=None)


@contextlib.contextmanager
def asking(asker: Asker | None) -> Iterator[None]:
    """Put the questions of this context to `asker`; None: nobody can be asked."""
    token = _asker.set(asker)
    try:
        yield
    finally:
        _asker.reset(token)


def ask(question: str, choices: tuple[str, ...], *, stop: Callable[[], bool]) -> str | None:
    """Ask the user to choose; None where nobody can be asked, or no answer came before `stop` was True."""
    asker = _asker.get()
    return None if asker is None else asker(question, choices, stop)


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send the events of this context to `listener`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def step(message: str) -> None:
    """Say that something begins which may take a while."""
    _listener.get()(Event(kind="step", message=message))


def progress(message: str, done: int | None = None, total: int | None = None) -> None:
    """Say how far the current step is; `total` is None while it is unknown."""
    _listener.get()(Event(kind="progress", message=message, done=done, total=total))


def note(message: str) -> None:
    """Tell the user something worth knowing."""
    _listener.get()(Event(kind="note", message=message))


def warning(message: str) -> None:
    """Tell the user something that may surprise them later."""
    _listener.get()(Event(kind="warning", message=message))


def status(message: str) -> None:
    """Say a line of the run's own story, to be shown as it is."""
    _listener.get()(Event(kind="status", message=message))


def output() -> None:
    """Say that the program's own output comes next: nothing else may be on its line of the terminal."""
    _listener.get()(Event(kind="output", message=""))
