"""Stock mlflow clients and servers, each in a virtualenv of its own; loaded as a pytest plugin by `conftest`.

`tests/clients/<name>.txt` says what is in one: packages, and in its first line the Python and the day as of
which the packages are chosen. They are made once and kept in the user's cache folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import subprocess  # noqa: TID251  servers that tests start must not be looked after by what they test
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
import pytest
from uv import find_uv_bin

from ports import own_port
from proj import process
from proj.environments.interpreters import find_interpreters
from proj.errors import ProjError
from projkit import PROJ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FOLDER = Path(__file__).with_name("clients")
CLIENTS = ("mlflow-1.25", "mlflow-2.9", "mlflow-2.22", "mlflow-3.17")
"""Oldest first."""
NEWEST = CLIENTS[-1]

_START_S = 120.0
_HEADER = re.compile(r"# python (\S+), as of (\S+)")
_UNWANTED = {"PYTHONPATH": None, "UV_OFFLINE": None, "PIP_NO_INDEX": None, "VIRTUAL_ENV": None}
QUIET = {
    **_UNWANTED,
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "PYTHONWARNINGS": "ignore",
    "SETUPTOOLS_USE_DISTUTILS": "stdlib",  # or what is imported first decides whether 2.9 can be imported
}
"""Variable -> value for all that runs mlflow; None removes it."""


@pytest.fixture(scope="session")
def client() -> Callable[[str], Path]:
    """The Python of a stock client by its name in `CLIENTS`; skips where it cannot be made."""
    return _client


def _client(name: str) -> Path:
    requirements = FOLDER / f"{name}.txt"
    text = requirements.read_text(encoding="utf-8")
    header = _HEADER.match(text)
    assert header is not None, f"{requirements} does not say which Python"
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    folder = Path(platformdirs.user_cache_dir("proj-tests")) / f"{name}-{digest}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            _make(folder, requirements, python=header[1], as_of=header[2])
    return folder / "bin" / "python"


def _make(folder: Path, requirements: Path, *, python: str, as_of: str) -> None:
    uv, inside = find_uv_bin(), str(folder / "bin" / "python")
    found = [each.path for each in find_interpreters() if each.version_text.startswith(f"{python}.")]
    install = [uv, "pip", "install", "--python", inside, "--exclude-newer", as_of, "-r", str(requirements)]
    try:
        process.run(
            [uv, "venv", "--clear", "--no-project", "--python", *(found[:1] or [python]), str(folder)],
            env=_UNWANTED,
        )
        process.run(install, env=_UNWANTED)
    except ProjError as error:
        pytest.skip(f"{folder.name} cannot be made: {error} {' '.join(error.details[-3:])}")
    (folder / "complete").touch()


@contextlib.contextmanager
def mlflow_server(python: Path, folder: Path) -> Iterator[str]:
    """Run mlflow's own server over SQLite, artifacts through it; yields its URL."""
    folder.mkdir()
    port = own_port()
    argv = [str(python.with_name("mlflow")), "server", "--host", "127.0.0.1", "--port", str(port)]
    argv += ["--workers", "1"]
    argv += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    argv += ["--artifacts-destination", str(folder / "artifacts")]
    if "mlflow-1." in str(python):
        argv += ["--serve-artifacts", "--default-artifact-root", "mlflow-artifacts:/"]
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    with _served(argv, port, folder, {**QUIET, "PATH": path}) as url:
        yield url


@contextlib.contextmanager
def proj_server(folder: Path) -> Iterator[str]:
    """Run `proj server` over the records in the folder's `home`, new ones if need be; yields its URL."""
    folder.mkdir(exist_ok=True)
    port = own_port()
    argv = [PROJ, "server", "--port", str(port)]
    with _served(argv, port, folder, {"PROJ_HOME": str(folder / "home")}) as url:
        yield url


@contextlib.contextmanager
def _served(argv: list[str], port: int, folder: Path, variables: dict[str, str | None]) -> Iterator[str]:
    env = {key: value for key, value in {**os.environ, **variables}.items() if value is not None}
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            argv,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _await(url, server, log)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, 15)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, 9)
            server.wait()


def _await(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        said = log.read_text(errors="replace")
        assert server.poll() is None, said
        assert time.monotonic() < deadline, said
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(f"{url}/health", timeout=5).close()  # noqa: S310  our own server
            return
        time.sleep(0.1)
