"""Calling uv: the default resolver and installer."""

from __future__ import annotations

import contextlib
import contextvars
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from proj import events, paths
from proj.environments.indexes import tool_variables
from proj.environments.variables import hide
from proj.process import redact, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from proj.process import Completed

_WORTH_TELLING = re.compile(
    r"^\s*(Building|Built|Downloading|Downloaded|Updating|Resolved|Prepared|Installed)\b"
)


def uv_binary() -> str:
    """Path of the uv program: the one that was installed with this package, else the one on PATH.

    Returns:
        The path, or the bare name where none was found: starting it then fails with a clear message.
    """
    beside = Path(sys.executable).parent / "uv"
    if os.access(beside, os.X_OK):
        return str(beside)
    with contextlib.suppress(ImportError, FileNotFoundError):
        import uv

        return str(uv.find_uv_bin())
    return "uv"


@contextlib.contextmanager
def work_folder() -> Iterator[Path]:
    """A private folder to run uv in, gone afterwards.

    Its empty `uv.toml` ends uv's search for a project's settings in the folders above. Folders whose process
    was killed are removed on the way: nobody holds their lock.
    """
    import fcntl
    import shutil
    import tempfile

    base = paths.cache() / "work"
    base.mkdir(parents=True, exist_ok=True)
    with _locked(base, fcntl.LOCK_EX):
        _remove_abandoned(base)
        folder = Path(tempfile.mkdtemp(dir=base))
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        (folder / "uv.toml").touch()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _remove_abandoned(base: Path) -> None:
    import fcntl
    import shutil

    for folder in base.iterdir():
        with contextlib.suppress(OSError), _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path, mode: int) -> Iterator[None]:
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, mode)
        yield
    finally:
        os.close(descriptor)


def is_offline(offline: bool) -> bool:
    """Whether uv may not use the network: as asked for, or by the user's `UV_OFFLINE`."""
    return offline or os.environ.get("UV_OFFLINE", "").lower() in ("1", "true", "yes", "on")


def call_uv(
    arguments: list[str],
    *,
    cwd: Path,
    variables: Mapping[str, str | None] | None = None,
    stdin: str | None = None,
    offline: bool = False,
    timeout_s: float | None = None,
    hidden: Mapping[str, str] | None = None,
) -> Completed:
    """Run uv to its end, without raising for a failure; its progress becomes events.

    Args:
        arguments: Behind `uv`.
        cwd: Folder whose uv settings count.
        variables: Instead of `tool_variables()`.
        stdin: Text for its standard input.
        offline: Use only what uv has cached.
        timeout_s: Stop it after this many seconds.
        hidden: See `proj.environments.variables.hide`.

    Raises:
        ToolMissingError: There is no uv.
        ToolFailedError: It took too long.
    """
    argv = [uv_binary(), *arguments, *(["--offline"] if offline else [])]
    return run(
        argv,
        cwd=cwd,
        env=tool_variables() if variables is None else variables,
        stdin=stdin,
        timeout_s=timeout_s,
        on_stderr=progress_listener(_WORTH_TELLING, hidden or {}),
        check=False,
    )


def progress_listener(worth_telling: re.Pattern[str], hidden: Mapping[str, str]) -> Callable[[str], None]:
    """A callback for a tool's lines, in whatever thread, that reports the matching ones as progress."""
    context = contextvars.copy_context()

    def tell(line: str) -> None:
        if worth_telling.match(line):
            context.run(events.progress, redact(hide(line.strip(), hidden)))

    return tell
