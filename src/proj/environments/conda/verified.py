"""Which packages of the cache are known to be what their digests say. Belongs to `worker`.

rattler writes the digest that it expects beside a package before it downloads it, and takes what lies there
for that package from then on: after a download that failed, was refused or was killed, that is an older one
of the same name. So what counts here is a note of our own, written once rattler has handed the package over.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proj import files

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

    from proj.environments.conda.messages import Locked, Network

_PAUSE_S: Final = 0.05


def claim(packages: Iterable[Locked], network: Network) -> BinaryIO:
    """Keep others from taking packages out of the cache while we use them, or take them out ourselves.

    A package is taken out, to be downloaded anew, unless it is known to be what is locked. One that another
    process is about to use is waited for: it will be known, or that process ends. Offline, none is taken out.

    Returns:
        The file whose locks keep them until it is closed, at the end of the process at the latest.
    """
    path = Path(network.cache) / "packages" / ".using.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    using = path.open("a+b")
    # In one order: of two who wait for each other's packages, neither would come to an end.
    for locked in sorted(packages, key=lambda each: each.url):
        if network.offline:
            fcntl.lockf(using, fcntl.LOCK_SH, 1, _position(locked, network))
        else:
            _claim(locked, network, using)
    return using


def _claim(locked: Locked, network: Network, using: BinaryIO) -> None:
    folder, note = _places(locked, network)
    position = _position(locked, network)
    while True:
        fcntl.lockf(using, fcntl.LOCK_SH, 1, position)
        if not folder.is_dir():
            if _digest(locked):
                note.unlink(missing_ok=True)
            return
        if is_known(locked, network):
            return
        fcntl.lockf(using, fcntl.LOCK_UN, 1, position)
        try:
            fcntl.lockf(using, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, position)
        except (BlockingIOError, PermissionError):  # it is used
            time.sleep(_PAUSE_S)
            continue
        if folder.is_dir() and not is_known(locked, network):
            note.unlink(missing_ok=True)
            aside = folder.parent.parent / f"removed-{os.urandom(4).hex()}"
            folder.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)


def _position(locked: Locked, network: Network) -> int:
    """The byte of the lock file that stands for a package: one open file will do for hundreds."""
    name = _places(locked, network)[0].name
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")


def is_known(locked: Locked, network: Network) -> bool:
    """Whether a package in the cache is known to be what is locked; without a digest, any of its name is."""
    try:
        return not _digest(locked) or _places(locked, network)[1].read_text() == _digest(locked)
    except OSError:
        return False


def note(locked: Locked, network: Network) -> None:
    """Keep that a package in the cache is what is locked."""
    if _digest(locked) and not is_known(locked, network):
        files.write_whole(_places(locked, network)[1], _digest(locked).encode())


def _digest(locked: Locked) -> str:
    return locked.sha256 or locked.md5 or ""


def _places(locked: Locked, network: Network) -> tuple[Path, Path]:
    """The folder of a package in the cache, and the note on it."""
    stem = re.sub(r"\.(?:conda|tar\.bz2)$", "", locked.url.rpartition("/")[2])
    packages = Path(network.cache) / "packages"
    return packages / stem, packages / f"{stem}.digest"
