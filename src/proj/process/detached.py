"""Start a process that outlives this one."""

from __future__ import annotations

import os
import signal
import subprocess  # noqa: TID251  this package is the one that may
import threading
from typing import TYPE_CHECKING

from proj.process.interrupts import STOP_SIGNALS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def spawn_detached(
    argv: Sequence[str], *, cwd: Path, stdin: bytes, pass_fds: Sequence[int], log: Path
) -> int:
    """Start a program in a session of its own, hand it `stdin` and open files, and return its pid.

    It inherits this process's variables without `PROJ_GUARD`, so that it survives our death. INT, TERM and
    HUP are held back from it until it calls `take_signals`: a stop that comes while it starts is not lost.

    Args:
        argv: Program and arguments.
        cwd: Where it runs. `python -m` imports from there first, so never where somebody else has files.
        stdin: What it reads; goes through a pipe, so secrets in it touch no disk and no process list.
        pass_fds: File descriptors that stay open under the same numbers.
        log: File for what it writes itself.
    """
    variables = {name: value for name, value in os.environ.items() if name != "PROJ_GUARD"}
    with log.open("ab") as sink:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            process = subprocess.Popen(
                list(argv),
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=sink,
                env=variables,
                start_new_session=True,
                pass_fds=tuple(pass_fds),
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert process.stdin is not None  # noqa: S101  a pipe was asked for
    process.stdin.write(stdin)
    process.stdin.close()
    # Its exit code is in the record; but for a caller that lives on, somebody has to take it.
    threading.Thread(target=process.wait, name="proj-detached", daemon=True).start()
    return process.pid


def take_signals() -> None:
    """In a process that was started by `spawn_detached`: it is ready for the signals that were held back."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
