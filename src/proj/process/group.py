"""Process groups: signal one, see who is left in it, end it for good."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import msgspec

from proj.process.guard import marked_processes

if TYPE_CHECKING:
    from collections.abc import Callable

_POLL_S = 0.01
_KILL_WAIT_S = 2.0
"""How long a killed process may take to be gone; one in an uninterruptible system call takes longer."""


class Straggler(msgspec.Struct, frozen=True):
    """A process that is still there after the one that started it has ended."""

    pid: int
    name: str


def signal_group(group: int, signum: int) -> bool:
    """Send a signal to all of a group; returns whether there was anybody to take it."""
    try:
        os.killpg(group, signum)
    except (ProcessLookupError, PermissionError):  # PermissionError: macOS, when only zombies are left
        return False
    return True


def group_members(group: int) -> tuple[Straggler, ...]:
    """Return who is left in a group whose leader has been reaped, zombies apart."""
    with contextlib.suppress(OSError):  # our own zombies, where we are init
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass
    if not signal_group(group, 0):
        return ()
    if sys.platform != "linux":
        return (Straggler(-group, "process group"),)  # `kill` takes a negative number for a group
    return tuple(
        Straggler(pid, name)
        for pid, (name, state, its_group) in _processes().items()
        if its_group == group and state not in "ZX"
    )


def _processes() -> dict[int, tuple[str, str, int]]:
    """All processes of the machine: pid -> name, state, process group."""
    found = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208  hundreds of entries: Path costs more than reading
        if entry.isdecimal():
            path = f"/proc/{entry}/stat"
            with contextlib.suppress(OSError), open(path, "rb") as file:  # noqa: PTH123  see above
                # "pid (name) state ppid pgrp …", and the name may hold anything
                head, _, tail = file.read().rpartition(b")")
                state, _ppid, its_group = tail.split()[:3]
                name = head.partition(b"(")[2].decode(errors="replace")
                found[int(entry)] = (name, state.decode(), int(its_group))
    return found


def marked_stragglers(token: str) -> tuple[Straggler, ...]:
    """Return the processes that carry a token of `guard_environment`, zombies apart."""
    marked = marked_processes(token)
    everybody = _processes() if marked else {}
    return tuple(
        Straggler(pid, everybody[pid][0])
        for pid in marked
        if pid in everybody and everybody[pid][1] not in "ZX"
    )


def end_stragglers(
    find: Callable[[], tuple[Straggler, ...]],
    *,
    settle_s: float,
    grace_s: float,
    hurry: Callable[[], bool] = lambda: False,
    pause: Callable[[float], None] = time.sleep,
) -> tuple[Straggler, ...]:
    """End processes that are left over: by TERM, and by KILL those that are there after `grace_s`.

    Args:
        find: Says who is left; asked again before each signal, so that no reused number is hit.
        settle_s: How long they may take to end by themselves.
        grace_s: How long they may take after TERM.
        hurry: Asked again and again; once it is true, what is left is killed at once.
        pause: Called to let some seconds pass.

    Returns:
        Those that had to be told to end.
    """

    def left_after(limit_s: float) -> bool:
        end = time.monotonic() + limit_s
        while left := find():
            if time.monotonic() >= end or hurry():
                break
            pause(_POLL_S)
        return bool(left)

    if not left_after(settle_s):
        return ()
    stragglers = find()
    _send(stragglers, signal.SIGTERM)
    if left_after(grace_s):
        end = time.monotonic() + _KILL_WAIT_S
        while (left := find()) and time.monotonic() < end:
            _send(left, signal.SIGKILL)
            pause(_POLL_S)
    return stragglers


def _send(stragglers: tuple[Straggler, ...], signum: int) -> None:
    for straggler in stragglers:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(straggler.pid, signum)
            os.kill(straggler.pid, signal.SIGCONT)  # a stopped process takes no TERM
