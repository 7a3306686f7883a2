"""A repository, or a folder that is in none, while its snapshot is taken: what of it has to be kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from proj.model import LeftOut, SourceChange
from proj.source import git
from proj.source.contents import Content, UnfitError
from proj.source.worktree import NO_LAZY_FETCH, Worktree, shown

if TYPE_CHECKING:
    import os
    from collections.abc import Collection

ChangeKind = Literal[
    "added", "modified", "deleted", "untracked", "conflicted", "converted", "submodule"
]  # fmt: skip


class Wanted(msgspec.Struct, frozen=True):
    """A file to be stored as it is on disk."""

    path: str
    head_hash: str = ""
    """The blob that is committed, if known; zeros for none."""
    mode: str = ""
    """Empty: as on disk."""
    tracked: bool = False


class Part(msgspec.Struct):
    """A repository, or a folder that is in none, while it is looked at."""

    folder: Path
    path: str
    """Relative to the top of all; empty for that."""
    tree: Worktree | None = None
    commit: str | None = None
    commit_tree: str | None = None
    committed_at_s: int = 0
    bases: tuple[str, ...] = ()
    """Commits that the remote has; empty where all has to be in the bundle."""
    pushed: bool = False
    present: bool = True
    wanted: dict[str, Wanted] = {}
    deleted: set[str] = set()
    links: dict[str, Part] = {}
    """Path of a repository in this one -> what is known of it."""
    children: list[Part] = []
    contents: dict[str, Content] = {}
    changes: list[SourceChange] = []
    left_out: list[LeftOut] = []
    large_files: list[str] = []
    base_paths: frozenset[str] | None = None
    """Files of `commit`, if that is not the one that is checked out."""

    @property
    def whole(self) -> bool:
        """Whether the bundle has to hold all of it."""
        return not self.bases

    @property
    def edited(self) -> bool:
        """Whether the tree that ran is another than the commit's; known when contents have been read."""
        return bool(
            self.commit is None
            or self.base_paths is not None
            or self.contents
            or self.deleted
            or any(self._moved(path, child) for path, child in self.links.items())
        )

    def _moved(self, path: str, child: Part) -> bool:
        return child.edited or child.commit != self.head_link(path)

    def head_link(self, path: str) -> str | None:
        """The submodule's commit as HEAD has it."""
        for change in self.tree.changes if self.tree is not None else ():
            if change.path == path:
                return change.head_hash if change.head_hash.strip("0") else None
        for file in self.tree.special if self.tree is not None else ():
            if file.path == path and file.is_submodule:
                return file.hash
        return None

    def below(self, path: str) -> str:
        """A path of this part as text, relative to the top of all."""
        return shown(f"{self.path}/{path}" if self.path else path)

    def note(self, path: str, kind: ChangeKind) -> None:
        """Remember a change for the record."""
        self.changes.append(SourceChange(path=self.below(path), kind=kind))

    def leave_out(
        self,
        wanted: Wanted,
        reason: UnfitError,
        status: os.stat_result | None = None,
        digest: str | None = None,
    ) -> None:
        """Remember that a file is not stored.

        Args:
            wanted: The file.
            reason: Why.
            status: What the file system says of it, to be remembered, too.
            digest: That of its bytes.
        """
        committed = wanted.tracked and wanted.head_hash.strip("0") != ""
        if self.base_paths is not None:
            committed = wanted.path in self.base_paths
        left = LeftOut(
            path=self.below(wanted.path),
            reason=reason.reason,
            detail=reason.detail,
            committed=committed,
            size_bytes=None if status is None else status.st_size,
            modified_ms=None if status is None else status.st_mtime_ns // 1_000_000,
            digest=digest,
        )
        self.left_out.append(left)

    def want_committed(self, path: str, mode: str, digest: str, *, is_new: bool) -> None:
        """Store a file as it is on disk, though that is as committed."""
        forced = "" if self.tree is None else forced_mode(self.tree, mode)
        self.wanted[path] = Wanted(path, digest, forced, tracked=True)
        self.note(path, "added" if is_new else "modified")

    def restart_from(self, commit: str | None, paths: Collection[str]) -> None:
        """Build on another commit, or on none.

        Args:
            commit: One that the remote has.
            paths: Its files.
        """
        self.commit, self.commit_tree, self.base_paths = commit, None, frozenset(paths)
        known = {self.below(path) for path in paths}
        self.left_out = [
            msgspec.structs.replace(left, committed=left.committed and left.path in known)
            for left in self.left_out
        ]
        if commit is None or self.tree is None:
            self.bases = ()
            return
        self.commit_tree, self.committed_at_s = commit_facts(self.tree, commit)
        self.bases = (commit,)

    def everything(self) -> list[Part]:
        """This part and all below, each after the one that it is in."""
        return [self, *(part for child in self.children for part in child.everything())]


def commit_facts(tree: Worktree, commit: str) -> tuple[str, int]:
    """Return the tree of a commit, and when it was committed, in seconds since 1970.

    Raises:
        ToolFailedError: Git cannot read it.
    """
    answer = git.run(
        "rev-list", "--max-count=1", "--format=%T %ct", commit, cwd=tree.root, env=NO_LAZY_FETCH
    ).stdout
    digest, _, time = answer.splitlines()[1].partition(" ")
    return digest, int(time) if time.isdecimal() else 0  # other tools have written commits without a time


def forced_mode(tree: Worktree, mode: str) -> str:
    """Return a file's mode in git's index where the file system keeps none, or no links; else nothing."""
    if mode == "120000" and not tree.is_set("core.symlinks") and "core.symlinks" in tree.settings:
        return mode
    if mode.startswith("100") and not tree.is_set("core.filemode") and "core.filemode" in tree.settings:
        return mode
    return ""
