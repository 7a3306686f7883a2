"""All files of a tree as it would run: tracked, and untracked but not ignored; where they lie, not read."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj.errors import SourceError
from proj.model import LeftOut
from proj.source import worktree
from proj.source.bundle import workplace
from proj.source.contents import UnfitError, read_file
from proj.source.conversions import encrypted, is_ciphertext, read_blob
from proj.source.ignored import PROJIGNORE, derived, list_folder, projignored
from proj.source.names import is_refused
from proj.source.secretfiles import ENCRYPTED, secret_by_name, secrets_in
from proj.source.worktree import Worktree, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEPTH_MAX = 10
_SNIFFED_MOST_BYTES = 8 * 1024**2
_EXECUTABLE = 0o100


class TreeFile(msgspec.Struct, frozen=True):
    """A file or a symbolic link of a tree."""

    path: str
    """Relative to the tree's top, `/` between folders; bytes that are no UTF-8 as surrogates."""
    executable: bool = False
    link: str | None = None
    """What a symbolic link names."""
    tracked: bool = False


class Listing(msgspec.Struct, frozen=True):
    """What is in a tree."""

    files: tuple[TreeFile, ...]
    """Sorted by their paths."""
    left_out: tuple[LeftOut, ...]


class _Found(msgspec.Struct, frozen=True):
    path: str
    committed: str | None = None
    """The blob that is committed, where the file is another; empty: it is the same; None: none is."""


def list_tree(root: Path, *, store: Path, project: str = "") -> Listing:
    """List what a snapshot of a tree would hold, and what it would leave out as secret.

    Args:
        root: Top of a working tree, or a folder that is in no repository.
        store: A folder for work of its own.
        project: The folder that runs, relative to `root`; it is there even if the repository ignores it.

    Raises:
        SourceError: Repositories are nested too deep.
        ToolMissingError: There is no git.
        ToolFailedError: Git cannot read the repository.
    """
    files: dict[str, TreeFile] = {}
    left: list[LeftOut] = []
    with workplace(store) as scratch:
        for folder, prefix, tree, found in _walk(root.absolute(), "", scratch, project, 0):
            concealed = encrypted(tree, [each.path for each in found]) if tree is not None else ()
            for each in found:
                path = f"{prefix}{each.path}"
                try:
                    if each.path in concealed and not is_ciphertext(folder / each.path):
                        raise UnfitError("secret", ENCRYPTED)  # noqa: TRY301  like the others
                    file = _look(folder, path, each, tree)
                except UnfitError as reason:
                    committed = each.committed is not None
                    left.append(
                        LeftOut(
                            path=shown(path), reason=reason.reason, detail=reason.detail, committed=committed
                        )
                    )
                    continue
                if file is not None:
                    files[path] = file
    ordered = tuple(files[path] for path in sorted(files))
    return Listing(files=ordered, left_out=tuple(sorted(left, key=lambda each: each.path)))


def _walk(
    folder: Path, prefix: str, scratch: Path, project: str, depth: int
) -> Iterator[tuple[Path, str, Worktree | None, list[_Found]]]:
    """Each repository, and each folder that is in none, with what is in it but not in those below."""
    if depth > _DEPTH_MAX:
        raise SourceError(f"Repositories are nested deeper than {_DEPTH_MAX} levels in {folder}.")
    tree = worktree.read(folder) if worktree.is_repository(folder) else None
    if tree is None:
        found, nested = _folder(folder, scratch)
    else:
        found, nested = _repository(folder, tree)
        if project and not any(_is_below(each, project) for each in (*(f.path for f in found), *nested)):
            inner, deeper = _folder(folder / project, scratch)
            found += [_Found(f"{project}/{each.path}") for each in inner]
            nested += [f"{project}/{each}" for each in deeper]
    yield folder, prefix, tree, found
    for path in nested:
        below = project[len(path) + 1 :] if project.startswith(f"{path}/") else ""
        yield from _walk(folder / path, f"{prefix}{path}/", scratch / f"{depth}", below, depth + 1)


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/") or folder.startswith(f"{path}/")


def _folder(folder: Path, scratch: Path) -> tuple[list[_Found], list[str]]:
    scratch.mkdir(parents=True, exist_ok=True)
    listed = list_folder(folder, scratch)
    unwanted = derived(listed)
    if any(path.rpartition("/")[2] == PROJIGNORE for path in listed):
        unwanted |= projignored(folder, scratch)
    kept = [path for path in listed if path not in unwanted]
    return (
        [_Found(path) for path in kept if not path.endswith("/")],
        [path.rstrip("/") for path in kept if path.endswith("/")],
    )


def _repository(folder: Path, tree: Worktree) -> tuple[list[_Found], list[str]]:
    untracked = [change.path for change in tree.changes if change.state == "??"]
    changed = {change.path: change.head_hash for change in tree.changes if change.state != "??"}
    unwanted = derived(untracked)
    if tree.files_named(PROJIGNORE):
        unwanted |= projignored(folder, None)
    found: dict[str, _Found] = {}
    nested: list[str] = []
    for file in tree.tracked():
        if file.is_submodule:
            nested.append(file.path)
        elif file.path not in unwanted:
            found[file.path] = _Found(file.path, changed.get(file.path, ""))
    for path in untracked:
        if path in unwanted:
            continue
        if path.endswith("/"):
            nested.append(path.rstrip("/"))
        else:
            found[path] = _Found(path)
    return list(found.values()), [path for path in dict.fromkeys(nested) if (folder / path / ".git").exists()]


def _look(folder: Path, path: str, found: _Found, tree: Worktree | None) -> TreeFile | None:
    """What is at a path; None if nothing is.

    Raises:
        UnfitError: It is to be left out.
    """
    place = folder / found.path
    try:
        status = place.lstat()
        if _is_behind_link(folder, found.path):
            return None
        if stat.S_ISLNK(status.st_mode):
            link = os.fsdecode(os.fsencode(place.readlink()))
            return TreeFile(path, link=link, tracked=found.committed is not None)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UnfitError("unreadable", f"it cannot be read: {error.strerror}") from error
    if is_refused(found.path) or not stat.S_ISREG(status.st_mode):
        raise UnfitError("special", "it is neither a file nor a link")
    if found.committed != "":  # what is as committed is known to whoever has the repository
        _check_secret(place, found, tree, status.st_size)
    executable = bool(status.st_mode & _EXECUTABLE)
    return TreeFile(path, executable=executable, tracked=found.committed is not None)


def _check_secret(place: Path, found: _Found, tree: Worktree | None, size_bytes: int) -> None:
    named = secret_by_name(found.path)
    if named is not None:
        raise UnfitError("secret", f"it looks like a secret: {named}")
    if size_bytes > _SNIFFED_MOST_BYTES:
        return
    content = read_file(place)
    secrets = {} if content is None else secrets_in(content.data)
    if secrets and tree is not None and found.committed and found.committed.strip("0"):
        committed = read_blob(tree.root, found.committed)
        secrets = {secret: what for secret, what in secrets.items() if secret not in committed}
    if secrets:
        raise UnfitError("secret", f"it looks like a secret: it holds {next(iter(secrets.values()))}")


def _is_behind_link(folder: Path, path: str) -> bool:
    """Whether a folder on the way to it is a link: what is there is not of this tree."""
    parent = Path(path).parent
    while parent != Path():
        if (folder / parent).is_symlink():
            return True
        parent = parent.parent
    return False
