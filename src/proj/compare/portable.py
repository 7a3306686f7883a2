"""Texts of a run as they would be elsewhere: what a run's machine calls its folders is named."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from proj.model import ParameterKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.record import CommandRecord

_SAFE = r"[A-Za-z0-9_@%+=:,./-]*"
"""What needs no quotes in a shell."""
_ENDS = r"(?![\w-]|\.\w)"
"""A folder's name ends here: `/a/b` is no part of `/a/b2`."""


def written(value: str) -> Iterator[str]:
    """All that a value may be in a shell line, what is in quotes first; the last is the bare value."""
    yield from dict.fromkeys("'" + inner + "'" for inner in _in_quotes(value))
    escaped = re.sub(r'[$`"\\]', r"\\\g<0>", value)
    yield from dict.fromkeys((escaped, value))


def _in_quotes(value: str) -> tuple[str, str]:
    return value.replace("'", "'\"'\"'"), value.replace("'", r"'\''")


def portable_line(command: CommandRecord, subdir: str = "") -> str:
    """The line with `{name}` for paths of parameters, and `.` for the folder that it runs in.

    Args:
        command: What ran.
        subdir: Of the project in its checkout.
    """
    line = command.line
    moved = [
        each
        for each in command.parameters
        if (each.kind is ParameterKind.PATH or each.value != each.given) and len(each.value) > 1
    ]
    for each in sorted(moved, key=lambda each: -len(each.value)):
        for text in written(each.value):
            line = line.replace(text, f"{{{each.name}}}")
    for folder, name in _folders(command.cwd, subdir):
        for inner in _in_quotes(folder):  # the quotes are there only for what the folder is called
            line = re.sub(rf"'{re.escape(inner)}((?:/{_SAFE})?)'", rf"{name}\1", line)
        for text in written(folder):
            line = re.sub(re.escape(text) + _ENDS, name, line)
    return line


def portable_value(value: str, command: CommandRecord, subdir: str = "") -> str:
    """The same for what a program logged, which quotes nothing."""
    paths = [
        (each.value, f"{{{each.name}}}")
        for each in command.parameters
        if each.kind is ParameterKind.PATH and each.value.startswith("/")
    ]
    paths.sort(key=lambda pair: -len(pair[0]))
    for path, name in (*paths, *_folders(command.cwd, subdir)):
        if len(path) > 1:
            value = re.sub(re.escape(path) + _ENDS, name.replace("\\", r"\\"), value)
    return value


def _folders(cwd: str, subdir: str) -> Iterator[tuple[str, str]]:
    """The folder that a command ran in, and that of the checkout around it."""
    if len(cwd) > 1:
        yield cwd, "."
    inside = subdir.strip("/")
    if inside and cwd.endswith(f"/{inside}") and len(top := cwd[: -len(inside) - 1]) > 1:
        yield top, "/".join([".."] * len(inside.split("/")))
