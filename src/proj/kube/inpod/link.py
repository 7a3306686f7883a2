"""Download the conda packages of an explicit list, look at their digests, and link them with rattler.

Any Python that rattler runs on (3.10) runs this.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import hashlib
import http.client
import os
import re
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import rattler

TRIES = 5
TIMEOUT_S = 60
_ALGORITHMS = {64: "sha256", 32: "md5"}
"""Hexadecimal digits -> what has so many."""
_TOO_MANY, _SERVER_ERROR = 429, 500


def fetched(line: str, folder: Path) -> tuple[str, Path]:
    """Download a package, unless its digest is another than that of the list."""
    url, _, digest = line.partition("#")
    digest = digest.rpartition(":")[2].lower()
    target = folder / hashlib.sha256(url.encode()).hexdigest()[:12] / url.rpartition("/")[2]
    target.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, TRIES + 1):
        try:
            found = _download(url, target, _ALGORITHMS.get(len(digest), "sha256"))
            break
        except (OSError, http.client.HTTPException) as error:
            code = error.code if isinstance(error, urllib.error.HTTPError) else _SERVER_ERROR
            if attempt == TRIES or (code < _SERVER_ERROR and code != _TOO_MANY):
                raise SystemExit(f"{url} cannot be had: {error}") from error
            time.sleep(2**attempt)
    if found != digest:
        known = "its digest is" if digest else "the list has no digest of it, which is"
        raise SystemExit(f"{url} is not the package that is locked: {known} {found}")
    return url, target


def _download(url: str, target: Path, algorithm: str) -> str:
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer, target.open("wb") as file:  # noqa: S310  the lock's
        found = hashlib.new(algorithm)
        while data := answer.read(1 << 20):
            found.update(data)
            file.write(data)
        told = answer.headers.get("Content-Length")
        if told is not None and int(told) != file.tell():
            raise OSError(f"{file.tell()} bytes came of {told}")
    return found.hexdigest()


async def link(packages: list[tuple[str, Path]], prefix: str, cache: Path) -> None:
    """Link downloaded packages into a prefix."""
    platform = next((url.split("/")[-2] for url, _ in packages if "/noarch/" not in url), None)
    await rattler.install(
        [await rattler.RepoDataRecord.from_package_archive(path) for _, path in packages],
        prefix,
        cache_dir=cache,
        platform=rattler.Subdir(platform) if platform else None,
        execute_link_scripts=True,
        show_progress=False,
    )


def main(file: str, prefix: str, work: str) -> None:
    """Do both."""
    lines = [line.strip() for line in Path(file).read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if re.match(r"[a-z][a-z0-9+.-]*://", line)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        packages = list(pool.map(lambda line: fetched(line, Path(work, "downloads")), lines))
    asyncio.run(link(packages, prefix, Path(work, "packages")))
    sys.stdout.flush()
    os._exit(0)  # rattler's threads would take the interpreter down with them


if __name__ == "__main__":
    main(*sys.argv[1:])
