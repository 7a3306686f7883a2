"""Comparing an environment with its lock and with what its packages say they installed."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from proj.environments.cache import read_marker, root
from proj.environments.facts import packages_in
from proj.environments.requirements import requirement_name

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from proj.environments.cache import Marker
    from proj.environments.inventory import EnvironmentInfo

_MAX_PROBLEMS = 50
_PACKAGE = re.compile(r'^name = "(?P<name>[^"]+)"(?:\nversion = "(?P<version>[^"]+)")?', re.MULTILINE)
_CHECKED_ENDINGS = (".py", ".so", ".pyi", ".json", ".txt", ".yaml", ".toml")


def verify(info: EnvironmentInfo) -> tuple[str, ...]:
    """Check an environment against its lock, and its files against their recorded hashes.

    Returns:
        What is wrong, one sentence each; empty if nothing is.
    """
    marker = read_marker(root() / info.key)
    if marker is None:
        return (
            "It is incomplete: its build was interrupted. It is never used; `proj env prune` removes it.",
        )
    if marker.kind == "conda":
        from proj.environments.conda.check import problems_of

        return problems_of(marker, Path(info.directory))[:_MAX_PROBLEMS]
    problems: list[str] = []
    if not os.access(marker.interpreter, os.X_OK):
        problems.append(f"Its interpreter {marker.interpreter} is gone.")
    sites = sorted(Path(info.directory).glob("lib/python3*/site-packages"))
    if not sites:
        return (*problems, "Its package folder is gone.")
    problems += _against_lock(marker, sites)
    for site in sites:
        problems += changed_files(site)
    return tuple(problems[:_MAX_PROBLEMS])


def _against_lock(marker: Marker, sites: list[Path]) -> list[str]:
    extra = {"pip"} if marker.manager == "virtualenv" else set()
    return differences(marker.lock_text, sites, extra)


def differences(lock: str, sites: list[Path], others: AbstractSet[str] | None) -> list[str]:
    """What is installed otherwise than a pylock.toml says.

    Args:
        lock: The lock.
        sites: Folders of packages.
        others: What may be there beside that; None: anything.
    """
    installed = {package.name: package.version for package in packages_in(sites)}
    locked: dict[str, str | None] = {}
    optional: set[str] = set()
    for block in lock.split("[[packages]]\n")[1:]:
        match = _PACKAGE.search(block)
        if match:
            locked[match["name"]] = match["version"]
            if re.search(r"(?m)^marker = ", block):
                optional.add(match["name"])  # a lock for several platforms names more than one needs
    problems = []
    for name, version in locked.items():
        if name not in installed:
            if name not in optional:
                problems.append(f"{name} is in the lock but not installed.")
        elif version is not None and not _same_version(installed[name], version):
            problems.append(f"{name} {installed[name]} is installed, the lock says {version}.")
    expected = {*locked, *(installed if others is None else others)}
    problems += [
        f"{name} is installed but not in the lock." for name in sorted(installed) if name not in expected
    ]
    return problems


def _same_version(installed: str, locked: str) -> bool:
    def plain(text: str) -> str:
        return re.sub(r"[-_]", ".", text.lower())

    return plain(installed) == plain(locked)


def changed_files(site: Path, names: AbstractSet[str] | None = None) -> list[str]:
    """Files of distributions that are gone or not as they were installed.

    Args:
        site: A folder of packages.
        names: Distributions to look at; None: all.
    """
    problems: list[str] = []
    for record in sorted(site.glob("*.dist-info/RECORD")):
        if names is not None and requirement_name(record.parent.name.partition("-")[0]) not in names:
            continue
        try:
            rows = list(csv.reader(record.read_text(encoding="utf-8").splitlines()))
        except (OSError, UnicodeDecodeError, csv.Error):
            problems.append(f"{record.parent.name}: its list of files cannot be read.")
            continue
        for row in rows:
            if row and row[0] and not row[0].endswith((".pyc", "RECORD", "__pycache__")):
                problem = _changed(site / row[0], row[1] if len(row) > 1 else "")
                problems += [f"{record.parent.name}: {row[0]} {problem}."] if problem else []
    return problems


def _changed(path: Path, recorded: str) -> str | None:
    if not path.exists():
        return "is gone"
    algorithm, _, expected = recorded.partition("=")
    if algorithm != "sha256" or not path.name.endswith(_CHECKED_ENDINGS):
        return None
    actual = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
    return None if actual == expected else "was changed"
