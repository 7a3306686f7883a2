"""Asking rattler, which lives in a process of its own (see `worker`), and saying what its answers mean."""

from __future__ import annotations

import contextlib
import contextvars
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from proj import events, files, paths
from proj.environments.conda.messages import Answer, Failed, Network
from proj.environments.conda.urls import without_login
from proj.errors import EnvironmentFailedError
from proj.process import redact, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from proj.environments.conda.messages import Task

T = TypeVar("T")

INSTALL_HINT = "`pip install 'proj[conda]'` brings what solves and installs them; nothing else is needed"
_MACHINES = {"x86_64": "64", "amd64": "64", "aarch64": "aarch64", "arm64": "arm64", "ppc64le": "ppc64le"}
_SYSTEMS = {"linux": "linux", "darwin": "osx", "win32": "win"}


def is_installed() -> bool:
    """Whether rattler is here; does not import it."""
    return importlib.util.find_spec("rattler") is not None


def current_platform() -> str:
    """The name that conda has for this machine, such as `linux-64`."""
    machine = os.uname().machine.lower()
    return f"{_SYSTEMS.get(sys.platform, sys.platform)}-{_MACHINES.get(machine, machine)}"


def cache_folder() -> Path:
    """Where repodata and packages are kept."""
    return paths.cache() / "conda"


def lock_file() -> Path:
    """What is locked, shared, while the cache of packages is used; exclusively while some are removed."""
    return cache_folder() / "lock"


@contextlib.contextmanager
def kept_here() -> Iterator[None]:
    """Keep what is cached of channels and packages from being removed while the block uses it.

    Raises:
        EnvironmentFailedError: The cache cannot be written.
    """
    try:
        descriptor = files.lock(lock_file(), shared=True)
    except OSError as error:
        from proj.environments.cache import unwritable

        raise unwritable(cache_folder(), error) from error
    try:
        yield
    finally:
        os.close(descriptor)


def network(mirrors: Mapping[str, tuple[str, ...]], *, offline: bool, verify_tls: bool) -> Network:
    """How channels are spoken to from here.

    Args:
        mirrors: Channel's URL -> URLs to ask instead, which may hold tokens and passwords.
        offline: Whether only what is in the cache counts.
        verify_tls: Whether certificates are checked.
    """
    logins = dict(without_login(url) for urls in mirrors.values() for url in urls)
    return Network(
        cache=str(cache_folder()),
        mirrors={
            url: others
            for url, urls in mirrors.items()
            if (others := tuple(without_login(each)[0] for each in urls)) != (url,)
        },
        logins={url: login for url, login in logins.items() if login},
        offline=offline, verify_tls=verify_tls,
    )  # fmt: skip


def ask(
    task: Task,
    expected: type[T],
    *,
    what: str,
    hints: Callable[[Failed], str | None],
    secrets: Iterable[str],
    variables: Mapping[str, str] | None = None,
) -> T:
    """Have a task done.

    Args:
        task: The task.
        expected: What its answer is, if all goes well.
        what: What is being done, on what, for the error: "Cannot solve conda.yaml for linux-64".
        hints: What to do next about a failure; None: the answer's own hint.
        secrets: What must not be seen in an error.
        variables: What to add to the environment; see `Settings.variables`.

    Raises:
        EnvironmentFailedError: It cannot be done.
    """
    if not is_installed():
        raise EnvironmentFailedError(f"{what}: rattler is not installed.", hint=f"{INSTALL_HINT}.")
    folder = cache_folder()
    known = tuple(secrets)
    context = contextvars.copy_context()

    def listen(line: str) -> None:
        if line.startswith(("Linking ", "Downloading ")):
            context.run(events.progress, redact(line, known))

    with kept_here():
        completed = run(
            [sys.executable, "-m", "proj.environments.conda.worker"],
            # Not the project's folder: its modules are not to be taken for ours.
            cwd=folder,
            env={"RUST_LOG": "off", "RUST_BACKTRACE": "0", "PYTHONPATH": _own_path(), **(variables or {})},
            stdin=msgspec.json.encode(task), on_stderr=listen, check=False,
        )  # fmt: skip
    try:
        answer: Answer = msgspec.json.decode(completed.stdout, type=Answer)
    except msgspec.DecodeError as error:
        said = redact(completed.stderr, known).splitlines()
        ending = (
            f"signal {-completed.returncode}"
            if completed.returncode < 0
            else f"exit code {completed.returncode}"
        )
        raise EnvironmentFailedError(
            f"{what}: the solver's process ended with {ending}.",
            hint="Signal 9 often means that memory ran out. Nothing half-built is kept: try again.",
            details=tuple(said[-8:]),
        ) from error
    if isinstance(answer, expected):
        return answer
    assert isinstance(answer, Failed)  # noqa: S101  every other answer is the one that was asked for
    raise EnvironmentFailedError(
        redact(f"{what}. {answer.message}", known),
        hint=redact(hints(answer) or answer.hint or "", known) or None,
        details=tuple(redact(line, known) for line in answer.lines),
    )


def _own_path() -> str | None:
    """`PYTHONPATH` with absolute entries only: a relative one would mean another folder there."""
    entries = [
        entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if Path(entry).is_absolute()
    ]
    return os.pathsep.join(entries) or None
