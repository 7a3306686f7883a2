"""Beside a run that goes on: its logs are shown on its server, and a tag there cancels it."""

from __future__ import annotations

import contextlib
import contextvars
import threading
import time
from typing import TYPE_CHECKING

from proj.errors import ProjError
from proj.record import TAG_CANCEL

if TYPE_CHECKING:
    from collections.abc import Callable

    from proj.recording.uploads import Uploads
    from proj.tracking import Tracking

_LOOK_S = 2.0
_JOIN_S = 0.2
_FIRST_REFRESH_S = 3.0
_LONGEST_REFRESH_S = 300.0
_REFRESH_BYTES_PER_S = 100_000
"""A log that grows is sent as a whole each time: seldom enough that this rate is held."""


class Beside:
    """Looks after one run on its server, in a thread of its own; a context manager.

    Args:
        tracking: The records.
        uploads: The run's files.
        is_away: Whether the server need not be asked just now.
    """

    def __init__(
        self, tracking: Tracking, uploads: Uploads, *, is_away: Callable[[], bool] = lambda: False
    ) -> None:
        self.cancel: Callable[[], None] | None = None
        """What stops the command, once it has begun."""
        self._tracking = tracking
        self._uploads = uploads
        self._is_away = is_away
        self._ending = threading.Event()
        # A thread begins without the listener of events.
        target = contextvars.copy_context().run
        self._thread = threading.Thread(target=target, args=(self._watch,), name="proj-watch", daemon=True)

    def __enter__(self) -> Beside:  # noqa: PYI034  typing.Self is new in Python 3.11
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, hurried: threading.Event | None = None) -> None:
        """End; waits for what is under way, unless `hurried` is set."""
        self._ending.set()
        while self._thread.is_alive() and not (hurried is not None and hurried.is_set()):
            self._thread.join(_JOIN_S)

    def _watch(self) -> None:
        due_s = time.monotonic() + _FIRST_REFRESH_S
        cancelled = False
        while not self._ending.wait(_LOOK_S):
            if self._is_away():
                continue
            with contextlib.suppress(ProjError):
                cancel = self.cancel
                if cancel is not None and not cancelled and self._is_cancelled():
                    cancelled = True
                    cancel()
                if time.monotonic() >= due_s:
                    due_s = self._refresh()

    def _is_cancelled(self) -> bool:
        return TAG_CANCEL in self._tracking.runs.run(self._uploads.run_id).tags

    def _refresh(self) -> float:
        """Show the logs as they are; returns when to do so again."""
        begun_s = time.monotonic()
        size = 0
        try:
            size = self._uploads.refresh(self._tracking.artifacts)
        finally:
            took_s = time.monotonic() - begun_s
            pause_s = max(_FIRST_REFRESH_S, 10 * took_s, size / _REFRESH_BYTES_PER_S)
            due_s = time.monotonic() + min(pause_s, _LONGEST_REFRESH_S)
        return due_s
