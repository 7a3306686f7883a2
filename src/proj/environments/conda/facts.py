"""What is in a conda environment: its Python distributions, and the conda packages that are none."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from proj.environments.facts import packages_in, platform_name
from proj.environments.numerics import numeric_libraries
from proj.model import EnvironmentFacts, Package

if TYPE_CHECKING:
    from pathlib import Path

_RECORD = re.compile(r"^(?P<name>.+)-(?P<version>[^-]+)-(?P<build>[^-]+)\.json$")


def conda_facts(folder: Path) -> EnvironmentFacts:
    """Facts about a conda environment, from its files alone."""
    sites = sorted(folder.glob("lib/python3*/site-packages"))
    packages = {package.name: package for package in packages_in(sites)}
    python: str | None = None
    for name, version, _ in linked_packages(folder):
        if name == "python":
            python = version
        packages.setdefault(name, Package(name=name, version=version))
    return EnvironmentFacts(
        interpreter=str(folder / "bin" / "python") if python is not None else None,
        implementation="CPython" if python is not None else None,
        python_version=python,
        platform=platform_name(),
        packages=tuple(packages[name] for name in sorted(packages)),
        libraries=numeric_libraries(sites),
    )


def linked_packages(folder: Path) -> tuple[tuple[str, str, str], ...]:
    """Name, version and build of each conda package."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder / "conda-meta"))
    except OSError:
        return ()
    matches = (_RECORD.match(name) for name in names)
    return tuple((match["name"], match["version"], match["build"]) for match in matches if match)
