"""What a command is given in a container: its values, and the inputs that have to be brought there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj.errors import UsageError
from proj.model import BoundParameter, Code, Mount, ParameterKind

if TYPE_CHECKING:
    from collections.abc import Iterable

INPUTS_DIR = "/mlflow/projects/inputs"
"""Where containers find files and folders that parameters name, and that are no part of the code."""


def working_directory(code: Code) -> str:
    """Where the command runs."""
    return f"{code.directory}/{code.subdir}" if code.subdir else code.directory


def moved(
    bound: Iterable[BoundParameter], code: Code
) -> tuple[tuple[BoundParameter, ...], tuple[Mount, ...]]:
    """Values as a command in a container needs them, and what has to be mounted for it.

    A file of the project is found where the code is, any other at a place of its own below `INPUTS_DIR`.

    Args:
        bound: Values for a command on this machine: those of kind PATH are absolute.
        code: The project's tree.
    """
    root = code.root.resolve()
    values: list[BoundParameter] = []
    mounts: list[Mount] = []
    for parameter in bound:
        path = _local(parameter)
        if path is None:
            values.append(parameter)
            continue
        # The path as it is named first: a link within the project need not lead to a place within it.
        below = _relative(path, code.root) or _relative(path.resolve(), root)
        if below is None:
            name = re.sub(r"[^A-Za-z0-9_.-]", "_", parameter.name).lstrip(".") or "input"
            target = f"{INPUTS_DIR}/{name}/{path.name}" if path.name else f"{INPUTS_DIR}/{name}"
            mounts.append(Mount(source=path.resolve(), target=target))
        else:
            target = code.directory if below == Path() else f"{code.directory}/{below.as_posix()}"
        values.append(msgspec.structs.replace(parameter, value=target))
    return tuple(values), tuple(mounts)


def refuse_mounts(mounts: tuple[Mount, ...], bound: Iterable[BoundParameter], backend: str) -> None:
    """Refuse inputs that only this machine has, for a backend whose commands run elsewhere.

    Raises:
        UsageError: There are some; all are named.
    """
    if not mounts:
        return
    sources = {mount.source for mount in mounts}
    named = [
        f"Parameter `{parameter.name}` names {path}, which only this machine has."
        for parameter in bound
        if (path := _local(parameter)) is not None and path.resolve() in sources
    ]
    raise UsageError(
        "\n".join(named),
        hint=f"For the backend {backend}, put it into the project's folder, or give a `uri` parameter that "
        "the program fetches, or a path on a volume as a parameter of type string.",
    )


def _local(parameter: BoundParameter) -> Path | None:
    """The file or folder of this machine that a value names; None where it names none."""
    if parameter.kind is not ParameterKind.PATH and parameter.kind is not ParameterKind.URI:
        return None
    if not parameter.value.startswith("/"):
        return None
    path = Path(parameter.value)
    return path if parameter.kind is ParameterKind.PATH or path.exists() else None


def _relative(path: Path, root: Path) -> Path | None:
    return path.relative_to(root) if path.is_relative_to(root) else None
