"""Whether a lock of another tool fits the conda file beside it, as `--locked` asks for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from proj.environments.conda.explicit import name_version_build
from proj.environments.conda.hints import hint_for
from proj.environments.conda.messages import Check, Checked, PipWanted
from proj.environments.conda.names import OTHER_NAMES
from proj.environments.conda.service import ask
from proj.environments.requirements import requirement_name
from proj.environments.toml import parse_toml
from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from proj.environments.conda.declared import CondaProject
    from proj.environments.conda.lock import CondaLock
    from proj.model import EnvironmentRequest

_REQUIREMENT = re.compile(r"^[A-Za-z0-9][\w.-]*\s*(?:\[[^\]]*\])?\s*\(?(?P<version>[^()@#]*)\)?$")


def check_fit(lock: CondaLock, project: CondaProject, request: EnvironmentRequest) -> None:
    """See that a lock meets what the file asks of conda and of pip.

    Raises:
        EnvironmentFailedError: It does not.
    """
    checked = ask(
        Check(
            wanted=project.wanted(), packages=lock.packages, network=project.network(request),
            pip_wanted=_pip_wanted(project), pip_packages=_pip_packages(lock),
        ),
        Checked, what=f"Cannot check that the lock fits {project.origin}",
        hints=lambda failed: hint_for(failed, project, request), secrets=project.secrets,
        variables=project.settings.variables(),
    )  # fmt: skip
    if checked.unmet:
        raise EnvironmentFailedError(
            f"The lock does not fit {project.origin}, as --locked asks for: "
            f"nothing in it meets {checked.unmet[0]}.",
            hint="Lock anew with the tool that wrote it, or with `proj env lock`; --frozen uses it as it is.",
        )


def _pip_wanted(project: CondaProject) -> tuple[PipWanted, ...]:
    """The requirements of the `pip:` section without those that have a condition: who installs judges it."""
    found = []
    for line in project.pip.requirements.lines:
        if ";" not in line and "://" not in line.partition(" @ ")[0]:
            text = line.partition(" --")[0].strip()
            match = _REQUIREMENT.match(text)
            version = re.sub(r"\s", "", match["version"]) if match else ""
            found.append(PipWanted(name=requirement_name(line), version=version, written=text))
    return tuple(found)


def _pip_packages(lock: CondaLock) -> tuple[tuple[str, str], ...]:
    """Name and version of what there is for pip: of the lock of its section, and of the conda packages."""
    found = []
    for locked in lock.packages:
        name, version, _ = name_version_build(locked.url)
        found.append((requirement_name(OTHER_NAMES.get(name, name)), version))
    packages = parse_toml(lock.pip, "The lock").get("packages") if lock.pip else None
    found += [
        (requirement_name(str(package.get("name", ""))), str(package.get("version", "")))
        for package in (packages if isinstance(packages, list) else [])
    ]
    return tuple(found)
