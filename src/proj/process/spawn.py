"""Start a program in a process group of its own, guarded against our death."""

from __future__ import annotations

import os
import subprocess  # noqa: TID251  this package is the one that may
import sys
from typing import TYPE_CHECKING

from proj.process.guard import guard_environment, watch_group

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PIPE = subprocess.PIPE
DEVNULL = subprocess.DEVNULL


def merged_environment(*changes: Mapping[str, str | None]) -> dict[str, str]:
    """Return this process's variables with `changes` applied in turn; None removes a variable."""
    variables = dict(os.environ)
    for change in changes:
        for name, value in change.items():
            if value is None:
                variables.pop(name, None)
            else:
                variables[name] = value
    return variables


def spawn(
    argv: Sequence[str],
    *,
    cwd: Path | str | None,
    env: Mapping[str, str],
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
    new_session: bool = False,
    tokens: Sequence[str] = (),
) -> subprocess.Popen[bytes]:
    """Start a program as the leader of a new process group.

    Args:
        argv: Program and arguments; the program is looked up on the PATH of `env`.
        cwd: Working directory.
        env: All of its variables; `PROJ_GUARD` is added.
        stdin: A descriptor, `PIPE`, `DEVNULL`, or None for our own.
        stdout: As `stdin`.
        stderr: As `stdin`.
        new_session: Cut it off from our terminal too: it can neither prompt there nor get its signals.
        tokens: See `guard_environment`.

    Raises:
        OSError: It cannot be started.
    """
    variables = {**env, **guard_environment(*tokens)}
    if new_session:
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=variables,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    elif sys.version_info >= (3, 11):
        process = subprocess.Popen(
            list(argv), cwd=cwd, env=variables, stdin=stdin, stdout=stdout, stderr=stderr, process_group=0
        )
    else:
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=variables,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            preexec_fn=os.setpgrp,  # noqa: PLW1509  a bare system call; 3.10 has no other way
        )
    watch_group(process.pid)
    return process
