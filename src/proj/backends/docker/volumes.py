"""Volumes as `docker_env` and `-A volume=` write them: expanded as a shell would, without one."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proj import events
from proj.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_EXPANSION: Final = re.compile(
    r"\$\(\s*pwd\s*\)|`\s*pwd\s*`|\$\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)\}|\$(?P<bare>[A-Za-z_][A-Za-z0-9_]*)"
)
_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_MODES: Final = (
    "ro", "rw", "z", "Z", "nocopy", "copy", "consistent", "cached", "delegated", "shared", "rshared",
    "slave", "rslave", "private", "rprivate",
)  # fmt: skip


def expanded(volume: str, project_dir: Path, variables: Mapping[str, str] | None = None) -> str:
    """A volume whose source is an absolute path or a volume's name.

    Args:
        volume: `SOURCE:TARGET[:MODE]`, or `TARGET` alone.
        project_dir: What `$(pwd)`, `$PWD` and relative sources mean.
        variables: Of the host; None: this process's.

    Raises:
        UsageError: It names a variable that is not set, or cannot be meant.
    """
    known = os.environ if variables is None else variables

    def value(match: re.Match[str]) -> str:
        name = match["braced"] or match["bare"] or "PWD"
        if name != "PWD" and name not in known:
            raise UsageError(
                f"The volume {volume} names the variable {name}, which is not set.", hint=f"Set {name}."
            )
        found = str(project_dir) if name == "PWD" else known[name]
        if ":" in found:  # what follows it would be taken for another folder
            raise UsageError(
                f"The volume {volume} holds {name}, which is {found}: a colon ends the source of a volume.",
                hint="Name the folder by -A mount=type=bind,source=…,target=… instead.",
            )
        return found

    text = _EXPANSION.sub(value, volume)
    source, colon, rest = text.partition(":")
    if not colon:
        _check_target(volume, text)
        return text
    target, _, mode = rest.partition(":")
    _check_target(volume, target)
    _check_mode(volume, mode)
    return f"{_source(volume, source, project_dir)}:{rest}"


def _source(volume: str, source: str, project_dir: Path) -> str:
    if source == "~" or source.startswith("~/"):
        return str(Path(source).expanduser())
    if source.startswith("."):  # a bare word names a volume
        return os.path.normpath(project_dir / source)
    if not source.startswith("/") and not is_name(source):
        raise UsageError(
            f"The volume {volume} has the source {source or 'nothing'}, which is neither an absolute path "
            "nor a volume's name.",
            hint=f"For a folder of the project write ./{volume}." if source else "Write SOURCE:TARGET[:ro].",
        )
    return source


def _check_mode(volume: str, mode: str) -> None:
    unknown = [word for word in mode.split(",") if word not in _MODES]
    if mode and unknown:
        raise UsageError(
            f"The volume {volume} has the mode {unknown[0] or 'nothing'}, which docker does not know.",
            hint="Write SOURCE:TARGET, or SOURCE:TARGET:ro for one that is only read.",
        )


def unset_variables(volume: str) -> tuple[str, ...]:
    """Variables of the host that a volume names, and that are not set."""
    names = (match["braced"] or match["bare"] or "PWD" for match in _EXPANSION.finditer(volume))
    return tuple(dict.fromkeys(name for name in names if name != "PWD" and name not in os.environ))


def is_name(source: str) -> bool:
    """Whether docker takes a source for the name of a volume that it keeps itself."""
    return _NAME.fullmatch(source) is not None


def _check_target(volume: str, target: str) -> None:
    if not target.startswith("/"):
        raise UsageError(
            f"The volume {volume} has the target {target or 'nothing'}, which is no absolute path.",
            hint="Write SOURCE:TARGET[:ro], with a TARGET such as /data.",
        )


def make_sources(volumes: Iterable[str]) -> None:
    """Make folders that volumes name and that are not there, for the caller; the engine would, for root."""
    sources = (volume.partition(":")[0] for volume in volumes)
    for source in dict.fromkeys(sources):
        if not source.startswith("/") or Path(source).exists():
            continue
        try:
            Path(source).mkdir(parents=True)
        except OSError as error:
            events.warning(
                f"The volume's folder {source} is not there, and cannot be made here: {error.strerror}. "
                "The docker daemon makes it, empty and for root."
            )
        else:
            events.note(f"The volume's folder {source} was not there: it is made, and is empty.")
