"""Run a tool (git, uv, pip …) to its end and get what it said."""

from __future__ import annotations

import os
import subprocess  # noqa: TID251  this package is the one that may
import threading
from typing import TYPE_CHECKING

import msgspec

from proj.errors import ToolFailedError, ToolMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


class Completed(msgspec.Struct, frozen=True, kw_only=True):
    """A tool's run that has ended.

    `stdout` and `stderr` are decoded as UTF-8; bytes that are not are kept as surrogates.
    """

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str],
    *,
    cwd: Path | str | None = None,
    env: Mapping[str, str | None] | None = None,
    stdin: str | None = None,
    timeout_s: float | None = None,
    on_stderr: Callable[[str], None] | None = None,
    check: bool = True,
) -> Completed:
    """Run a program, wait for it, and return what it wrote.

    Args:
        argv: Program and arguments; the program is looked up on PATH.
        cwd: Working directory.
        env: Variable -> value on top of this process's own; None removes it.
        stdin: Text for its standard input; None: empty.
        timeout_s: Stop it after this many seconds.
        on_stderr: Called with each line of standard error as it comes (also those ended by a carriage
            return, as progress displays do), from another thread.
        check: Raise when the exit code is not 0.

    Raises:
        ToolMissingError: There is no such program.
        ToolFailedError: It ended with an error, or took too long.
    """
    variables = dict(os.environ)
    for name, value in (env or {}).items():
        if value is None:
            variables.pop(name, None)
        else:
            variables[name] = value
    try:
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=variables,
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
        )
    except FileNotFoundError as error:
        if cwd is not None and not os.path.isdir(cwd):  # noqa: PTH112  cwd may be a str
            raise ToolFailedError(f"Cannot run {argv[0]}: no folder {cwd}", returncode=127) from error
        raise ToolMissingError(
            f"The program {argv[0]!r} is not on PATH.", hint=f"Install {argv[0]}."
        ) from error
    with process:
        stderr_lines: list[str] = []

        def read_stderr() -> None:
            assert process.stderr is not None  # noqa: S101  a pipe was asked for
            for line in process.stderr:
                stderr_lines.append(line)
                if on_stderr is not None:
                    on_stderr(line.rstrip("\r\n"))

        reader = threading.Thread(target=read_stderr, daemon=True)
        reader.start()
        assert process.stdout is not None  # noqa: S101  a pipe was asked for
        if stdin is not None and process.stdin is not None:
            process.stdin.write(stdin)
            process.stdin.close()
        stdout = process.stdout.read()
        process.wait(timeout=timeout_s)
        reader.join()
    completed = Completed(
        argv=tuple(argv), returncode=process.returncode, stdout=stdout, stderr="".join(stderr_lines)
    )
    if check and completed.returncode != 0:
        raise ToolFailedError(
            f"{argv[0]} ended with exit code {completed.returncode}.",
            returncode=completed.returncode,
            stdout=completed.stdout,
            stderr=completed.stderr,
        )
    return completed
