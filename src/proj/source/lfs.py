"""Git LFS: large files are fetched where git-lfs is installed; else the user learns how many are missing."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from proj import events
from proj.errors import SourceError, ToolFailedError
from proj.source import git
from proj.source.failures import explain

if TYPE_CHECKING:
    from pathlib import Path

    from proj.source.uri import Credentials

_POINTER = b"version https://git-lfs.github.com/spec/"
_FILTERS = (
    "filter.lfs.smudge=git-lfs smudge -- %f",
    "filter.lfs.clean=git-lfs clean -- %f",
    "filter.lfs.process=git-lfs filter-process",
    "filter.lfs.required=true",
)


def fetch_large_files(tree: Path, storage: Path | None, url: str, credentials: Credentials | None) -> None:
    """Replace the LFS pointers of a private tree by their files.

    Args:
        tree: A private tree.
        storage: Where git-lfs keeps the files it has fetched; None: in the tree's own repository.
        url: The remote, for messages.
        credentials: What to answer when the remote's host asks.

    Raises:
        SourceError: git-lfs failed.
    """
    pointers = _pointers(tree)
    if not pointers:
        return
    if shutil.which("git-lfs") is None:
        events.warning(
            f"{len(pointers)} files are kept with Git LFS and are only pointers here, such as {pointers[0]}: "
            "git-lfs is not installed. Install it to get their content."
        )
        return
    events.step(f"Fetching {len(pointers)} large files with Git LFS")
    settings = _FILTERS if storage is None else (*_FILTERS, f"lfs.storage={storage}")
    try:
        git.transfer(
            *(word for setting in settings for word in ("-c", setting)),
            *("lfs", "pull", "origin"),
            git_dir=tree / ".git",
            cwd=tree,
            credentials=credentials,
        )
    except ToolFailedError as error:
        failure = explain(error, url)
        raise SourceError(
            f"Git LFS cannot fetch the large files: {failure.message}",
            hint=failure.hint,
            details=error.details,
        ) from error


def _pointers(tree: Path) -> list[str]:
    """Files that `.gitattributes` gives to LFS and that hold a pointer."""
    git_dir = tree / ".git"
    declared = git.run(
        *("grep", "--quiet", "-e", "filter=lfs", "--", ".gitattributes", "*/.gitattributes"),
        git_dir=git_dir,
        cwd=tree,
        check=False,
    )
    if declared.returncode != 0:
        return []
    files = git.run("ls-files", "-z", git_dir=git_dir, cwd=tree).stdout
    attributes = git.run(
        "check-attr", "-z", "--stdin", "filter", git_dir=git_dir, cwd=tree, stdin=files
    ).stdout
    fields = attributes.split("\0")
    tracked = [path for path, value in zip(fields[::3], fields[2::3], strict=False) if value == "lfs"]
    return [path for path in tracked if is_pointer(tree / path)]


def is_pointer(path: Path) -> bool:
    """Whether a file holds a pointer of Git LFS instead of its content."""
    try:
        if path.is_symlink() or not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(_POINTER)) == _POINTER
    except OSError:
        return False
