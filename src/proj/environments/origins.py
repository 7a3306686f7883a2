"""Where packages come from that no index has: folders, files and repositories of the user's."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IN_PLACE = "-e "
"""Begins the source of a package whose code is used where it lies, as `pip freeze` writes it."""


def unpinned(lock: bytes) -> Iterator[tuple[str, str]]:
    """Name and path or URL of the packages whose content a lock does not say."""
    if b"@EXPLICIT" in lock:
        from proj.environments.conda import explicit

        text = lock.decode("utf-8", "replace")
        for line in explicit.entries(text):
            if line.url is not None and not line.digest:
                yield explicit.name_version_build(line.url)[0], line.url
        lock = explicit.pip_part(text).encode()
    if b"path" not in lock and b"url" not in lock:
        return
    # here, since every run imports this module and few locks get so far
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        entries = tomllib.loads(lock.decode("utf-8", "replace")).get("packages")
    except tomllib.TOMLDecodeError:
        return
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict):
            for place in unpinned_places(entry):
                yield str(entry.get("name", "?")), place


def unpinned_places(entry: dict[str, Any]) -> Iterator[str]:
    """The paths or URLs that an entry of a lock takes a package from without saying what is there."""
    directory = entry.get("directory")
    if isinstance(directory, dict):
        yield str(directory.get("path", ""))
    wheels = entry.get("wheels")
    for file in (*(wheels if isinstance(wheels, list) else ()), entry.get("sdist"), entry.get("archive")):
        if isinstance(file, dict) and not file.get("hashes"):
            yield str(file.get("path") or file.get("url") or "")


def source_of(metadata: str | Path) -> str | None:
    """Where an installed distribution comes from, as its `direct_url.json` says; None: from an index.

    Args:
        metadata: Its folder of metadata.

    Returns:
        `-e FOLDER` if its code is used where it lies, else a folder, or a URL with the digest or commit if
        it is known.
    """
    try:
        with open(f"{metadata}/direct_url.json", "rb") as file:  # noqa: PTH123  no Path per package, on each run
            found = msgspec.json.decode(file.read())
        url = found["url"]
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, TypeError, KeyError):
        return None
    if not isinstance(url, str) or _is_of_conda(metadata):  # that names the folder its channel built it in
        return None
    return _source(found, url)


def _is_of_conda(metadata: str | Path) -> bool:
    try:
        with open(f"{metadata}/INSTALLER", "rb") as file:  # noqa: PTH123  as above
            return file.read().strip() == b"conda"
    except OSError:
        return False


def _source(found: dict[str, Any], url: str) -> str:
    from urllib.parse import unquote

    folder, vcs, archive = (found.get(key) for key in ("dir_info", "vcs_info", "archive_info"))
    if isinstance(folder, dict):
        path = unquote(url.partition("file://")[2]) or url
        return f"{IN_PLACE}{path}" if folder.get("editable") else path
    shown = _without_userinfo(url)
    if isinstance(vcs, dict):
        return f"{vcs.get('vcs', 'git')}+{shown}@{vcs.get('commit_id', '')}"
    hashes = archive.get("hashes") if isinstance(archive, dict) else None
    digest = hashes.get("sha256") if isinstance(hashes, dict) else None
    return f"{shown}#sha256={digest}" if digest else shown


def _without_userinfo(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"


def is_pinned(source: str) -> bool:
    """Whether a source says which content it is."""
    return "#sha256=" in source or ("+" in source.partition("://")[0] and "@" in source)
