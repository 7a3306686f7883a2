"""A lock as installers need it, and the indexes that they ask: with all that is not written down in locks."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from proj.environments.indexes import restore_credentials, tool_variables
from proj.environments.lock import LOCK_NAME, absolute_paths
from proj.environments.requirements import read_text
from proj.environments.variables import expand_urls, expand_variables

if TYPE_CHECKING:
    from pathlib import Path

    from proj.environments.inputs import PythonInput
    from proj.environments.lock import Lock
    from proj.model import EnvironmentRequest


def installable(lock: Lock, project: PythonInput, request: EnvironmentRequest) -> str:
    """The lock as an installer needs it: with absolute paths, and with the secrets of its URLs."""
    text = expand_urls(absolute_paths(lock.text, request.project_dir))
    if request.packages is not None:
        text = _with_files(text, request.packages)
    own = ""
    if lock.shipped and project.shipped_lock is not None and project.shipped_lock.name == LOCK_NAME:
        own = expand_urls(read_text(project.shipped_lock))
    return restore_credentials(text, expand_variables(project.requirements.lines), shipped=own)


def _with_files(lock: str, folder: Path) -> str:
    """The lock with the files that are in a folder taken from there; their digests are checked."""
    from urllib.parse import unquote, urlsplit

    def here(match: re.Match[str]) -> str:
        name = unquote(urlsplit(match["place"]).path).rpartition("/")[2]
        return f'path = "{folder / name}"' if name and (folder / name).is_file() else match[0]

    return re.sub(r'\b(?:url|path) = "(?P<place>(?:[^"\\]|\\.)*)"', here, lock)


def index_variables(project: PythonInput) -> dict[str, str | None]:
    """Variables for the installer: the user's indexes, and the project's with their credentials."""
    variables = tool_variables()
    extra: list[str] = []
    for option in expand_variables(project.requirements.options):
        name, _, value = option.partition(" ")
        if name == "--index-url":
            variables["UV_DEFAULT_INDEX"] = value
        elif name == "--extra-index-url":
            extra.append(value)
    if extra:
        known = variables.get("UV_EXTRA_INDEX_URL") or os.environ.get("UV_EXTRA_INDEX_URL")
        variables["UV_EXTRA_INDEX_URL"] = " ".join([*extra, *([known] if known else [])])
    return variables
