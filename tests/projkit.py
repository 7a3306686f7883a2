"""A project in a temporary folder, run as people run it; loaded as a pytest plugin by `conftest`.

`folder.run("run", ".")` calls the command line within this process, which is quick and enough wherever
neither signals nor terminals nor the end of the process matter. `folder.start` starts the program.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
import subprocess  # noqa: TID251  what the tests start must not be looked after by what they test
import sys
import time
import uuid
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from proj import cli, record, source
from proj.cli import output
from proj.tracking import open_tracking
from proj.tracking.store import RunQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from proj.model import Outcome, RunRecord
    from proj.tracking import Tracking

LIMIT_S = 110.0
"""How long a test waits for what has to happen; nothing is measured by it."""

PROJ = str(Path(sys.executable).with_name("proj"))
"""The program, as it was installed."""

_ECHO = "name: demo\nentry_points:\n  main:\n    command: {command}\n"


def echo_project(command: str) -> str:
    """An MLproject with one command and no environment."""
    return _ECHO.format(command=json.dumps(command))


def wheel(name: str, version: str, *, padding_bytes: int = 0) -> bytes:
    """A package of one module that holds its version."""
    content = io.BytesIO()
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"version = {version!r}\n".encode() + b"#" * padding_bytes,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(content, "w") as archive:
        lines = []
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path), data)  # without the time: the same is the same bytes
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            lines.append(f"{path},sha256={digest},{len(data)}\n")
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD"), "".join([*lines, f"{info}/RECORD,,\n"]))
    return content.getvalue()


def local_environment(*requirements: str, **options: str) -> dict[str, str | bytes]:
    """A project's python_env that takes its packages from the project's folder `wheels`.

    Args:
        requirements: Besides `tiny`, which is there.
        options: Further keys of the file.
    """
    wanted = ["--no-index", "--find-links ./wheels", "tiny", *requirements]
    lines = {"build_dependencies": '["tiny"]', "dependencies": json.dumps(wanted), **options}
    return {
        "python_env.yaml": "".join(f"{key}: {value}\n" for key, value in lines.items()),
        "wheels/tiny-1.0-py3-none-any.whl": wheel("tiny", "1.0"),
        # Every environment below Python 3.12 gets one.
        "wheels/setuptools-80.0-py3-none-any.whl": wheel("setuptools", "80.0"),
    }


def git(folder: Path, *argv: str) -> str:
    """Call git as a user does."""
    done = subprocess.run(["git", *argv], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def bare_repository(folder: ProjFolder, files: Mapping[str, str | bytes]) -> tuple[str, str]:
    """Make a bare repository; returns its URL and the commit."""
    made = folder.base / "made"
    write(made, files)
    git(made, "init", "-q", "-b", "main")
    git(made, "add", ".")
    git(made, "commit", "-q", "-m", "first")
    git(folder.base, "clone", "-q", "--bare", str(made), "bare.git")
    return (folder.base / "bare.git").as_uri(), git(made, "rev-parse", "HEAD")


def write(base: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files below a folder."""
    for name, content in files.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def eventually(what: Callable[[], object], *, says: str = "") -> None:
    """Wait until `what` is true."""
    deadline = time.monotonic() + LIMIT_S
    while not what():
        assert time.monotonic() < deadline, f"never happened: {says or what}"
        time.sleep(0.01)


class Result:
    """How a command ended."""

    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def stdout(self) -> str:
        return self.out.decode("utf-8", "backslashreplace")

    @property
    def stderr(self) -> str:
        return self.err.decode("utf-8", "backslashreplace")

    @property
    def json(self) -> dict[str, Any]:
        """The whole envelope."""
        value: dict[str, Any] = json.loads(self.out)
        return value

    @property
    def lines(self) -> list[str]:
        """The lines that proj itself wrote: `===` lines, errors, hints, notes."""
        marks = ("===", "proj:", "hint:", "note:", "warning:")
        return [line for line in self.stderr.splitlines() if line.startswith(marks)]

    def __repr__(self) -> str:
        return f"exit code {self.code}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"


class Started:
    """A command that runs as a process of its own."""

    def __init__(self, argv: list[str], *, cwd: Path, env: Mapping[str, str], log: Path) -> None:
        self._out, self._err = log.with_suffix(".out"), log.with_suffix(".err")
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                start_new_session=True,
            )  # fmt: skip

    @property
    def stderr(self) -> str:
        """What it wrote up to now."""
        return self._err.read_text("utf-8", "backslashreplace")

    @property
    def stdout(self) -> str:
        """What it wrote up to now."""
        return self._out.read_text("utf-8", "backslashreplace")

    def signal(self, signum: int) -> None:
        self.process.send_signal(signum)

    def finish(self) -> Result:
        """Wait for its end."""
        code = self.process.wait(LIMIT_S)
        return Result(code, self._out.read_bytes(), self._err.read_bytes())

    def kill(self) -> None:
        """End it without ceremony, if it has not ended."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class ProjFolder:
    """A project, with a home and caches of its own.

    Args:
        base: A folder that belongs to the test.
        monkeypatch: To stand in the project's folder.
        capture: Of the file descriptors.
    """

    def __init__(
        self, base: Path, monkeypatch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[bytes]
    ) -> None:
        self.base = base
        self.path = base / "project"
        self.home = Path(os.environ["PROJ_HOME"])
        self.cache = Path(os.environ["PROJ_CACHE"])
        self.mark = f"PROJ_TEST_MARK={uuid.uuid4().hex}"
        """In the variables of every process that was started by `start`, and of all that those start."""
        self.path.mkdir()
        monkeypatch.chdir(self.path)
        self._capture = capture
        self._started: list[Started] = []

    def write(self, files: Mapping[str, str | bytes]) -> ProjFolder:
        """Write files, their paths relative to the project."""
        write(self.path, files)
        return self

    def run(self, *argv: str) -> Result:
        """Call the command line in this process."""
        self._capture.readouterr()
        output._state.as_json = False
        output._state.command = ""
        code = cli.invoke(argv)
        out, err = self._capture.readouterr()
        return Result(code, out, err)

    def environment(self, changes: Mapping[str, str | None] | None = None) -> dict[str, str]:
        """The variables for programs that the test starts by itself; None removes one."""
        name, _, value = self.mark.partition("=")
        merged = {**os.environ, name: value, **(changes or {})}
        return {name: value for name, value in merged.items() if value is not None}

    def start(
        self, *argv: str, cwd: Path | None = None, env: Mapping[str, str | None] | None = None
    ) -> Started:
        """Start the program."""
        started = Started(
            [PROJ, *argv],
            cwd=cwd or self.path,
            env=self.environment(env),
            log=self.base / f"started-{len(self._started)}",
        )
        self._started.append(started)
        return started

    def process(
        self, *argv: str, cwd: Path | None = None, env: Mapping[str, str | None] | None = None
    ) -> Result:
        """Start the program and wait for its end."""
        return self.start(*argv, cwd=cwd, env=env).finish()

    def close(self) -> None:
        """End whatever the test left."""
        for started in self._started:
            started.kill()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)

    # --- the record -----------------------------------------------------------------------------------

    def tracking(self) -> Tracking:
        return open_tracking(self.home)

    def runs(self) -> tuple[RunRecord, ...]:
        """All runs, newest first; none where there is no store."""
        if not (self.home / "proj.db").exists():
            return ()
        with self.tracking() as tracking:
            return tracking.runs.search_runs(RunQuery(lifecycle="all")).runs

    def the_run(self) -> RunRecord:
        (run,) = self.runs()
        return run

    def artifact(self, run: RunRecord, path: str) -> bytes:
        with self.tracking() as tracking, tracking.artifacts.open(run.artifact_uri, path) as file:
            return file.read()

    def outcome(self, run: RunRecord) -> Outcome:
        return record.read_outcome(self.artifact(run, record.OUTCOME)).outcome

    def under_way(self) -> bool:
        """Whether a run is recorded as under way."""
        return any(not run.status.finished for run in self.runs())

    # --- what must not be left behind -----------------------------------------------------------------

    def processes(self) -> dict[int, str]:
        """Processes of `start`, and all that those started: pid -> command line."""
        found = {}
        for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))):  # noqa: PTH208  names
            with contextlib.suppress(OSError):
                folder = Path(f"/proc/{pid}")
                if self.mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found[pid] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def leftovers(self) -> list[str]:
        """Files and folders that nobody needs any more, and claims of runs that have ended."""
        found: list[Path] = [*_entries(self.home / "active")]
        for name in ("checkouts", "downloads", "work"):
            found += _entries(self.cache / name)
        for entry in _entries(self.cache / "environments"):
            complete = (entry / "complete").exists()
            found += [path for path in _entries(entry) if path.is_dir() and not complete]
        found += self.home.rglob(".proj-partial-*")
        found += [path for path in _entries(self.cache / "repos") if path.name.startswith(".")]
        return sorted({str(path) for path in found})

    def clean(self) -> ProjFolder:
        """See that nothing is left behind: no process, no temporary file, no run that is under way."""
        eventually(lambda: not self.processes(), says=f"the end of {self.processes()}")
        assert self.leftovers() == []
        assert not self.under_way(), self.runs()
        return self


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


@pytest.fixture
def folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Iterator[ProjFolder]:
    """An empty project."""
    made = ProjFolder(tmp_path, monkeypatch, capfdbinary)
    yield made
    made.close()
    source.prune_checkouts()
