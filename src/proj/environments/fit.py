"""Whether a lock of another tool fits the requirements beside it, as `--locked` asks for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from proj import events
from proj.environments.failures import tool_failure
from proj.environments.requirements import requirement_name
from proj.environments.resolve import resolve_within
from proj.environments.toml import parse_toml
from proj.environments.variables import expanded_values
from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from proj.environments.inputs import PythonInput
    from proj.environments.interpreters import Interpreter
    from proj.environments.lock import Lock
    from proj.environments.toml import TomlTable
    from proj.model import EnvironmentRequest

_HINT = "Lock anew with the tool that wrote it, or with `proj env lock`; --frozen uses it as it is."


def check_fit(
    lock: Lock, project: PythonInput, interpreter: Interpreter, request: EnvironmentRequest
) -> None:
    """Resolve the requirements with nothing but the lock's versions to choose from.

    Raises:
        EnvironmentFailedError: The lock does not fit, or the index cannot be asked.
    """
    events.step(f"Checking that the lock fits {project.origin}")
    locked = _packages(lock.text)
    lines = project.requirements.lines
    for line in lines:
        named = "://" not in line.partition(" @ ")[0]
        if named and ";" not in line and requirement_name(line) not in locked:
            raise _misfit(project, f"it has no package for {line}")
    constraints = tuple(text for texts in locked.values() for text in texts)
    completed = resolve_within(constraints, project, interpreter, request)
    if completed.returncode != 0:
        said = re.sub(r"\s", "", completed.stderr)
        broken = [line for line in lines if re.sub(r"\s", "", line.partition(";")[0]) in said]
        if "Nosolutionfound" in said:
            of = broken[0] if broken else "the requirements"
            raise _misfit(project, f"its versions do not meet {of}")
        raise tool_failure(
            f"Cannot check that the lock fits {project.origin}", completed, as_of_s=None,
            offline=request.offline, python=interpreter.version_text,
            hidden=expanded_values(project.requirements),
        )  # fmt: skip
    missing = sorted(set(_packages(completed.stdout)) - set(locked))
    if missing:
        raise _misfit(project, f"it has no package for {', '.join(missing)}")


def _misfit(project: PythonInput, why: str) -> EnvironmentFailedError:
    return EnvironmentFailedError(
        f"The lock does not fit {project.origin}, as --locked asks for: {why}.", hint=_HINT
    )


def _packages(lock: str) -> dict[str, list[str]]:
    """Name -> constraints that hold resolvers to the lock's versions."""
    found: dict[str, list[str]] = {}
    packages = parse_toml(lock, "The lock").get("packages")
    for package in packages if isinstance(packages, list) else []:
        found.setdefault(requirement_name(str(package.get("name", ""))), []).extend(_constraint(package))
    return found


def _constraint(package: TomlTable) -> list[str]:
    version, marker = package.get("version"), str(package.get("marker", ""))
    if not isinstance(version, str) or re.search(r"\b(?:extras|dependency_groups)\b", marker):
        return []  # a folder or repository; or a choice that requirement lines cannot express
    return [f"{package['name']}=={version}" + (f" ; {marker}" if marker else "")]
