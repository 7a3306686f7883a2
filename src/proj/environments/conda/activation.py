"""What a command finds in an activated conda environment: variables, and what its packages' scripts set.

The order is conda's (conda/activate.py): PATH and `CONDA_*`, then the environment's own variables, then the
scripts in `etc/conda/activate.d`, by name.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from proj import events
from proj.environments.conda.deactivation import callers_path, hidden_folders, removed_variables
from proj.environments.conda.scripts import activation_scripts, run_scripts
from proj.model import HostRuntime

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def activated(
    prefix: Path, variables: Sequence[tuple[str, str]], *, name: str
) -> tuple[HostRuntime, tuple[str, ...]]:
    """How a command is run in a conda environment; starts a shell only if packages bring scripts.

    Args:
        prefix: The environment.
        variables: Those of the conda file.
        name: What `CONDA_DEFAULT_ENV` says.

    Returns:
        That, and what is to be recorded of the scripts.
    """
    fixed = removed_variables() | static_variables(prefix, variables, name=name)
    scripts = activation_scripts(prefix)
    found, notes = _run_scripts(prefix, scripts, fixed) if scripts else ({}, ())
    path = found.pop("PATH", None)
    folders = [str(prefix / "bin")]
    if path is not None:
        folders = _added_folders(path, folders)
    runtime = HostRuntime(path=tuple(folders), hidden=hidden_folders(), variables={**fixed, **found})
    return runtime, notes


def static_variables(
    prefix: Path, variables: Sequence[tuple[str, str]], *, name: str, packages: bool = True
) -> dict[str, str | None]:
    """Variables of an environment before its packages' scripts run; None removes one.

    Args:
        prefix: The environment.
        variables: Those of the conda file.
        name: What `CONDA_DEFAULT_ENV` says.
        packages: Whether those that packages bring are among them; else nothing is read.
    """
    found: dict[str, str | None] = {
        "CONDA_PREFIX": str(prefix), "CONDA_DEFAULT_ENV": name, "CONDA_SHLVL": "1",
        "CONDA_PROMPT_MODIFIER": "",
        "VIRTUAL_ENV": None, "PYTHONHOME": None, "PYENV_VERSION": None,
        # What lies in the user's own site-packages is no part of what is locked.
        "PYTHONNOUSERSITE": "1",
    }  # fmt: skip
    return found | (package_variables(prefix) if packages else {}) | dict(variables)


def package_variables(prefix: Path) -> dict[str, str]:
    """The variables that packages set by files in `etc/conda/env_vars.d`."""
    found: dict[str, str] = {}
    for file in sorted((prefix / "etc" / "conda" / "env_vars.d").glob("*.json")):
        found |= _package_variables(file)
    return found


def _package_variables(file: Path) -> dict[str, str]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(name): str(value) for name, value in content.items()} if isinstance(content, dict) else {}


def _run_scripts(
    prefix: Path, scripts: Sequence[Path], variables: Mapping[str, str | None]
) -> tuple[dict[str, str | None], tuple[str, ...]]:
    """What the scripts change of the variables, PATH too, and what is to be recorded of them."""
    before = {name: value for name, value in {**os.environ, **variables}.items() if value is not None}
    before["PATH"] = os.pathsep.join([str(prefix / "bin"), callers_path()])
    changed, notes = run_scripts(prefix, scripts, before)
    for note in notes:
        events.warning(note)
    return changed, notes


def _added_folders(path: str, usual: list[str]) -> list[str]:
    """The folders that the scripts leave in front of the caller's PATH."""
    caller = callers_path()
    if path == caller or not path.endswith(os.pathsep + caller):
        events.warning(
            "An activation script of the conda environment rearranges PATH; what it adds comes first."
        )
        known = set(caller.split(os.pathsep))
        return [folder for folder in path.split(os.pathsep) if folder and folder not in known] or usual
    return path[: -len(caller) - 1].split(os.pathsep)
