"""What is in an environment: interpreter, platform, packages."""

from __future__ import annotations

import os
import platform
import re
import sys
from typing import TYPE_CHECKING

from proj.environments.numerics import numeric_libraries
from proj.environments.origins import IN_PLACE, source_of
from proj.model import EnvironmentFacts, Package

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_DIST = r"^(?P<name>.+?)-(?P<version>\d[^-]*?)(?:-py\d[\d.]*)?\.(?:dist|egg)-info$"


def virtual_environment_facts(folder: Path) -> EnvironmentFacts:
    """Facts about a virtual environment, from its files alone."""
    settings = _pyvenv(folder)
    version = settings.get("version_info") or settings.get("version")
    sites = sorted(folder.glob("lib/python3*/site-packages"))
    return EnvironmentFacts(
        interpreter=str(folder / "bin" / "python"),
        implementation=settings.get("implementation", "CPython"),
        python_version=".".join(version.split(".")[:3]) if version else None,
        platform=platform_name(),
        packages=packages_in(sites),
        libraries=numeric_libraries(sites),
    )


def is_isolated(folder: Path) -> bool:
    """Whether a folder is a virtual environment that sees no packages but its own."""
    return (folder / "pyvenv.cfg").is_file() and _pyvenv(folder).get("include-system-site-packages") != "true"


def platform_name() -> str:
    """What `platform.platform()` says (`Linux-6.1-x86_64-with-glibc2.36`), without starting `uname`."""
    libc = os.confstr("CS_GNU_LIBC_VERSION") if "CS_GNU_LIBC_VERSION" in os.confstr_names else None
    if libc is None:
        return platform.platform()
    names = os.uname()
    return f"{names.sysname}-{names.release}-{names.machine}-with-{libc.replace(' ', '')}"


def packages_in(sites: Iterable[Path]) -> tuple[Package, ...]:
    """The distributions whose metadata lies in these folders, by name; the first folder wins."""
    found: dict[str, Package] = {}
    for site in sites:
        try:
            names = os.listdir(site)  # noqa: PTH208  names are all that is needed
        except OSError:
            continue
        for name in sorted(names):
            match = re.match(_DIST, name) if name.endswith("-info") else None
            if match:
                distribution = _normalized(match["name"])
                if distribution not in found:
                    source = None if _is_this_proj(distribution, site) else source_of(f"{site}/{name}")
                    found[distribution] = Package(name=distribution, version=match["version"], source=source)
            elif name.endswith(".egg-link"):  # how setuptools did it before there was `direct_url.json`
                distribution = _normalized(name[: -len(".egg-link")])
                source = IN_PLACE + _first_line(site / name)
                found.setdefault(distribution, Package(name=distribution, version="", source=source))
    return tuple(found[name] for name in sorted(found))


def _is_this_proj(distribution: str, site: Path) -> bool:
    """Whether it is what makes the record: no part of what runs, it counts by its version alone."""
    return distribution == "proj" and os.path.realpath(site) in map(os.path.realpath, sys.path)


def _normalized(name: str) -> str:
    normalized = name.lower().replace("_", "-").replace(".", "-")
    while "--" in normalized:
        normalized = normalized.replace("--", "-")
    return normalized


def _first_line(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").partition("\n")[0].strip()
    except OSError:
        return ""


def _pyvenv(folder: Path) -> dict[str, str]:
    try:
        text = (folder / "pyvenv.cfg").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    pairs = (line.partition("=") for line in text.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
