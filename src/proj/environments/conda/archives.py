"""Packages as files: downloaded into a folder, and linked from one. Belongs to `worker`."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import msgspec

from proj import files
from proj.environments.conda.messages import Downloaded
from proj.environments.conda.transport import client

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proj.environments.conda.messages import Download, Locked

_AT_ONCE = 8
_SUFFIXES = (".conda", ".tar.bz2")


async def download(task: Download) -> Downloaded:
    """Download packages and compare them with their digests.

    Raises:
        ValueError: One is not what is locked.
    """
    from rattler.package_streaming import download_to_path

    speaker, turns = client(task.network), asyncio.Semaphore(_AT_ONCE)

    async def fetch(locked: Locked) -> None:
        target = Path(task.folder) / _file_name(locked)
        if target.is_file() and _is(locked, target):
            return
        partial = target.with_name(f".{target.name}")
        async with turns:
            if locked.url.startswith("file:"):
                shutil.copyfile(unquote(urlsplit(locked.url).path), partial)
            else:
                await download_to_path(speaker, locked.url, partial)
        if not _is(locked, partial):
            raise ValueError(f"hash mismatch of {locked.url}")
        if target.is_file():
            raise ValueError(f"two packages of the same name, {target.name}, have other hashes")
        partial.replace(target)

    await asyncio.gather(*map(fetch, task.packages))
    return Downloaded()


def from_folder(packages: Sequence[Locked], folder: str | None) -> list[Locked]:
    """The packages with the URLs of those files of a folder that are what is locked."""
    if folder is None:
        return list(packages)
    found = []
    for locked in packages:
        path = Path(folder) / _file_name(locked)
        here = path.is_file() and _is(locked, path)
        found.append(msgspec.structs.replace(locked, url=path.absolute().as_uri()) if here else locked)
    return found


def tell_origin(prefix: str, packages: Sequence[Locked]) -> None:
    """Write down that packages are from their channels, whatever folder they were linked from."""
    for locked in packages:
        name = _file_name(locked)
        stem = next(name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix))
        path = Path(prefix) / "conda-meta" / f"{stem}.json"
        content = json.loads(path.read_bytes())
        content |= {"url": locked.url, "channel": locked.url.rpartition("/")[0].rpartition("/")[0] + "/"}
        files.write_whole(path, msgspec.json.encode(content))


def _file_name(locked: Locked) -> str:
    return locked.url.rpartition("/")[2]


def _is(locked: Locked, path: Path) -> bool:
    """Whether a file is what is locked; without a hash, nothing is."""
    kind, expected = ("sha256", locked.sha256) if locked.sha256 else ("md5", locked.md5)
    if expected is None:
        return False
    with path.open("rb") as file:
        digest = hashlib.new(kind, usedforsecurity=False)
        while chunk := file.read(1024 * 1024):
            digest.update(chunk)
    return digest.hexdigest() == expected
