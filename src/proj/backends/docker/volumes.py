"""Volumes as `docker_env` and `-A volume=` write them: expanded as a shell would, without one."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proj.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXPANSION: Final = re.compile(
    r"\$\(\s*pwd\s*\)|`\s*pwd\s*`|\$\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)\}|\$(?P<bare>[A-Za-z_][A-Za-z0-9_]*)"
)


def expanded(volume: str, project_dir: Path, variables: Mapping[str, str] | None = None) -> str:
    """A volume whose source is an absolute path or a volume's name.

    Args:
        volume: `SOURCE:TARGET[:MODE]`, or `TARGET` alone.
        project_dir: What `$(pwd)`, `$PWD` and relative sources mean.
        variables: Of the host; None: this process's.

    Raises:
        UsageError: It names a variable that is not set.
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
        return text
    if source == "~" or source.startswith("~/"):
        source = str(Path(source).expanduser())
    elif source.startswith("."):  # a bare word names a volume
        source = os.path.normpath(project_dir / source)
    return f"{source}:{rest}"


def missing_sources(volumes: tuple[str, ...]) -> tuple[str, ...]:
    """Sources of volumes that are not there: docker would make them, as empty folders of root's."""
    sources = (volume.partition(":")[0] for volume in volumes if ":" in volume)
    return tuple(source for source in sources if source.startswith("/") and not Path(source).exists())
