"""Packages as files: downloaded into a folder, and linked from one. Belongs to `worker`."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import msgspec

from proj import files
from proj.environments.conda.explicit import name_version_build
from proj.environments.conda.messages import Digested, Downloaded
from proj.environments.conda.transport import client, gateway

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from proj.environments.conda.messages import Digest, Download, Locked, Network

_AT_ONCE = 8
_SUFFIXES = (".conda", ".tar.bz2")


async def download(task: Download) -> Downloaded:
    """Download packages and compare them with their digests.

    Raises:
        ValueError: One is not what is locked.
    """
    turns = asyncio.Semaphore(_AT_ONCE)

    async def fetch(locked: Locked) -> None:
        if not locked.has_digest:
            raise OSError(f"{locked.url} is locked without a hash: nobody knows which file was meant")
        target = Path(task.folder) / _file_name(locked)
        if target.is_file() and _is(locked, target):
            return
        partial = target.with_name(f".{target.name}")
        async with turns:
            await _have(locked, partial, task.network)
        if not _is(locked, partial):
            raise ValueError(f"hash mismatch of {locked.url}")
        if target.is_file():
            raise ValueError(f"two packages of the same name, {target.name}, have other hashes")
        partial.replace(target)

    await asyncio.gather(*map(fetch, task.packages))
    return Downloaded()


async def digest(task: Digest) -> Digested:
    """Find out the digests of packages: as their channels tell them, else of what is downloaded."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def complete(locked: Locked) -> Locked:
        if locked.has_digest:
            return locked
        async with turns:
            found = await _told(locked, task.network) or await digest_of(locked, task.network)
        return msgspec.structs.replace(locked, sha256=found)

    return Digested(packages=tuple(await asyncio.gather(*map(complete, task.packages))))


async def _told(locked: Locked, network: Network) -> str | None:
    """What the channel says of a package's SHA-256; None where it says nothing, or is no channel."""
    import rattler

    folder, _, file_name = locked.url.rpartition("/")
    channel, _, subdir = folder.rpartition("/")
    name = name_version_build(locked.url)[0]
    try:
        answer = await gateway(network).query(
            [rattler.Channel(channel)], [rattler.Subdir(subdir)], [name], recursive=False,
            channel_relations="disabled",
        )  # fmt: skip
    except Exception:  # noqa: BLE001  the library's errors have no common base; the archive tells as well
        return None
    records = [record for each in answer for record in each if record.file_name == file_name]
    return next((record.sha256.hex() for record in records if record.sha256), None)


async def digest_of(locked: Locked, network: Network) -> str:
    """The SHA-256 of a package that is downloaded for it.

    Raises:
        OSError: It cannot be had.
    """
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "archive"
        await _have(locked, archive, network)
        return _digest_of(archive, "sha256")


async def _have(locked: Locked, target: Path, network: Network) -> None:
    """Download a package."""
    from rattler.package_streaming import download_to_path

    if locked.url.startswith("file:"):
        shutil.copyfile(unquote(urlsplit(locked.url).path), target)
    elif network.offline:
        raise OSError(f"Not in the cache, and offline: {locked.url}")
    else:
        await download_to_path(client(network), locked.url, target)


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


def refuse_others(packages: Iterable[Locked]) -> None:
    """See that archives on this machine are what is locked: rattler looks at those that it downloads alone.

    Raises:
        ValueError: One is not.
    """
    for locked in packages:
        path = Path(unquote(urlsplit(locked.url).path))
        if locked.url.startswith("file:") and locked.has_digest and path.is_file() and not _is(locked, path):
            raise ValueError(f"hash mismatch of {locked.url}")


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
    return _digest_of(path, kind) == expected


def _digest_of(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        digest = hashlib.new(kind, usedforsecurity=False)
        while chunk := file.read(1024 * 1024):
            digest.update(chunk)
    return digest.hexdigest()
