"""Where the code comes from: a folder, a git repository, an archive; and what a record has to say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.source.state import git_state, recent_worktree
from proj.source.uri import parse, redact_url

if TYPE_CHECKING:
    from pathlib import Path

    from proj.model import Checkout

__all__ = [
    "download",
    "fetch",
    "git_state",
    "hold",
    "is_remote",
    "keep",
    "lock_descriptor",
    "prune_checkouts",
    "recent_worktree",
    "redact_url",
    "release",
]


def fetch(uri: str, *, version: str | None = None, cwd: Path) -> Checkout:
    """Get a project's code onto this machine.

    A folder stays where it is. A repository, an archive, and a folder with a `version` become a private copy
    below the cache, which the caller releases or keeps.

    Args:
        uri: As the user gave it: `docs/reference/sources.md` lists the forms.
        version: A branch, tag, commit or other revision; None: the tree as it is, or the default branch.
        cwd: What a relative path is relative to.

    Raises:
        SourceError: There is no such folder, host, repository, revision or subfolder; or no room for it.
    """
    version = version or None
    if version is not None:
        _check_version(version)
    location = parse(uri, cwd=cwd)
    if location.kind == "local":
        from proj.source.local import open_folder

        return open_folder(location, version)
    if location.kind == "archive":
        from proj.source.packaged import fetch_archive

        return fetch_archive(location, version)
    from proj.source.repository import fetch_local, fetch_remote

    return fetch_remote(location, version) if location.path is None else fetch_local(location, version)


def is_remote(uri: str, *, cwd: Path) -> bool:
    """Whether `fetch` would bring it from elsewhere, or unpack it: all but a folder.

    Raises:
        SourceError: It is nothing that can be fetched, or a path that does not exist.
    """
    return parse(uri, cwd=cwd).kind != "local"


def release(checkout: Checkout) -> None:
    """Remove a private checkout; any other is left alone. May be called more than once."""
    if checkout.private:
        from proj.source import checkouts

        checkouts.discard(checkout.root)


def keep(checkout: Checkout) -> None:
    """Let a private checkout stay after this process, for the user to look at."""
    if checkout.private:
        from proj.source import checkouts

        checkouts.keep(checkout.root)


def lock_descriptor(checkout: Checkout) -> int | None:
    """The open file that keeps a private checkout there, for a process to inherit; None for any other."""
    if not checkout.private:
        return None
    from proj.source import checkouts

    return checkouts.lock_descriptor(checkout.root)


def hold(checkout: Checkout) -> bool:
    """Let a private checkout stay while this process lives, too; False if it is gone.

    For a process that takes a run over from the one that fetched its code.
    """
    if not checkout.private:
        return True
    from proj.source import checkouts

    return checkouts.hold(checkout.root)


def prune_checkouts(*, kept_older_than_s: float | None = None) -> int:
    """Remove private checkouts of processes that are gone; those that were kept, from a certain age.

    Args:
        kept_older_than_s: Age in seconds; None: kept ones stay.

    Returns:
        How many were removed.
    """
    from proj.source import checkouts

    return checkouts.prune(kept_older_than_s=kept_older_than_s)


def download(uri: str, target_dir: Path) -> Path:
    """Fetch the http, https or file URL of a `path` parameter into a folder, and return the local path.

    Raises:
        SourceError: It cannot be fetched, or its scheme is not supported; nothing is left behind.
    """
    from proj.source.downloads import download as fetch_url

    return fetch_url(uri, target_dir)


def _check_version(version: str) -> None:
    from proj.errors import SourceError

    if version.startswith("-") or any(ord(character) < ord(" ") for character in version):
        raise SourceError(
            f"Not a revision: {version!r}", hint="Give a branch, a tag or a commit; none begins with a dash."
        )
