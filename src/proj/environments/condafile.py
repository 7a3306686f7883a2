"""Conda environment files: what they ask of Python, of pip, and of conda itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from proj.environments.yamlfile import load_yaml

if TYPE_CHECKING:
    from pathlib import Path

_SPEC = re.compile(r"^(?:[\w./-]+::)?(?P<name>[A-Za-z0-9_.-]+)\s*(?P<version>[^#]*)")
BUILD_PACKAGES = ("pip", "setuptools", "wheel")
"""What counts as part of any Python environment; also MLflow's `_PythonEnv.BUILD_PACKAGES`."""


class CondaFile(msgspec.Struct, frozen=True, kw_only=True):
    """A conda environment file."""

    python: str | None = None
    """The version as it stands behind `python`, such as `=3.8.5`; None when any will do."""
    build: tuple[str, ...] = ()
    """pip, setuptools, wheel with their versions, as requirements."""
    pip: tuple[str, ...] = ()
    """Requirement lines below `pip:`."""
    conda: tuple[str, ...] = ()
    """Packages that only conda can install, as written."""


def read_conda_file(path: Path) -> CondaFile:
    """Read a conda environment file.

    Raises:
        EnvironmentFailedError: It cannot be read or is not a mapping.
    """
    table = load_yaml(path)
    entries = table.get("dependencies")
    python: str | None = None
    build: list[str] = []
    pip: list[str] = []
    conda: list[str] = []
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            lines = entry.get("pip")
            pip.extend(str(line) for line in lines if line) if isinstance(lines, list) else None
            continue
        match = _SPEC.match(str(entry).strip())
        if match is None:
            continue
        name = match["name"].lower()
        version = _version(match["version"])
        if name == "python":
            python = version or None
        elif name in BUILD_PACKAGES:
            build.append(name + _as_pip(version))
        else:
            conda.append(str(entry).strip())
    return CondaFile(python=python, build=tuple(build), pip=tuple(pip), conda=tuple(conda))


def _version(text: str) -> str:
    """The version part of a match specification, without the build string (`=3.8.5=h7579374_1`)."""
    text = text.strip()
    exported = re.match(r"^=\s*([^=<>!,|\s]+)=\S+$", text)  # `conda env export` pins a build of one platform
    if exported:
        return f"={exported[1]}"
    return re.sub(r"\s+", "", text.split(" ")[0] if re.match(r"^[=\d]", text) else text)


def _as_pip(version: str) -> str:
    """A conda version as pip writes it: one `=` is a prefix match."""
    if not version:
        return ""
    if version.startswith("=") and not version.startswith("=="):
        return f"=={version[1:].rstrip('.*')}.*" if version.count(".") < 2 else f"=={version[1:]}"  # noqa: PLR2004  x.y is a prefix
    return version if version[0] in "<>!=~" else f"=={version}"
