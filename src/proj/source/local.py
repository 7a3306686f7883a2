"""A folder on this machine: run in place, or, with a version, as a private checkout of its repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from proj.errors import SourceError
from proj.model import Checkout
from proj.source.state import git_state, repository_root
from proj.source.uri import enter_subdir

if TYPE_CHECKING:
    from pathlib import Path

    from proj.source.uri import Location


def open_folder(location: Location, version: str | None) -> Checkout:
    """Return a folder as it is, or a revision of the repository it is in.

    Raises:
        SourceError: It cannot be read, or has no such folder or revision.
    """
    assert location.path is not None  # noqa: S101  the caller's contract
    _check_readable(location.path)
    folder = _true_place(location.path)
    location = msgspec.structs.replace(location, path=folder)
    root = repository_root(folder)
    if version is not None:
        if root is None:
            raise SourceError(
                f"{folder} is in no git repository, so it has no version {version!r}.",
                hint="Leave -v out to run it as it is.",
            )
        from proj.source.repository import fetch_local

        return fetch_local(location, version, below=_below(root, folder))
    project_dir = enter_subdir(folder, location.subdir, root=root or folder, shown=str(folder))
    state = git_state(project_dir)
    top = state.root if state is not None else root or folder
    return Checkout(
        uri=location.uri,
        kind="local",
        root=top,
        project_dir=project_dir,
        subdir=_below(top, project_dir),
        git=state,
    )


def _true_place(folder: Path) -> Path:
    """The folder, or where it really is: if links lead into a repository, or into another one, as for git."""
    real = folder.resolve()
    if real == folder:
        return folder
    root, true_root = repository_root(folder), repository_root(real)
    if true_root is None or (root is not None and root.resolve() == true_root):
        return folder
    return real


def _below(root: Path, folder: Path) -> str:
    if not folder.is_relative_to(root):
        return ""  # a nested repository that a link of another one leads to
    relative = folder.relative_to(root).as_posix()
    return "" if relative == "." else relative


def _check_readable(folder: Path) -> None:
    import os

    if not os.access(folder, os.R_OK | os.X_OK):
        raise SourceError(
            f"No permission to read the folder {folder}.", hint="Check who owns it, and its mode."
        )
