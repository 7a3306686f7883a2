"""What a command finds of the conda environment that its caller has activated: nothing, as conda has it.

conda undoes an activation by scripts of that environment (conda/activate.py), which are not run here: what
they would take back is told by where it points.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = re.compile(r"CONDA_PREFIX(?:_\d+)?")
_MARK = re.compile(r"(?:CONDA_(?:PREFIX|STACKED|ENV_SHLVL)_\d+|_CE_\w+)")
_KEPT = re.compile(
    # where conda itself is, which stays callable, and what is no environment's
    r"(?:_?CONDA_(?:EXE|ROOT|PYTHON_EXE|PREFIX|DEFAULT_ENV)|MAMBA_\w+|PROJ_\w+|MLFLOW_\w+|PATH|PYTHONPATH"
    r"|HOME|PWD|OLDPWD|_)"
)


def hidden_folders() -> tuple[str, ...]:
    """Folders of the caller's PATH that an active conda environment has put there."""
    return tuple(f"{prefix}/bin" for prefix in _prefixes())


def removed_variables() -> dict[str, str | None]:
    """Variables of the caller's that belong to an active conda environment; all are None."""
    inside = tuple(f"{prefix}/" for prefix in _prefixes())
    return {
        name: None
        for name, value in os.environ.items()
        if _MARK.fullmatch(name) or (value.startswith(inside) and not _KEPT.fullmatch(name))
    }


def callers_path() -> str:
    """The caller's PATH without an active conda environment's folders."""
    hidden = hidden_folders()
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if folder.rstrip("/") not in hidden)


def _prefixes() -> Iterator[str]:
    for name, value in os.environ.items():
        if _PREFIX.fullmatch(name) and Path(value, "conda-meta").is_dir():
            yield value.rstrip("/")
