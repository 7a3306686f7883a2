"""Interrupt and kill `proj run` at every stage: a true record, no process survives, the next run works."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import io
import itertools
import os
import re
import shutil
import signal
import sqlite3
import subprocess  # noqa: TID251  git as a user calls it
import tarfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proj import record
from projkit import LIMIT_S, ProjFolder, Started, echo_project, eventually, local_environment, wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNALS = {name: getattr(signal, f"SIG{name}") for name in ("INT", "TERM", "HUP", "KILL")}
ENV_PROJECT = """
python_env: python_env.yaml
entry_points:
  main: {command: "python -c 'import tiny; print(tiny.version)'"}
"""


class Stage:
    """A project whose run stops at one stage until `go_on`, and tells when it has come there."""

    recorded = True
    """Whether a run exists by then."""

    def __init__(self, folder: ProjFolder) -> None:
        self.folder = folder
        self.arrived = folder.base / "arrived"
        self.slow = folder.base / "slow"
        """While this file is there, the stage takes its time."""
        self.slow.touch()
        self.uri = "."
        # The indexes of these tests are on loopback.
        self.variables: dict[str, str | None] = {"UV_OFFLINE": None, "PIP_NO_INDEX": None}

    def is_there(self) -> bool:
        return self.arrived.exists()

    def go_on(self) -> None:
        self.slow.unlink()

    def close(self) -> None:
        pass


class Cloning(Stage):
    """A git that takes its time to fetch."""

    recorded = False

    def __init__(self, folder: ProjFolder) -> None:
        super().__init__(folder)
        made = folder.base / "made"
        made.mkdir()
        (made / "MLproject").write_text(echo_project("echo 1.0"))
        for argv in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
            subprocess.run(["git", *argv], cwd=made, check=True)
        subprocess.run(["git", "clone", "-q", "--bare", made, folder.base / "bare.git"], check=True)
        real = shutil.which("git")
        shim = folder.base / "bin" / "git"
        shim.parent.mkdir()
        shim.write_text(
            "#!/bin/sh\n"
            f'case " $* " in *" fetch "*|*" ls-remote "*) if [ -e {self.slow} ]; then\n'
            f"touch {self.arrived}; sleep 60; fi;; esac\n"
            f'exec {real} "$@"\n'
        )
        shim.chmod(0o755)
        self.uri = self._served()
        self.variables["PATH"] = f"{shim.parent}:{os.environ['PATH']}"

    def _served(self) -> str:
        """The repository by the "dumb" protocol, so that it counts as a remote one."""
        bare = self.folder.base / "bare.git"
        subprocess.run(["git", "update-server-info"], cwd=bare, check=True)
        handler = _handler(bare)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_address[1]}/bare.git"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(folder: Path) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = folder / self.path.partition("?")[0].removeprefix("/bare.git/")
            found = path.is_file()
            self.send_response(200 if found else 404)
            self.end_headers()
            if found:
                self.wfile.write(path.read_bytes())

        def log_message(self, *_: object) -> None:
            pass

    return Handler


class Downloading(Stage):
    """A `path` parameter whose server takes its time."""

    recorded = False

    def __init__(self, folder: ProjFolder) -> None:
        super().__init__(folder)
        self._released = threading.Event()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{self._server.server_address[1]}/data.txt"
        project = echo_project("cat {data}").replace(
            "main:\n", f"main:\n    parameters: {{data: {{type: path, default: '{url}'}}}}\n"
        )
        folder.write({"MLproject": project})

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        stage = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with contextlib.suppress(OSError):  # whoever asked is gone
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write(b"1.")
                    self.wfile.flush()
                    stage.arrived.touch()
                    stage._released.wait(LIMIT_S)
                    self.wfile.write(b"0\n")

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def go_on(self) -> None:
        super().go_on()
        self._released.set()

    def close(self) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()


class Resolving(Stage):
    """A package index that takes its time to answer."""

    def __init__(self, folder: ProjFolder) -> None:
        super().__init__(folder)
        self._released = threading.Event()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        index = f"http://127.0.0.1:{self._server.server_address[1]}/simple/"
        environment = (
            f'build_dependencies: ["tiny"]\ndependencies: ["--index-url {index}", "tiny", "setuptools"]\n'
        )
        folder.write({"MLproject": ENV_PROJECT, "python_env.yaml": environment})

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        stage = self
        wheels = {f"{name}-{version}-py3-none-any.whl": wheel(name, version)
                  for name, version in (("tiny", "1.0"), ("setuptools", "80.0"))}  # fmt: skip

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stage.arrived.touch()
                stage._released.wait(LIMIT_S)
                name = self.path.strip("/").split("/")[-1]
                links = [file for file in wheels if file.startswith(f"{name}-")]
                content = (
                    wheels.get(name)
                    or "".join(f'<a href="/files/{file}">{file}</a>\n' for file in links).encode()
                )
                with contextlib.suppress(OSError):  # whoever asked is gone
                    self.send_response(200 if content else 404)
                    kind = "application/octet-stream" if name in wheels else "text/html"
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def go_on(self) -> None:
        super().go_on()
        self._released.set()

    def close(self) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()


_PYPROJECT = b"""
[build-system]
requires = []
build-backend = "late_build"
backend-path = ["."]

[project]
name = "late"
version = "1.0"
"""
_BACKEND = """
import base64, hashlib, os, time, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    if os.path.exists({slow!r}):
        open({arrived!r}, "w").close()
        time.sleep(60)
    name = "late-1.0-py3-none-any.whl"
    with open("built.whl", "rb") as source, open(os.path.join(folder, name), "wb") as target:
        target.write(source.read())
    return name
"""


class Building(Stage):
    """A package that takes its time to be built."""

    def __init__(self, folder: ProjFolder) -> None:
        super().__init__(folder)
        folder.write({"MLproject": ENV_PROJECT} | local_environment("late"))
        files = {
            "PKG-INFO": b"Metadata-Version: 2.2\nName: late\nVersion: 1.0\n",
            "pyproject.toml": _PYPROJECT,
            "late_build.py": _BACKEND.format(slow=str(self.slow), arrived=str(self.arrived)).encode(),
            "built.whl": wheel("late", "1.0"),
        }
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as archive:
            for name, data in files.items():
                member = tarfile.TarInfo(f"late-1.0/{name}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        folder.write({"wheels/late-1.0.tar.gz": gzip.compress(content.getvalue())})


class Running(Stage):
    """A command that takes its time, and has a helper that has left its group and session."""

    def __init__(self, folder: ProjFolder) -> None:
        super().__init__(folder)
        command = f"[ ! -e {self.slow} ] || {{ setsid sleep 60 & touch {self.arrived}; sleep 60; }}; echo 1.0"
        folder.write({"MLproject": echo_project(command)})


class Storing(Stage):
    """A record that another process has locked when the command has ended."""

    def __init__(self, folder: ProjFolder) -> None:
        super().__init__(folder)
        waiting = "touch started; while [ -e started ]; do sleep 0.02; done"
        command = f"[ ! -e {self.slow} ] || {{ {waiting}; }}; echo 1.0"
        folder.write({"MLproject": echo_project(command)})
        self._lock: sqlite3.Connection | None = None

    def is_there(self) -> bool:
        started = self.folder.path / "started"
        if self._lock is None:
            if not started.exists():
                return False
            self._lock = sqlite3.connect(self.folder.home / "proj.db", isolation_level=None)
            self._lock.execute("BEGIN IMMEDIATE")
            started.unlink()
        return bool(list(self.folder.home.glob("artifacts/**/outcome.json")))

    def go_on(self) -> None:
        super().go_on()
        if self._lock is not None:
            self._lock.close()

    def close(self) -> None:
        if self._lock is not None:
            self._lock.close()


STAGES: dict[str, type[Stage]] = {
    "cloning": Cloning,
    "downloading": Downloading,
    "resolving": Resolving,
    "building": Building,
    "running": Running,
    "storing": Storing,
}
QUICK = {
    ("INT", "cloning"),
    ("TERM", "resolving"),
    ("HUP", "building"),
    ("KILL", "running"),
    ("INT", "storing"),
}


@contextlib.contextmanager
def stopped_at(name: str, folder: ProjFolder, *argv: str) -> Iterator[tuple[Stage, Started]]:
    """Start a run, and wait until it has come to a stage."""
    stage = STAGES[name](folder)
    try:
        started = folder.start("run", stage.uri, *argv, env=stage.variables)
        eventually(lambda: stage.is_there() or started.process.poll() is not None, says=name)
        assert started.process.poll() is None, started.finish()
        yield stage, started
    finally:
        stage.close()


def descendants(pid: int) -> dict[int, str]:
    """All processes that a process started: pid -> start time."""
    found: dict[int, str] = {}
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            with contextlib.suppress(OSError):
                found[child] = _start_time(child)
                found |= descendants(child)
    return found


def _start_time(pid: int) -> str:
    """Of a live process; a zombie counts as gone."""
    fields = re.sub(r"^.*\) ", "", Path(f"/proc/{pid}/stat").read_text()).split()
    return "" if fields[0] == "Z" else fields[19]


def _alive(processes: dict[int, str]) -> list[int]:
    left = []
    for pid, started in processes.items():
        with contextlib.suppress(OSError):
            left += [pid] if _start_time(pid) == started else []
    return left


def cases() -> Iterator[object]:
    for name, stage in itertools.product(SIGNALS, STAGES):
        marks = () if (name, stage) in QUICK else (pytest.mark.faults,)
        yield pytest.param(name, stage, marks=marks, id=f"{name}-{stage}")


@pytest.mark.parametrize(("name", "at"), list(cases()))
def test_a_run_that_is_stopped(folder: ProjFolder, name: str, at: str) -> None:
    signum = SIGNALS[name]
    with stopped_at(at, folder) as (stage, started):
        family = descendants(started.process.pid)
        assert family or at == "downloading"
        started.signal(signum)
        if at == "storing" and name != "KILL":
            stage.go_on()  # what is being stored is stored to its end
        result = started.finish()
        eventually(lambda: not _alive(family), says=f"the end of {_alive(family)}")
        eventually(lambda: not folder.processes(), says=f"the end of {folder.processes()}")
        if stage.slow.exists():
            stage.go_on()
        assert "Traceback" not in result.stderr, result
        assert result.code == (-signal.SIGKILL if name == "KILL" else 128 + signum), result
        if name != "KILL":
            assert f"SIG{name}" in result.stderr, result
            folder.clean()
            check_record(folder, stage, at, name)
        again = folder.process("run", stage.uri, env=stage.variables)
        assert (again.code, again.stdout) == (0, "1.0\n"), again
        folder.clean()
        check_record(folder, stage, at, name)


def check_record(folder: ProjFolder, stage: Stage, at: str, name: str) -> None:
    """See that the first run is recorded as it was."""
    runs = folder.runs()
    if not stage.recorded:
        assert len(runs) <= 1
        return
    run = runs[-1]
    outcome = folder.outcome(run)
    assert outcome.status is run.status
    if at == "storing":
        assert (outcome.status, outcome.exit_code) == ("FINISHED", 0)
    elif name == "KILL":
        assert (outcome.status, outcome.failure) == ("KILLED", "lost")
        assert run.tags[record.TAG_FAILURE] == "lost"
    else:
        assert (outcome.status, outcome.failure, outcome.signal) == ("KILLED", "cancelled", f"SIG{name}")
        assert run.tags[record.TAG_SIGNAL] == f"SIG{name}"


@pytest.mark.faults
def test_a_kill_while_outputs_are_copied_leaves_no_part_of_them(folder: ProjFolder) -> None:
    outputs = "proj: {outputs: [big]}\n"
    folder.write({"MLproject": outputs + echo_project("truncate -s ${SIZE:-1} big; echo 1.0")})
    started = folder.start("run", ".", env={"SIZE": "8G"})
    eventually(lambda: list(folder.home.rglob(".proj-partial-*")))
    started.signal(signal.SIGKILL)
    started.finish()
    assert folder.process("run", ".").code == 0
    folder.clean()
    assert [run.status.value for run in folder.runs()] == ["FINISHED", "KILLED"]


def test_more_interrupts_are_more_insistent(folder: ProjFolder) -> None:
    command = "trap 'touch int' INT; trap 'touch term' TERM; touch there; while :; do sleep 0.02; done"
    folder.write({"MLproject": echo_project(command)})
    started = folder.start("run", ".", "--grace", "60s")
    for file in ("there", "int", "term"):
        eventually((folder.path / file).exists, says=file)
        started.signal(signal.SIGINT)
    result = started.finish()
    assert result.code == 130, result
    folder.clean()
    outcome = folder.outcome(folder.the_run())
    assert (outcome.status, outcome.failure, outcome.signal) == ("KILLED", "cancelled", "SIGINT")
    assert "killed" in (outcome.message or "")


@pytest.mark.parametrize("signum", [signal.SIGSEGV, signal.SIGKILL, signal.SIGTERM])
def test_a_command_that_dies_of_a_signal_says_so(folder: ProjFolder, signum: signal.Signals) -> None:
    folder.write({"MLproject": echo_project(f"ulimit -c 0; kill -{signum.value} $$")})
    result = folder.run("run", ".")
    assert result.code == 128 + signum
    outcome = folder.outcome(folder.the_run())
    assert (outcome.status, outcome.failure, outcome.signal) == ("FAILED", "signal", signum.name)
    assert signum.name in result.stderr
    folder.clean()


def test_a_time_limit(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project("sleep 60")})
    result = folder.run("run", ".", "--timeout", "0.2s")
    assert result.code == 124
    assert folder.outcome(folder.the_run()).failure == "deadline"
    assert folder.the_run().status.value == "FAILED"
    folder.clean()


MOMENTS = 30
MOMENT_S = 0.015


@pytest.mark.faults
@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_at_any_moment(folder: ProjFolder, name: str) -> None:
    """From the start to the end of the process: the record is true and closed, and nobody is left."""
    signum = SIGNALS[name]
    folder.write({"MLproject": echo_project("sleep 0.05; echo 1.0")})
    codes = set()
    for moment in itertools.count():
        if moment >= MOMENTS and 0 in codes:  # a busy machine takes longer to come to an end by itself
            break
        started = folder.start("run", ".", "--env-manager", "local")
        time.sleep(moment * MOMENT_S)
        if started.process.poll() is None:
            started.signal(signum)
        result = started.finish()
        codes.add(result.code)
        # Before our handlers are there and after they are gone, a signal has its usual effect.
        if result.code != -signum and "KeyboardInterrupt" not in result.stderr:
            assert "Traceback" not in result.stderr, result
            assert result.code in (0, 128 + signum), result
        eventually(lambda: not folder.processes(), says=f"the end of {folder.processes()}")
        if name != "KILL" and result.code != -signum:
            assert not folder.under_way(), result
    assert folder.run("run", ".").code == 0
    folder.clean()
    for run in folder.runs():
        outcome = folder.outcome(run)
        assert outcome.status is run.status
        if outcome.status == "FINISHED":
            assert outcome.exit_code == 0
        else:
            assert (outcome.status, outcome.failure) == ("KILLED", "lost" if name == "KILL" else "cancelled")
    assert {0, -signum if name == "KILL" else 128 + signum} <= codes
