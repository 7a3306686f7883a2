"""Runs `local_driver.py` in a process of its own, and looks at what became of it."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from proj import process
from proj.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMIT_S = 110.0
"""How long a condition is awaited; only a failing test takes that long."""

SCRIPT = str(Path(__file__).with_name("local_driver.py"))


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition."""
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, f"still not so after {LIMIT_S:g} s: {what}"
        time.sleep(0.01)


def longer(first_s: float) -> Iterator[float]:
    """Times to give to what has to be begun within them: the first does, unless the machine is busy."""
    while first_s < LIMIT_S:
        yield first_s
        first_s *= 4


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[0] not in (b"Z", b"X")


class Opened(NamedTuple):
    """An open file of this process."""

    number: int
    device: int
    inode: int


def opened() -> set[Opened]:
    """The open files of this process.

    Compare by `left_open`: what earlier tests have left may be closed at any time, by a thread or as garbage.
    """
    found = set()
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  no path but its name is of use
        with contextlib.suppress(OSError):  # the one for listing the folder is closed already
            status = os.fstat(int(name))
            found.add(Opened(int(name), status.st_dev, status.st_ino))
    return found


def left_open(before: set[Opened]) -> set[Opened]:
    """The files that were opened since `opened` and are so still."""
    return opened() - before


def files_open_in(folder: Path) -> list[str]:
    """The files of a folder that this process has open."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(str(descriptor.readlink()))
    return sorted(path for path in found if path.startswith(f"{folder}/"))


@contextlib.contextmanager
def few_descriptors(free: int) -> Iterator[None]:
    """Let this process open `free` files more, and no other."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(each.number for each in opened()) + free + 8, hard))
    taken: list[int] = []
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))
        for _ in range(free):
            os.close(taken.pop())
        yield
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Driver:
    """A process that runs one command through the local backend.

    Args:
        folder: Its record, and the command's working directory.
        line: The command.
        stdout: The driver's own standard output; None: nowhere.
        options: Fields of `Execution`.
    """

    def __init__(self, folder: Path, line: str, *, stdout: int | None = None, **options: Any) -> None:
        self.folder = folder
        self.process = process.spawn(
            driver_argv(folder, line, **options),
            cwd=folder,
            env=os.environ,
            stdin=process.DEVNULL,
            stdout=process.DEVNULL if stdout is None else stdout,
            new_session=True,
        )

    def close(self) -> None:
        """Make sure that it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def writes(self, text: str, stream: str = "stdout") -> None:
        """Wait until the command has written something."""
        log = self.folder / f"{stream}.log"
        until(lambda: log.exists() and text.encode() in log.read_bytes(), f"{text!r} in {log.name}")

    def send(self, signum: signal.Signals) -> None:
        os.kill(self.process.pid, signum)

    def wait(self) -> int:
        return self.process.wait(LIMIT_S)

    def outcome(self) -> Outcome:
        """Wait for its end and return the outcome."""
        assert self.wait() == 0
        return msgspec.json.decode((self.folder / "outcome.json").read_bytes(), type=Outcome)

    def pid(self, name: str) -> int:
        """The process number that the command wrote to a file."""
        file = self.folder / name
        until(lambda: file.exists() and file.read_text().endswith("\n"), f"{name} is written")
        return int(file.read_text())

    def number(self, name: str) -> int:
        return int((self.folder / name).read_text())


def driver_argv(folder: Path, line: str, **options: Any) -> list[str]:
    return [sys.executable, SCRIPT, str(folder), line, *(f"{k}={json.dumps(v)}" for k, v in options.items())]
