"""Doing several things at once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def in_threads(actions: Sequence[Callable[[], None]]) -> None:
    """Do several things at once, to their end; raises what the first one raised that failed."""
    failures: list[BaseException] = []

    def do(action: Callable[[], None]) -> None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001  passed on to the caller
            failures.append(error)

    threads = [threading.Thread(target=do, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
