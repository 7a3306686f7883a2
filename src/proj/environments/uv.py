"""Calling uv: the default resolver and installer."""

from __future__ import annotations

import contextvars
import os
import re
from typing import TYPE_CHECKING

from proj import events
from proj.environments.indexes import tool_variables
from proj.environments.variables import hide
from proj.installer import uv_binary, work_folder
from proj.process import redact, run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from proj.process import Completed

__all__ = ["call_uv", "is_offline", "progress_listener", "uv_binary", "work_folder"]

_WORTH_TELLING = re.compile(
    r"^\s*(Building|Built|Downloading|Downloaded|Updating|Resolved|Prepared|Installed)\b"
)


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
