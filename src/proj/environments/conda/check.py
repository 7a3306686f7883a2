"""Comparing a conda environment with its lock, and its files with the hashes of when they were linked."""

from __future__ import annotations

import hashlib
import json
import os
import re
from typing import TYPE_CHECKING

from proj.environments.conda.explicit import entries, name_version_build, pip_part
from proj.environments.conda.facts import linked_packages
from proj.environments.requirements import requirement_name
from proj.environments.verify import changed_files, differences

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proj.environments.cache import Marker


def problems_of(marker: Marker, folder: Path) -> tuple[str, ...]:
    """What is wrong with a conda environment, one sentence each."""
    if not (folder / "conda-meta").is_dir():
        return ("Its folder of conda records is gone.",)
    locked = {name_version_build(entry.url) for entry in entries(marker.lock_text) if entry.url is not None}
    found = set(linked_packages(folder))
    problems = [
        f"{' '.join(package)} is in the lock but not installed." for package in sorted(locked - found)
    ]
    problems += [
        f"{' '.join(package)} is installed but not in the lock." for package in sorted(found - locked)
    ]
    sites = sorted(folder.glob("lib/python3*/site-packages"))
    pip = pip_part(marker.lock_text)
    problems += differences(pip, sites, None)
    of_pip = frozenset(re.findall(r'(?m)^name = "([^"]+)"', pip))
    for path in sorted((folder / "conda-meta").glob("*.json")):
        problems += _changed_files(path, folder, of_pip)
    for site in sites:
        problems += changed_files(site, of_pip)
    return tuple(problems)


def _changed_files(record: Path, folder: Path, of_pip: frozenset[str]) -> Iterator[str]:
    try:
        content = json.loads(record.read_bytes())
        paths = content["paths_data"]["paths"]
        name = content["name"]
    except (OSError, ValueError, KeyError, TypeError):
        yield f"{record.name} cannot be read."
        return
    if any(_distribution(entry.get("_path", "")) in of_pip for entry in paths):
        return  # the `pip:` section has replaced it
    for entry in paths:
        relative, expected = entry.get("_path", ""), entry.get("sha256_in_prefix") or entry.get("sha256")
        path = folder / _placed(relative, folder)
        if relative.endswith(".pyc"):
            continue
        if not os.path.lexists(path):
            yield f"{name}: {relative} is gone."
        elif expected and entry.get("path_type") == "hardlink" and sha256_of(path) != expected:
            yield f"{name}: {relative} was changed."


def _placed(path: str, folder: Path) -> str:
    """Where a file of a package for any Python went; conda writes down where it was in the package."""
    if path.startswith("python-scripts/"):
        return f"bin/{path.removeprefix('python-scripts/')}"
    if path.startswith("site-packages/"):
        site = next(folder.glob("lib/python3*/site-packages"), folder)
        return str(site.relative_to(folder) / path.removeprefix("site-packages/"))
    return path


def _distribution(path: str) -> str:
    """The distribution whose metadata a file is; empty for other files."""
    match = re.search(r"site-packages/([^/]+?)-[^/-]+(?:-py[\d.]+)?\.(?:dist|egg)-info(?:/|$)", path)
    return requirement_name(match[1]) if match else ""


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        sha = hashlib.sha256()
        while chunk := file.read(1024 * 1024):
            sha.update(chunk)
    return sha.hexdigest()
