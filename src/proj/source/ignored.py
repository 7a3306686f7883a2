"""Files that are no part of what ran: what Python makes of others, and what `.projignore` names."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from proj import paths
from proj.source import git
from proj.source.files import os_failure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PROJIGNORE = ".projignore"
_MADE = ("__pycache__/", ".ipynb_checkpoints/", "_cache/", ".egg-info/")
_CACHES = ("__pycache__/", ".ipynb_checkpoints/", ".DS_Store")
_IN_FOLDERS = (*_CACHES, "mlruns/", "node_modules/")
"""What nobody wants from a folder that, being no repository, seldom has a `.gitignore`."""


def list_folder(folder: Path, scratch: Path) -> tuple[str, ...]:
    """Files of a folder that is in no repository, but those ignored and our own records.

    A repository in it ends with a slash.
    """
    patterns = (f"--exclude={pattern}" for pattern in _IN_FOLDERS)
    listing = _list(folder, scratch, "--others", "--exclude-standard", *patterns)
    own = paths.own_below(folder)
    return tuple(path for path in listing if not own.match(path))


def derived(untracked: Sequence[str]) -> set[str]:
    """Those of some untracked files that were made by Python: compiled modules, virtual environments."""
    environments = tuple(path[: -len("pyvenv.cfg")] for path in untracked if path.endswith("/pyvenv.cfg"))
    return {
        path
        for path in untracked
        if "__pycache__" in path.split("/")[:-1] or (environments and path.startswith(environments))
    }


def projignored(folder: Path, scratch: Path | None) -> set[str]:
    """Files that a `.projignore` names, which has the syntax of `.gitignore`; tracked ones, too.

    Args:
        folder: The top of a tree that has such a file.
        scratch: A folder for a repository, where `folder` is none.
    """
    kinds = ("--others",) if scratch is not None else ("--others", "--cached")
    return set(_list(folder, scratch, "--ignored", *kinds, f"--exclude-per-directory={PROJIGNORE}"))


def ignored(folder: Path) -> tuple[str, ...]:
    """What git ignores in a folder of a repository, and no tool makes of the rest by itself.

    Folders of which all is ignored end with a slash.
    """
    found = _list(folder, None, "--others", "--ignored", "--exclude-standard", "--directory")
    return tuple(
        path
        for path in found
        if not f"{path.rstrip('/').rpartition('/')[2]}/".endswith(_MADE)
        and not path.endswith((".pyc", ".DS_Store"))
        and not (folder / path / "pyvenv.cfg").is_file()
    )


def _list(folder: Path, scratch: Path | None, *options: str) -> list[str]:
    if scratch is None:
        from proj.source.sparse import is_sparse, objects_apart  # few look at what is ignored

        with objects_apart(folder) if is_sparse(folder) else contextlib.nullcontext() as apart:
            listing = git.run("ls-files", "-z", *options, cwd=folder, exact=True, env=apart)
    else:
        git_dir = scratch / "listing"
        if not git_dir.exists():
            try:
                _make_repository(git_dir)
            except OSError as error:
                raise os_failure(error, f"Cannot write {git_dir}") from error
        listing = git.run(
            *("ls-files", "-z", *options),
            cwd=folder,
            git_dir=git_dir,
            env={"GIT_WORK_TREE": str(folder)},
            exact=True,
        )
    return listing.stdout.split("\0")[:-1]


def _make_repository(git_dir: Path) -> None:
    """Make the least that git takes for a repository (gitrepository-layout(5)): no more is needed to list."""
    (git_dir / "objects").mkdir(parents=True)
    (git_dir / "refs").mkdir()
    (git_dir / "HEAD").write_text("ref: refs/heads/main\n", "utf-8")
    (git_dir / "config").write_text("[core]\n\tbare = false\n", "utf-8")
