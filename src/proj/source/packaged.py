"""A project in an archive, as a private checkout."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from proj import events, process
from proj.errors import SourceError
from proj.model import Checkout
from proj.source import checkouts
from proj.source.archive import top_folder, unpack
from proj.source.downloads import fetch_file
from proj.source.uri import ARCHIVE_SUFFIXES, Location, enter_subdir, redact_url

if TYPE_CHECKING:
    from pathlib import Path


def fetch_archive(location: Location, version: str | None) -> Checkout:
    """Unpack an archive, after fetching it where need be.

    Raises:
        SourceError: It cannot be fetched or unpacked, or has no such folder; or a version was asked for.
    """
    shown = str(location.path or redact_url(location.url))
    if version is not None:
        raise SourceError(
            f"An archive has no versions, but {version!r} is asked for of {shown}.",
            hint="Leave -v out, or name the repository.",
        )
    file_name = re.split(r"[?]", shown, maxsplit=1)[0].rpartition("/")[2]
    suffix = max((each for each in ARCHIVE_SUFFIXES if file_name.lower().endswith(each)), key=len, default="")
    tree = checkouts.allocate(file_name[: len(file_name) - len(suffix)])
    try:
        _fill(location, tree, shown)
        root, project_dir = _roots(location, tree, shown)
    except BaseException:
        with process.deferred():
            checkouts.discard(tree)
        raise
    return Checkout(
        uri=location.uri,
        kind="archive",
        root=root,
        project_dir=project_dir,
        subdir=location.subdir,
        private=True,
    )


def _fill(location: Location, tree: Path, shown: str) -> None:
    if location.path is not None:
        events.step(f"Unpacking {shown}")
        unpack(location.path, tree, shown=shown)
        return
    downloaded = tree.parent / "archive"
    url = location.url
    if location.credentials is not None:
        url = location.credentials.insert_into(url)
    fetch_file(url, downloaded)
    events.step(f"Unpacking {shown}")
    unpack(downloaded, tree, shown=shown)
    downloaded.unlink()


def _roots(location: Location, tree: Path, shown: str) -> tuple[Path, Path]:
    """Top of the project and the project's folder; a `#subdir` may or may not count the single top folder."""
    top = top_folder(tree)
    if (
        top != tree
        and location.subdir
        and not (top / location.subdir).is_dir()
        and (tree / location.subdir).is_dir()
    ):
        top = tree
    return top, enter_subdir(top, location.subdir, root=tree, shown=shown)
