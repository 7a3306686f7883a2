"""The packages that a lock names (PEP 751)."""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Any

import msgspec

from proj.environments.conda.explicit import entries, name_version_build, pip_part
from proj.environments.origins import unpinned_places

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class PackageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A package in an environment."""

    version: str
    """Or where it comes from, if that is no index."""
    files: str | None = None
    """Digest of the digests of its files; None where none are recorded."""
    loose: str | None = None
    """Where it comes from, if that does not say what it holds: a folder, or a file without digest."""


def read_packages(content: bytes) -> dict[str, PackageFacts] | None:
    """Read a `pylock.toml`, or an explicit list of conda packages.

    Returns:
        Name -> package; several of one name, for different platforms, as one. None if it is no such lock.
    """
    if b"@EXPLICIT" in content:
        return _read_explicit(content.decode("utf-8", "replace"))
    try:
        listed = tomllib.loads(content.decode("utf-8", "replace")).get("packages")
    except tomllib.TOMLDecodeError:
        return None
    if not isinstance(listed, list):
        return None
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in listed:
        if isinstance(entry, dict) and isinstance(entry.get("name"), str):
            found.setdefault(entry["name"], []).append(entry)
    return {
        name: PackageFacts(
            version=" or ".join(sorted({_version(each) for each in several})),
            files=_files(several),
            loose=next((place for each in several for place in unpinned_places(each)), None),
        )
        for name, several in found.items()
    }


def _read_explicit(text: str) -> dict[str, PackageFacts]:
    """Packages of conda by their names, and over them those of pip, which replace theirs."""
    found = {}
    for line in entries(text):
        if line.url is not None:
            name, version, build = name_version_build(line.url)
            found[name] = PackageFacts(
                version=f"{version} {build}",
                files=line.digest or None,
                loose=None if line.digest else line.url,
            )
    return found | (read_packages(pip_part(text).encode()) or {})


def _version(entry: dict[str, Any]) -> str:
    version = str(entry.get("version", ""))
    vcs = entry.get("vcs")
    if isinstance(vcs, dict):
        return f"{version} {vcs.get('url', '')}@{vcs.get('commit-id', '')}".strip()
    directory = entry.get("directory")
    if isinstance(directory, dict):
        return f"{version} {directory.get('path', '')}".strip()
    return version


def _files(entries: list[dict[str, Any]]) -> str | None:
    digests = sorted(
        json.dumps(file["hashes"], sort_keys=True)
        for entry in entries
        for file in (*_listed(entry, "wheels"), *_listed(entry, "sdist"), *_listed(entry, "archive"))
        if isinstance(file, dict) and file.get("hashes")
    )
    return hashlib.sha256("\n".join(digests).encode()).hexdigest() if digests else None


def _listed(entry: dict[str, Any], key: str) -> list[Any]:
    value = entry.get(key, [])
    return value if isinstance(value, list) else [value]
