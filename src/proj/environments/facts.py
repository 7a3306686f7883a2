"""What is in an environment: interpreter, platform, packages."""

from __future__ import annotations

import os
import platform
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj.errors import ProjError
from proj.model import EnvironmentFacts, Package

if TYPE_CHECKING:
    from collections.abc import Iterable

_DIST = re.compile(r"^(?P<name>.+?)-(?P<version>\d[^-]*?)(?:-py\d[\d.]*)?\.(?:dist|egg)-info$")
_PROBE = (
    "import json,platform,sys;print(json.dumps([sys.executable,platform.python_implementation(),"
    "platform.python_version(),platform.platform(),[p for p in sys.path[1:] if p]]))"
)
_PROBE_TIMEOUT_S = 30


def virtual_environment_facts(folder: Path) -> EnvironmentFacts:
    """Facts about a virtual environment, from its files alone."""
    settings = _pyvenv(folder)
    version = settings.get("version_info") or settings.get("version")
    sites = sorted(folder.glob("lib/python3*/site-packages"))
    return EnvironmentFacts(
        interpreter=str(folder / "bin" / "python"),
        implementation=settings.get("implementation", "CPython"),
        python_version=".".join(version.split(".")[:3]) if version else None,
        platform=platform.platform(),
        packages=packages_in(sites),
    )


def current_facts() -> EnvironmentFacts:
    """Facts about the `python` that a command would find on PATH."""
    found = shutil.which("python") or shutil.which("python3")
    if found is None:
        return EnvironmentFacts(platform=platform.platform())
    folder = Path(found).parent.parent
    if (folder / "pyvenv.cfg").is_file() and _pyvenv(folder).get("include-system-site-packages") != "true":
        return virtual_environment_facts(folder)
    from proj.process import run

    try:
        answer = run(
            [found, "-c", _PROBE], check=False, timeout_s=_PROBE_TIMEOUT_S, env={"PYTHONSTARTUP": None}
        )
        executable, implementation, version, name, sites = msgspec.json.decode(
            answer.stdout, type=tuple[str, str, str, str, list[str]]
        )
    except (ProjError, OSError, msgspec.DecodeError):
        return EnvironmentFacts(interpreter=found, platform=platform.platform())
    return EnvironmentFacts(
        interpreter=executable,
        implementation=implementation,
        python_version=version,
        platform=name,
        packages=packages_in(Path(site) for site in sites),
    )


def packages_in(sites: Iterable[Path]) -> tuple[Package, ...]:
    """The distributions whose metadata lies in these folders, by name; the first folder wins."""
    found: dict[str, Package] = {}
    for site in sites:
        try:
            names = [entry.name for entry in os.scandir(site)]
        except OSError:
            continue
        for name in sorted(names):
            match = _DIST.match(name)
            if match:
                distribution = re.sub(r"[-_.]+", "-", match["name"]).lower()
                found.setdefault(distribution, Package(name=distribution, version=match["version"]))
    return tuple(found[name] for name in sorted(found))


def _pyvenv(folder: Path) -> dict[str, str]:
    try:
        text = (folder / "pyvenv.cfg").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    pairs = (line.partition("=") for line in text.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
