"""Taking and restoring snapshots of real repositories, and comparing what is on disk."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import msgspec

from proj.model import Snapshot
from proj.source.restore import restore
from proj.source.snapshot import LIMIT_BYTES, bundle_file, take
from source_repositories import Repo, fingerprint

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


def on_disk(folder: Path, *, without: Collection[str] = ()) -> dict[bytes, tuple[str, bytes]]:
    """All files below a folder but git's own: path -> mode and bytes, a link's target."""
    found: dict[bytes, tuple[str, bytes]] = {}
    for top, folders, names in os.walk(os.fsencode(folder)):
        if b".git" in folders:
            folders.remove(b".git")
        links = [name for name in folders if os.path.islink(os.path.join(top, name))]  # noqa: PTH114, PTH118  names may be no UTF-8
        for name in (*names, *links):
            path = os.path.join(top, name)  # noqa: PTH118  see above
            status = os.lstat(path)
            relative = os.path.relpath(path, os.fsencode(folder))
            if name == b".git" or os.fsdecode(relative) in without:
                continue
            if stat.S_ISLNK(status.st_mode):
                found[relative] = ("link", os.readlink(path))  # noqa: PTH115  see above
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:  # noqa: PTH123  see above
                    found[relative] = ("run" if status.st_mode & 0o100 else "file", file.read())
    return found


class Kit:
    """A store of bundles, and folders to restore into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "store"
        self._count = 0

    def take(
        self, root: Path, *, archive: bool = False, limit_bytes: int = LIMIT_BYTES, project: str = ""
    ) -> Snapshot:
        """Take a snapshot; assert that nothing below `root` is another afterwards."""
        before = fingerprint(root)
        taken = take(root, store=self.store, archive=archive, limit_bytes=limit_bytes, project=project)
        assert fingerprint(root) == before
        return msgspec.json.decode(msgspec.json.encode(taken), type=Snapshot)

    def restore(self, snapshot: Snapshot, bundle_path: Path | None = None) -> Path:
        """Restore a snapshot into a new folder."""
        self._count += 1
        target = self.folder / f"restored-{self._count}"
        restore(snapshot, target, bundle_path=bundle_path or bundle_file(self.store, snapshot))
        assert [each.name for each in self.folder.glob(".restored*")] == []
        return target

    def round_trip(self, root: Path, *, without: Collection[str] = (), archive: bool = False) -> Snapshot:
        """Take, restore, and compare what is on disk."""
        taken = self.take(root, archive=archive)
        target = self.restore(taken)
        assert on_disk(target) == on_disk(root, without=without)
        return taken


def pushed(repo: Repo, remote: Path) -> Repo:
    """Push a repository's branch to a new bare one, its `origin`."""
    repo.git("init", "--quiet", "--bare", "--initial-branch=main", "--template=", str(remote))
    repo.git("remote", "add", "origin", str(remote))
    repo.git("push", "--quiet", "--set-upstream", "origin", "HEAD")
    return repo
