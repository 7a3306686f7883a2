"""What is in an environment: interpreter, platform, packages."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING

from proj import paths
from proj.errors import ProjError
from proj.model import EnvironmentFacts, Package

if TYPE_CHECKING:
    from collections.abc import Iterable

_DIST = re.compile(r"^(?P<name>.+?)-(?P<version>\d[^-]*?)(?:-py\d[\d.]*)?\.(?:dist|egg)-info$")
_PROBE = (
    "import sys;i=getattr(sys,'implementation',None);"
    "sys.stdout.write('\\0'.join([sys.executable,i.name if i else 'cpython','%d.%d.%d'%sys.version_info[:3]]"
    "+[p for p in sys.path[1:] if p]))"
)
"""Imports nothing: starting an interpreter is the slowest thing that a no-op run waits for."""

_IMPLEMENTATIONS = {"cpython": "CPython", "pypy": "PyPy"}
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
        platform=platform_name(),
        packages=packages_in(sites),
    )


def current_facts() -> EnvironmentFacts:
    """Facts about the `python` that a command would find on PATH."""
    found = paths.find_program("python") or paths.find_program("python3")
    if found is None:
        return EnvironmentFacts(platform=platform_name())
    found = _behind_shim(found)
    folder = Path(found).parent.parent
    if (folder / "pyvenv.cfg").is_file() and _pyvenv(folder).get("include-system-site-packages") != "true":
        return virtual_environment_facts(folder)
    from proj.process import run

    try:
        answer = run(
            [found, "-c", _PROBE], check=False, timeout_s=_PROBE_TIMEOUT_S, env={"PYTHONSTARTUP": None}
        )
        executable, implementation, version, *sites = answer.stdout.split("\0")
    except (ProjError, OSError, ValueError):
        return EnvironmentFacts(interpreter=found, platform=platform_name())
    return EnvironmentFacts(
        interpreter=executable,
        implementation=_IMPLEMENTATIONS.get(implementation, implementation),
        python_version=version,
        platform=platform_name(),
        packages=packages_in(Path(site) for site in sites),
    )


def platform_name() -> str:
    """What `platform.platform()` says (`Linux-6.1-x86_64-with-glibc2.36`), without starting `uname`."""
    libc = os.confstr("CS_GNU_LIBC_VERSION") if "CS_GNU_LIBC_VERSION" in os.confstr_names else None
    if libc is None:
        return platform.platform()
    names = os.uname()
    return f"{names.sysname}-{names.release}-{names.machine}-with-{libc.replace(' ', '')}"


def _behind_shim(program: str) -> str:
    """The Python that a shim of pyenv would start; `program` itself if it is none, or that cannot be told.

    The shim is a chain of shell scripts, and takes longer to find it than a no-op run takes in all.
    """
    folder, name = os.path.split(program)
    root = os.path.dirname(folder)  # noqa: PTH120  strings are cheaper than Paths
    if os.path.basename(folder) != "shims" or not os.path.isdir(os.path.join(root, "versions")):  # noqa: PTH112, PTH118, PTH119  same
        return program
    version = (os.environ.get("PYENV_VERSION") or _pyenv_version(Path(root))).split(":")[0].strip()
    found = os.path.join(root, "versions", version, "bin", name)  # noqa: PTH118  same
    return found if version and os.access(found, os.X_OK) else program


def _pyenv_version(root: Path) -> str:
    """What the nearest `.python-version` says, else pyenv's own `version` (pyenv's COMMANDS.md)."""
    here = Path.cwd()
    for path in (*(folder / ".python-version" for folder in (here, *here.parents)), root / "version"):
        try:
            lines = path.read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError):
            continue
        if lines:
            return lines[0]
    return ""


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
