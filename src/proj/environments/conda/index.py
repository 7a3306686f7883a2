"""What packages say of themselves, kept for linking: a lock has no place for it. Belongs to `worker`."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import msgspec

from proj import files
from proj.environments.conda.archives import digest_of
from proj.environments.conda.messages import Locked
from proj.environments.conda.transport import client

if TYPE_CHECKING:
    import rattler

    from proj.environments.conda.messages import Network


async def locked(record: rattler.RepoDataRecord, network: Network) -> Locked:
    """A solved package as it is locked; what the channel says of it is kept."""
    sha256 = record.sha256.hex() if record.sha256 else None
    md5 = record.md5.hex() if record.md5 else None
    if sha256 is None and md5 is None:
        sha256 = await digest_of(Locked(url=record.url), network)
    found = Locked(url=record.url, sha256=sha256, md5=None if sha256 else md5)
    _remember(found, record, network)
    return found


async def record_of(locked: Locked, network: Network) -> rattler.RepoDataRecord:
    """What a package says of itself: from what was kept of it, its unpacked files, else its archive."""
    import rattler

    folder, _, file_name = locked.url.rpartition("/")
    path = _index_file(locked, network)
    if not path.is_file():
        content = _unpacked(file_name, network) or await _fetched(locked, network)
        _write(path, content)
    record = rattler.PackageRecord.from_index_json(path, None, locked.sha256, locked.md5)
    return rattler.RepoDataRecord(record, file_name, locked.url, folder.rpartition("/")[0] + "/")


def _index_file(locked: Locked, network: Network) -> Path:
    name = locked.url.rpartition("/")[2]
    return Path(network.cache) / "index" / f"{name}.{(locked.sha256 or locked.md5 or 'unknown')[:16]}.json"


def is_whole(file_name: str, network: Network) -> bool:
    """Whether all files of a package in the cache are there; what is in them is not looked at."""
    folder = _folder(file_name, network)
    try:
        json.loads((folder / "info" / "index.json").read_bytes())
        if (folder / "info" / "paths.json").is_file():
            listed = json.loads((folder / "info" / "paths.json").read_bytes())["paths"]
            paths = [entry["_path"] for entry in listed]
        else:  # packages of before 2017
            paths = (folder / "info" / "files").read_text(encoding="utf-8").split("\n")
        return all(os.path.lexists(folder / path) for path in paths)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _unpacked(file_name: str, network: Network) -> bytes | None:
    try:
        return (_folder(file_name, network) / "info" / "index.json").read_bytes()
    except OSError:
        return None


def _folder(file_name: str, network: Network) -> Path:
    return Path(network.cache) / "packages" / re.sub(r"\.(?:conda|tar\.bz2)$", "", file_name)


async def _fetched(locked: Locked, network: Network) -> bytes:
    from rattler.package_streaming import fetch_raw_package_file_from_url

    if network.offline and not locked.url.startswith("file:"):
        raise OSError(f"Not in the cache, and offline: {locked.url}")
    if locked.url.startswith("file:"):
        from rattler.package_streaming import PackageArchive

        archive = await PackageArchive.from_path(_file_of(locked))
        return await archive.read_file("info/index.json") or b""
    return await fetch_raw_package_file_from_url(client(network), locked.url, "info/index.json")


def _file_of(locked: Locked) -> str:
    path = unquote(urlsplit(locked.url).path)
    if not Path(path).is_file():
        raise OSError(f"There is no file {path}")  # rattler would not say which
    return path


def _remember(locked: Locked, record: rattler.RepoDataRecord, network: Network) -> None:
    """Keep what the channel says of a package: linking needs it, and a lock has no place for it."""
    noarch = record.noarch
    kind = "python" if noarch.python else "generic" if noarch.generic else None
    content: dict[str, object] = {
        "name": record.name.source, "version": str(record.version), "build": str(record.build),
        "build_number": record.build_number, "subdir": str(record.subdir), "arch": record.arch,
        "platform": record.platform, "depends": list(record.depends), "constrains": list(record.constrains),
        "license": record.license,
    }  # fmt: skip
    if kind is not None:
        content["noarch"] = kind
    if record.timestamp is not None:
        content["timestamp"] = int(record.timestamp.timestamp() * 1000)
    _write(_index_file(locked, network), msgspec.json.encode(content))


def _write(path: Path, content: bytes) -> None:
    if not path.is_file():
        files.write_whole(path, content)
