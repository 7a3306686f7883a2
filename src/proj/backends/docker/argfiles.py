"""Files that arguments of `docker run` name: of variables, and of what a program may ask of the kernel."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Final

PROFILES: Final = ("unconfined", "builtin")
"""What a seccomp profile is called that is no file."""


def read_named(name: str, value: str) -> object:
    """What the file holds that an argument names, as the container gets it; None: it names none.

    Args:
        name: The argument's, without dashes.
        value: Its value.

    Raises:
        ValueError: The file cannot be read or understood.
    """
    if name == "env-file":
        return read_variables(value)
    profile = profile_path(name, value)
    return read_profile(profile) if profile is not None else None


def profile_path(name: str, value: str) -> str | None:
    """The file of a seccomp profile that an argument names; None: it names none."""
    setting, _, content = value.partition("=" if "=" in value else ":")
    is_file = name == "security-opt" and setting == "seccomp" and content not in ("", *PROFILES)
    return content if is_file else None


def read_variables(path: str) -> list[str]:
    """`NAME=VALUE` of a file, as docker reads it: NAME alone is copied from here; nothing is unquoted.

    Lines end at a line feed alone: a value may hold whatever else Unicode takes for the end of a line.

    Raises:
        ValueError: It cannot be read, or a line is no variable.
    """
    try:
        lines = _read(path).split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"it cannot be read: {getattr(error, 'strerror', None) or error}") from error
    found = []
    for written in lines:
        line = written.removesuffix("\r").lstrip(" \t")
        name, given, _ = line.partition("=")
        if not line or line.startswith("#"):
            continue
        if not name or re.search(r"\s", name):
            raise ValueError("it has a line that is no NAME=VALUE")
        if given or name in os.environ:
            found.append(line if given else f"{name}={os.environ[name]}")
    return found


def read_profile(path: str) -> str:
    """The text of a seccomp profile.

    Raises:
        ValueError: It cannot be read.
    """
    try:
        return _read(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the profile cannot be read: {error}") from error


def _read(path: str) -> str:
    """The text of a file, without the mark of its encoding.

    Raises:
        ValueError: It is a pipe or a device, which gives something else, or nothing, the second time.
        OSError: It cannot be read.
        UnicodeDecodeError: It is no UTF-8.
    """
    place = Path(path)
    if not stat.S_ISREG(mode := place.stat().st_mode) and not stat.S_ISDIR(mode):
        raise ValueError("it is no regular file, and is read more than once: write a file first")
    return place.read_bytes().decode("utf-8-sig")
