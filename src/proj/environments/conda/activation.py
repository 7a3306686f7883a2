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
from proj.environments.failures import last_lines
from proj.model import HostRuntime

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_SCRIPTS_S = 60
_OWN = frozenset({"_", "SHLVL", "PWD", "OLDPWD", "PROJ_GUARD"})
"""What a shell sets by itself."""


def activated(prefix: Path, variables: Sequence[tuple[str, str]], *, name: str) -> HostRuntime:
    """How a command is run in a conda environment; starts a shell only if packages bring scripts.

    Args:
        prefix: The environment.
        variables: Those of the conda file.
        name: What `CONDA_DEFAULT_ENV` says.
    """
    fixed = removed_variables() | static_variables(prefix, variables, name=name)
    scripts = activation_scripts(prefix)
    found = _run_scripts(prefix, scripts, fixed) if scripts else {}
    path = found.pop("PATH", None)
    folders = [str(prefix / "bin")]
    if path is not None:
        folders = _added_folders(path, folders)
    return HostRuntime(path=tuple(folders), hidden=hidden_folders(), variables={**fixed, **found})


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


def activation_scripts(prefix: Path) -> tuple[Path, ...]:
    """The scripts that packages bring, in the order in which they run."""
    return tuple(sorted((prefix / "etc" / "conda" / "activate.d").glob("*.sh")))


def script_lines(prefix: str, scripts: Sequence[Path]) -> str:
    """Shell lines that run the scripts of an environment that is at `prefix`.

    Args:
        prefix: Where the environment is when the lines run.
        scripts: Of `activation_scripts`.
    """
    import shlex

    return "".join(f". {shlex.quote(f'{prefix}/etc/conda/activate.d/{script.name}')}\n" for script in scripts)


def _package_variables(file: Path) -> dict[str, str]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(name): str(value) for name, value in content.items()} if isinstance(content, dict) else {}


def _run_scripts(
    prefix: Path, scripts: Sequence[Path], variables: Mapping[str, str | None]
) -> dict[str, str | None]:
    """What the scripts change of the variables; PATH too."""
    from proj.paths import find_program
    from proj.process import run

    before = {name: value for name, value in {**os.environ, **variables}.items() if value is not None}
    before["PATH"] = os.pathsep.join([str(prefix / "bin"), callers_path()])
    # What the scripts print is not the variables': those come by a descriptor of their own.
    lines = f"exec 3>&1 1>&2\n{script_lines(str(prefix), scripts)}env -0 >&3\n"
    shell = find_program("bash") or "sh"
    done = run(
        [shell, "-c", lines],
        env={**variables, "PATH": before["PATH"]},
        timeout_s=_SCRIPTS_S,
        check=False,
        exact=True,
    )
    after = dict(pair.split("=", 1) for pair in done.stdout.split("\0") if "=" in pair)
    if done.returncode != 0 or not after:
        said = "; ".join(last_lines(done.stderr)[-2:])
        events.warning(
            f"An activation script of the conda environment failed: {said or f'exit code {done.returncode}'}"
        )
        if not after:
            return {}
    changed: dict[str, str | None] = {
        name: value for name, value in after.items() if before.get(name) != value and name not in _OWN
    }
    changed |= {name: None for name in before if name not in after and name not in _OWN}
    return changed


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
