"""Some jobs at the same time, given up together when one fails or the user interrupts."""

from __future__ import annotations

import contextlib
import contextvars
import queue
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def run_all(jobs: Sequence[Callable[[], None]], *, at_once: int) -> None:
    """Run jobs in threads, and wait for all of them.

    A failure or an interrupt ends the wait at once: threads that are left do not keep the process alive.

    Args:
        jobs: Each is run once.
        at_once: How many at the same time.

    Raises:
        BaseException: What the first job to fail has raised.
    """
    waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    for _ in range(min(at_once, len(jobs))):
        context = contextvars.copy_context()  # events go to whoever listens here
        threading.Thread(target=context.run, args=(_work, waiting, ended), daemon=True).start()
    try:
        for _ in jobs:
            failure = ended.get()
            if failure is not None:
                raise failure
    finally:
        with contextlib.suppress(queue.Empty):
            while True:
                waiting.get_nowait()


def _work(
    waiting: queue.SimpleQueue[Callable[[], None]], ended: queue.SimpleQueue[BaseException | None]
) -> None:
    while True:
        try:
            job = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            job()
        except BaseException as error:  # noqa: BLE001  raised again by whoever waits
            ended.put(error)
        else:
            ended.put(None)
