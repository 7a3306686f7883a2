"""What the tracking benchmarks share: `proj server` and `mlflow server` side by side, and their clients."""

from __future__ import annotations

import contextlib
import os
import socket
import statistics
import subprocess  # noqa: TID251  what is measured is started plainly
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import bench

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CLIENT = Path(__file__).with_name("tracking_client.py")
MORE = 8
WORKERS = 2
"""Of mlflow's server; it takes four unless told otherwise, which is more than the yardstick's two cores."""


class Server(NamedTuple):
    """A server under test."""

    name: str
    uri: str
    pid: int

    def cpu_s(self) -> float:
        """Processor time of the server and all that it started."""
        return sum(_cpu_s(pid) for pid in _family(self.pid))

    def memory_mib(self) -> float:
        """Memory of the server and all that it started; what they share counts once (PSS)."""
        return sum(_memory_mib(pid) for pid in _family(self.pid))


@contextlib.contextmanager
def both(folder: Path, mlflow: Path, data: Path | None = None) -> Iterator[tuple[Server, Server]]:
    """Run both servers over SQLite, with what they write beside it in `folder`.

    Args:
        folder: An empty folder.
        mlflow: A stock mlflow program.
        data: Where `home` and `mlflow.db` are; None: new ones.
    """
    if data is not None:
        os.environ["PROJ_HOME"] = str(data / "home")
    ours, theirs = free_port(), free_port()
    proj = [bench.PROJ, "server", "--port", str(ours), "--no-access-log"]
    stock = [
        *(mlflow, "server", "--port", str(theirs), "--workers", str(WORKERS)),
        *("--backend-store-uri", f"sqlite:///{data or folder}/mlflow.db"),
        *("--artifacts-destination", f"{folder}/mlflow-artifacts"),
    ]
    with (
        running("proj server", proj, ours, folder) as one,
        running("mlflow server", stock, theirs, folder) as two,
    ):
        yield one, two


@contextlib.contextmanager
def nothing(folder: Path) -> Iterator[Server]:
    """Run a server that keeps nothing: what is measured with it is the client's own."""
    port = free_port()
    argv = [sys.executable, Path(__file__).with_name("tracking_null.py"), str(port)]
    with running("no server", argv, port, folder) as server:
        yield server


@contextlib.contextmanager
def running(name: str, argv: list[str | Path], port: int, folder: Path) -> Iterator[Server]:
    """Run a server until it is no longer needed."""
    uri = f"http://127.0.0.1:{port}"
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [str(word) for word in argv], stdout=log, stderr=log, cwd=folder, start_new_session=True
        )
        try:
            _wait(uri)
            yield Server(name, uri, process.pid)
        finally:
            process.terminate()
            process.wait(60)


class Clients:
    """Processes with a stock client of a server, which import it once. A context manager that ends them.

    Args:
        server: Whom they talk to.
        python: Of mlflow's environment.
        number: How many.
    """

    def __init__(self, server: Server, python: Path, number: int) -> None:
        self.server = server
        argv = [str(python), str(CLIENT), server.uri]
        settings = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
        self._processes = [
            subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=settings)
            for _ in range(number)
        ]
        for process in self._processes:
            _hear(process, "imported\n")

    def __enter__(self) -> Clients:  # noqa: PYI034  typing.Self is new in Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.communicate()

    def timed(self, mode: str, count: int, number: int) -> float:
        """Return the seconds that `number` clients need for `count` operations each, all at the same time."""
        working = self._processes[:number]
        for process in working:
            _tell(process, f"{mode} {count}")
        for process in working:
            _hear(process, "ready\n")
        begin = time.perf_counter()
        for process in working:
            _tell(process, "go")
        for process in working:
            _hear(process)
        return time.perf_counter() - begin


def _tell(process: subprocess.Popen[str], line: str) -> None:
    if process.stdin is not None:
        print(line, file=process.stdin, flush=True)


def _hear(process: subprocess.Popen[str], expected: str = "") -> None:
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line or (expected and line != expected):
        sys.exit(f"a client failed; it said {line!r}")


class Rate(NamedTuple):
    """What a server did."""

    per_s: float
    """Operations per second."""
    server_ms: float
    """Processor time of the server for one of them."""


def rates(clients: Sequence[Clients], mode: str, count: int, processes: int, rounds: int) -> list[Rate]:
    """Return how many operations per second each server did, the median of turns that alternate.

    The last server gets fewer than the others, so that its turns take about as long.
    """
    taken: list[list[Rate]] = [[] for _ in clients]
    for _ in range(rounds):
        for some, found in zip(clients, taken, strict=True):
            operations = count if some is clients[-1] else count * MORE
            before_s = some.server.cpu_s()
            seconds = some.timed(mode, operations, processes)
            done = operations * processes
            found.append(Rate(done / seconds, (some.server.cpu_s() - before_s) * 1000 / done))
    return [Rate(*(statistics.median(values) for values in zip(*found, strict=True))) for found in taken]


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(uri: str) -> None:
    deadline = time.monotonic() + 120
    while not _answers(uri):
        if time.monotonic() > deadline:
            sys.exit(f"no server at {uri}")
        time.sleep(0.1)


def _answers(uri: str) -> bool:
    try:
        with urllib.request.urlopen(f"{uri}/health") as answer:  # noqa: S310  our own address
            return bool(answer.read())
    except OSError:
        return False


def _family(root: int) -> set[int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0
