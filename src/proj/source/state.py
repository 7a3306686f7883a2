"""What git says of a folder that runs in place. Four git processes; none without a repository."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from proj import events
from proj.errors import ToolFailedError, ToolMissingError
from proj.model import GitState
from proj.source import git, worktree
from proj.source.uri import redact_url
from proj.source.worktree import repository_root, shown

if TYPE_CHECKING:
    from pathlib import Path

    from proj.source.worktree import Worktree

__all__ = ["git_state", "read_worktree", "recent_worktree", "repository_root"]

_RECENT_S = 1.0
_latest: list[tuple[float, Worktree]] = []
"""What git said last, and when: a run asks for the state and then for the snapshot."""


def git_state(directory: Path) -> GitState | None:
    """Ask git for commit, branch, remote and changed files of the tree that `directory` is in.

    Nothing is written, not even the index's cached file times, and nothing that the repository's settings
    name is started.

    Returns:
        None where there is no repository, no git, or one that git refuses to read (a warning says so).
    """
    root = repository_root(directory)
    asked = time.monotonic()
    tree = None if root is None else read_worktree(root)
    if tree is None:
        return None
    _latest[:] = [(asked, tree)]
    return state_of(tree)


def recent_worktree(root: Path) -> Worktree | None:
    """What git said of the tree at `root` a moment ago; None if it has to be asked."""
    for asked, tree in _latest:
        if tree.root == root and time.monotonic() - asked < _RECENT_S:
            return tree
    return None


def state_of(tree: Worktree) -> GitState:
    """The state that is recorded of a working tree."""
    committed_at_s = None
    if tree.commit is not None:
        stamp = git.run("rev-list", "--max-count=1", "--timestamp", tree.commit, cwd=tree.root).stdout
        committed_at_s = int(stamp.split()[0])
    remote = tree.remote()
    return GitState(
        root=tree.root,
        commit=tree.commit,
        committed_at_s=committed_at_s,
        branch=None if tree.branch is None else shown(tree.branch),
        repository_url=redact_url(remote[1]) if remote is not None else None,
        changed_files=tuple(sorted({*(shown(change.path) for change in tree.changes), *_dirty_below(tree)})),
    )


def read_worktree(root: Path) -> Worktree | None:
    """Read the working tree at `root`; None, and a word about it, where git is missing or refuses."""
    try:
        return worktree.read(root)
    except ToolMissingError:
        events.note("git is not installed: the record will not say which commit ran.")
    except ToolFailedError as error:
        _warn(root, error)
    return None


def _dirty_below(tree: Worktree) -> list[str]:
    """Submodules whose own trees differ from their commits."""
    found = []
    for entry in tree.special:
        folder = tree.root / entry.path
        if not entry.is_submodule or not worktree.is_repository(folder):
            continue
        try:
            inner = worktree.read(folder)
        except ToolFailedError as error:
            _warn(folder, error)
            continue
        if inner.changes or _dirty_below(inner):
            found.append(shown(entry.path))
    return found


def _warn(root: Path, error: ToolFailedError) -> None:
    if "dubious ownership" in error.stderr:
        events.warning(
            f"{root} belongs to another user, so git refuses to read it and the record will not say which "
            f"commit ran. If you trust it: git config --global --add safe.directory {root}"
        )
    else:
        said = error.details[-1] if error.details else error.message
        events.warning(f"The record will not say which commit ran, because git cannot read {root}: {said}")
