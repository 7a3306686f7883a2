"""Which packages of the cache are known to be what their digests say. Belongs to `worker`.

rattler writes the digest that it expects beside a package before it downloads it, and takes what lies there
for that package from then on: after a download that failed, was refused or was killed, that is an older one
of the same name. So what counts here is a note of our own, written once rattler has handed the package over.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from proj import files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.environments.conda.messages import Locked, Network


def drop_unknown(locked: Locked, network: Network) -> None:
    """Take a package out of the cache unless it is known to be what is locked: it is downloaded anew then."""
    folder, note = _places(locked, network)
    if not _digest(locked) or (folder.is_dir() and is_known(locked, network)):
        return
    note.unlink(missing_ok=True)
    if not folder.is_dir():
        return
    with _alone(folder):
        aside = folder.parent.parent / f"removed-{os.urandom(4).hex()}"
        with contextlib.suppress(FileNotFoundError):  # somebody else did it meanwhile
            folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)


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


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no process links from a package any more, and keep others from it, by rattler's own lock."""
    with folder.with_name(f"{folder.name}.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
