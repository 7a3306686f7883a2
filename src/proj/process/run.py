"""Run a tool (git, uv, pip …) to its end and get what it said."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from typing import TYPE_CHECKING

import msgspec

from proj.errors import ToolFailedError, ToolMissingError
from proj.process.exits import ExitWatch
from proj.process.group import end_stragglers, group_members, signal_group
from proj.process.guard import release_group
from proj.process.interrupts import deferred
from proj.process.redact import redact
from proj.process.spawn import DEVNULL, PIPE, merged_environment, spawn

if TYPE_CHECKING:
    import subprocess  # noqa: TID251  this package is the one that may
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import IO

_CHUNK_BYTES = 256 * 1024
_DRAIN_S = 1.0
"""How long output is awaited from a helper that holds the pipes open after the tool has ended."""
_GRACE_S = 3.0


class Completed(msgspec.Struct, frozen=True, kw_only=True):
    """A tool's run that has ended.

    `stdout` and `stderr` are decoded as UTF-8; bytes that are not are kept as surrogates. Line ends are those
    of Unix, unless the output was asked for as it is.
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
    stdin: str | bytes | None = None,
    timeout_s: float | None = None,
    on_stderr: Callable[[str], None] | None = None,
    check: bool = True,
    secrets: Sequence[str] = (),
    exact: bool = False,
) -> Completed:
    """Run a program, wait for it, and return what it wrote.

    It runs in a session of its own, so it can neither prompt on the terminal nor get its signals. Whatever
    interrupts the wait (a signal, the time limit, an error in `on_stderr`) ends the program and all it
    started before it goes on.

    Args:
        argv: Program and arguments; the program is looked up on PATH.
        cwd: Working directory.
        env: Variable -> value on top of this process's own; None removes it.
        stdin: Text or bytes for its standard input; None: empty.
        timeout_s: Stop it after this many seconds.
        on_stderr: Called with each line of standard error as it comes (also those ended by a carriage
            return, as progress displays do), in this thread.
        check: Raise when the exit code is not 0.
        secrets: Values to keep out of the error; see `redact`.
        exact: Whether carriage returns stay in standard output: names of files may hold them.

    Raises:
        ToolMissingError: There is no such program.
        ToolFailedError: It cannot be started, ended with an error, or took too long.
    """
    tool: _Tool | None = None
    finished = False
    returncode = 0
    try:
        with deferred():
            started = _start(argv, cwd, merged_environment(env or {}), has_input=stdin is not None)
            tool = _Tool(started, stdin, on_stderr)
        finished = tool.follow(timeout_s)
    finally:
        if tool is not None:
            with deferred():
                returncode = tool.reap() if finished else tool.end()
    completed = Completed(
        argv=tuple(argv),
        returncode=returncode,
        stdout=_decode(tool.stdout, exact=exact),
        stderr=_decode(tool.stderr),
    )
    if not finished:
        raise _failure(completed, f"{argv[0]} took longer than {timeout_s:g} s and was stopped.", secrets)
    if check and returncode != 0:
        ending = f"exit code {returncode}" if returncode > 0 else f"signal {-returncode}"
        raise _failure(completed, f"{_shown(argv)} ended with {ending}.", secrets)
    return completed


def _start(
    argv: Sequence[str], cwd: Path | str | None, env: dict[str, str], *, has_input: bool
) -> subprocess.Popen[bytes]:
    try:
        return spawn(
            argv,
            cwd=cwd,
            env=env,
            stdin=PIPE if has_input else DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            new_session=True,
        )
    except (FileNotFoundError, NotADirectoryError) as error:
        if cwd is not None and not os.path.isdir(cwd):  # noqa: PTH112  cwd may be a str
            raise ToolFailedError(f"Cannot run {argv[0]}: no folder {cwd}", returncode=127) from error
        raise ToolMissingError(
            f"The program {argv[0]!r} is not on PATH.", hint=f"Install {argv[0]}."
        ) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ToolFailedError(f"Cannot run {argv[0]}: {reason}", returncode=126) from error


def _failure(completed: Completed, message: str, secrets: Sequence[str]) -> ToolFailedError:
    return ToolFailedError(
        redact(message, secrets),
        returncode=completed.returncode,
        stdout=redact(completed.stdout, secrets),
        stderr=redact(completed.stderr, secrets),
    )


def _shown(argv: Sequence[str]) -> str:
    """The program and its subcommand: what a person recognises."""
    return " ".join([argv[0], *(word for word in argv[1:2] if word.isidentifier())])


def _decode(chunks: list[bytes], *, exact: bool = False) -> str:
    text = b"".join(chunks).decode("utf-8", "surrogateescape")
    if exact:
        return text
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


class _Tool:
    """A tool that runs: feeds it, reads it, ends it."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        stdin: str | bytes | None,
        on_stderr: Callable[[str], None] | None,
    ) -> None:
        self._process = process
        self._watch = ExitWatch(process.pid)
        self._selector = selectors.DefaultSelector()
        given = stdin.encode("utf-8", "surrogateescape") if isinstance(stdin, str) else stdin
        self._input = memoryview(given or b"")
        self._on_stderr = on_stderr
        self._line = b""
        self._reading = 0
        self._exited = False
        self.stdout: list[bytes] = []
        self.stderr: list[bytes] = []

    def follow(self, timeout_s: float | None) -> bool:
        """Wait for its end and that of its output; returns False if that took too long."""
        self._listen()
        limit = None if timeout_s is None else time.monotonic() + timeout_s
        drain_limit: float | None = None
        while self._reading or not self._exited:
            if self._exited and drain_limit is None:
                drain_limit = time.monotonic() + _DRAIN_S
            end = limit if drain_limit is None else drain_limit
            left_s = None if end is None else end - time.monotonic()
            if left_s is not None and left_s <= 0:
                break
            for key, _events in self._selector.select(left_s):
                key.data()
        self._tell_lines(b"\n" if self._line else b"")
        return self._exited

    def end(self) -> int:
        """Stop it and all that it started; returns its exit code."""
        group = self._process.pid
        if not self._exited:
            signal_group(group, signal.SIGTERM)
            if not self._watch.poll(_GRACE_S):
                signal_group(group, signal.SIGKILL)
        returncode = self.reap()
        end_stragglers(lambda: group_members(group), settle_s=0, grace_s=_GRACE_S)
        return returncode

    def reap(self) -> int:
        """Take its exit code and release everything; its helpers, if any, may live on."""
        release_group(self._process.pid)
        status, _usage = self._watch.reap()
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self._selector.close()
        self._watch.close()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):  # input that nobody read
                    pipe.close()
        return self._process.returncode

    def _listen(self) -> None:
        self._selector.register(self._watch, selectors.EVENT_READ, self._on_exit)
        stdout, stderr, stdin = self._process.stdout, self._process.stderr, self._process.stdin
        assert stdout is not None  # noqa: S101  a pipe was asked for
        assert stderr is not None  # noqa: S101  same
        self._selector.register(stdout, selectors.EVENT_READ, lambda: self._read(stdout, self._take_stdout))
        self._selector.register(stderr, selectors.EVENT_READ, lambda: self._read(stderr, self._take_stderr))
        self._reading = 2
        if stdin is not None:
            os.set_blocking(stdin.fileno(), False)
            self._selector.register(stdin, selectors.EVENT_WRITE, lambda: self._feed(stdin))

    def _on_exit(self) -> None:
        self._exited = True
        self._selector.unregister(self._watch)

    def _read(self, pipe: IO[bytes], take: Callable[[bytes], None]) -> None:
        data = os.read(pipe.fileno(), _CHUNK_BYTES)
        if data:
            take(data)
        else:
            self._selector.unregister(pipe)
            self._reading -= 1

    def _feed(self, pipe: IO[bytes]) -> None:
        try:
            self._input = self._input[os.write(pipe.fileno(), self._input) :] if self._input else self._input
        except BrokenPipeError:  # it does not want to know more
            self._input = memoryview(b"")
        if not self._input:
            self._selector.unregister(pipe)
            pipe.close()

    def _take_stdout(self, data: bytes) -> None:
        self.stdout.append(data)

    def _take_stderr(self, data: bytes) -> None:
        self.stderr.append(data)
        if self._on_stderr is not None:
            self._tell_lines(data)

    def _tell_lines(self, data: bytes) -> None:
        if self._on_stderr is None or not data:
            return
        *lines, self._line = (self._line + data).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            if line:
                self._on_stderr(line.decode("utf-8", "surrogateescape"))
