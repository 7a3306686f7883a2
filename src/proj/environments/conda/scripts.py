"""The scripts by which packages set up a command's environment: `etc/conda/activate.d`.

A script that ends its shell (`exit`, `set -e`) ends neither the command nor the other scripts: the next ones
go on in a new shell, with all that was exported so far. It is the same here and in an image.
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from proj.environments.failures import last_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_SCRIPTS_S = 60
_FOLDER = "etc/conda/activate.d"
_AT = "PROJ_ACTIVATION"
"""Variable: the script that runs, by its name here, by its number in an image."""
_DIRECTORY = "PROJ_ACTIVATION_DIR"
_OWN = frozenset({"_", "SHLVL", "PWD", "OLDPWD", "PROJ_GUARD", _AT})
"""What a shell sets by itself."""
_SAID = 5


def activation_scripts(prefix: Path) -> tuple[Path, ...]:
    """The scripts that packages bring, in the order in which they run."""
    return tuple(sorted((prefix / _FOLDER).glob("*.sh")))


def script_lines(prefix: str, scripts: Sequence[Path]) -> list[str]:
    """Lines of a shell program that run the scripts of an environment, and leave the rest to what follows.

    Args:
        prefix: Where the environment is when the lines run.
        scripts: Of `activation_scripts`.
    """
    told = (
        '"proj: The activation script $_proj_script of the conda environment ended its shell with exit code '
        '$_proj_code; what it had exported until then counts."'
    )
    again = 'exec 1>&3 3>&-; exec /bin/sh "$0" "$@"'
    lines = [
        "exec 3>&1 1>&2",  # what they print is not the program's
        f'[ -n "${{{_AT}-}}" ] || export {_AT}=0 {_DIRECTORY}="$PWD"',
        f"trap '_proj_code=$?; trap - EXIT; set +eu; echo {told} >&2; {again}' EXIT",
    ]
    for number, script in enumerate(scripts, start=1):
        path = shlex.quote(f"{prefix}/{_FOLDER}/{script.name}")
        lines += [
            f'if [ "${_AT}" -lt {number} ]; then',
            f"{_AT}={number}; _proj_script={shlex.quote(script.name)}; . {path}; set +eu",
            "fi",
        ]
    return [*lines, "trap - EXIT", f'cd "${_DIRECTORY}"; unset {_AT} {_DIRECTORY}', "exec 1>&3 3>&-"]


def run_scripts(
    prefix: Path, scripts: Sequence[Path], before: Mapping[str, str]
) -> tuple[dict[str, str | None], tuple[str, ...]]:
    """What the scripts change of the variables, and what is to be told of them.

    Args:
        prefix: The environment.
        scripts: Of `activation_scripts`.
        before: All variables that they find.
    """
    notes: list[str] = []
    now, rest = dict(before), list(scripts)
    while rest:
        ended, after, said = _run(prefix, rest, now)
        failed = after.pop(_AT, "") if after else rest[0].name
        if failed:
            reason = "; ".join(said[-2:]) or f"exit code {ended}"
            notes.append(
                f"The activation script {failed} of the conda environment ended its shell: {reason}. "
                "What it had exported until then counts, and the other scripts do."
            )
        elif said:
            notes.append(f"Said by the activation scripts of the conda environment: {'; '.join(said)}")
        now = after or now
        names = [script.name for script in rest]
        rest = rest[names.index(failed) + 1 :] if failed in names else []
    changed: dict[str, str | None] = {
        name: value for name, value in now.items() if before.get(name) != value and name not in _OWN
    }
    changed |= {name: None for name in before if name not in now and name not in _OWN}
    return changed, tuple(notes)


def _run(
    prefix: Path, scripts: Sequence[Path], variables: Mapping[str, str]
) -> tuple[int, dict[str, str], tuple[str, ...]]:
    """How a shell with these scripts ends, the variables by then, and what was said."""
    from proj.paths import find_program
    from proj.process import run

    # What the scripts print is not the variables': those come by a descriptor of their own.
    lines = ["exec 3>&1 1>/dev/null", f"trap '{find_program('env') or 'env'} -0 >&3' EXIT", f"export {_AT}"]
    for script in scripts:
        path = shlex.quote(f"{prefix}/{_FOLDER}/{script.name}")
        lines.append(f"{_AT}={shlex.quote(script.name)}; . {path}; set +eu")
    lines.append(f"unset {_AT}")
    done = run(
        [find_program("bash") or "sh", "-c", "\n".join(lines)],
        env={**dict.fromkeys(os.environ), **variables}, timeout_s=_SCRIPTS_S, check=False, exact=True,
    )  # fmt: skip
    after = dict(pair.split("=", 1) for pair in done.stdout.split("\0") if "=" in pair)
    return done.returncode, after, last_lines(done.stderr)[-_SAID:]
