"""Get a tree back from its snapshot: from the remotes and the bundle, or from the bundle alone.

The snapshot and the bundle may come from anywhere, so nothing in them is believed: the pack is checked by
git's own fsck before anything is written, git refuses paths that lead elsewhere, no hook or filter runs, and
at the end the files on disk are hashed again. The target appears whole, or not at all.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from proj import events, process
from proj.errors import SourceError, ToolFailedError
from proj.source import bundle, git
from proj.source.files import make_folder, os_failure, remove_tree
from proj.source.lfs import fetch_large_files
from proj.source.mirror import Mirror
from proj.source.refs import is_full_hash, is_ref_name
from proj.source.tree import quoted_path, write_skeleton
from proj.source.treehash import hash_tree
from proj.source.uri import check_git_url, host_of, redact_url, split_credentials
from proj.source.worktree import shown

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from proj.model import Snapshot, SourcePart

_CONFIG = (
    "[core]\n\tbare = false\n\tfilemode = true\n\tlogallrefupdates = true\n"
    "\tprotectHFS = true\n\tprotectNTFS = true\n[gc]\n\tauto = 0\n"
)
_MOST_NAMED = 20
_OTHER_REMOTE = "--remote URL names a repository that has the commit."
# what old tools have written into commits and trees leads nowhere; what could is refused
_STRICT = "--strict=" + ",".join(
    f"{flaw}=ignore"
    for flaw in (
        *("badDate", "badDateOverflow", "badEmail", "badName", "badTimezone", "missingEmail"),
        *("missingNameBeforeEmail", "missingSpaceBeforeDate", "missingSpaceBeforeEmail"),
        *("multipleAuthors", "zeroPaddedDate", "zeroPaddedFilemode"),
    )
)
_AS_THEY_ARE = "* -text -ident !eol !filter !working-tree-encoding\n"


def restore(
    snapshot: Snapshot,
    target: Path,
    *,
    bundle_path: Path | None = None,
    remotes: Mapping[str, str] | None = None,
) -> None:
    """Write the tree of a snapshot into `target`, with a repository on the same commit if it had one.

    Args:
        snapshot: What `take` returned.
        target: A folder that is empty, or does not exist.
        bundle_path: The snapshot's bundle, if it has one.
        remotes: Path of a repository in the tree, empty for the tree itself -> URL to use instead of its own.

    Raises:
        SourceError: The target is not empty; a commit cannot be had; the bundle is missing, damaged or not
            to be trusted; or what was written has another hash. Nothing is left behind.
        ToolMissingError: There is no git.
    """
    _check_values(snapshot)
    _check_target(target)
    _check_bundle(snapshot, bundle_path)
    # a folder that is there stays the one that it is: somebody may stand in it, or have mounted it
    there = target.is_dir()
    building = (target if there else target.parent) / f".{os.urandom(8).hex()}"
    make_folder(building)
    try:
        _Restoration(snapshot, building, remotes or {}).run(bundle_path if snapshot.bundle else None)
        if there:
            _move_into(target, building)
        else:
            building.replace(target)
    except ToolFailedError as error:
        raise SourceError(f"git cannot restore {target}.", details=error.details) from error
    except OSError as error:
        raise os_failure(error, f"Cannot write {target}") from error
    finally:
        with process.deferred():
            for folder in (building, _beside(building)):
                if folder.exists():
                    remove_tree(folder)


def _move_into(target: Path, building: Path) -> None:
    moved: list[Path] = []
    try:
        for entry in sorted(building.iterdir()):
            _check_ours(target, (building, _beside(building), *moved))
            entry.rename(target / entry.name)
            moved.append(target / entry.name)
    except BaseException:
        with process.deferred():
            for path in moved:
                if path.is_dir() and not path.is_symlink():
                    remove_tree(path)
                else:
                    path.unlink(missing_ok=True)
        raise


def absent_commits(snapshot: Snapshot, remotes: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The commits for which `restore` needs the network.

    Args:
        snapshot: What `take` returned.
        remotes: See `restore`.

    Raises:
        SourceError: A commit has to come from a remote, and there is none.
    """
    _check_values(snapshot)
    found = []
    for part in snapshot.parts:
        if not part.present or not part.base_commits:
            continue
        mirror = _mirror(part, (remotes or {}).get(part.path) or part.repository_url)
        if not mirror.allow_file:
            found += [commit for commit in part.base_commits if not mirror.has(commit)]
    return tuple(found)


class _Restoration:
    """One tree on its way."""

    def __init__(self, snapshot: Snapshot, building: Path, remotes: Mapping[str, str]) -> None:
        self._snapshot = snapshot
        self._building = building
        self._remotes = remotes
        self._digits = len(snapshot.root.tree)
        # a folder that was in no repository becomes one that is in none
        self._keeps_git = snapshot.root.commit is not None
        self._git_dir = building / ".git" if self._keeps_git else _beside(building)
        self._folders: dict[str, Path] = {"": building}

    def run(self, bundle_path: Path | None) -> None:
        """Do all of it.

        Raises:
            SourceError: See `restore`.
        """
        mirrors = self._fetch()
        self._prepare(mirrors)
        if bundle_path is not None:
            self._unpack(bundle_path)
        for part in self._snapshot.parts:
            if part.path in self._folders:
                self._write(part)
        lost = [part.path for part in self._snapshot.parts if part.present and part.path not in self._folders]
        if lost:
            raise SourceError(f"The snapshot names a repository that its tree has not: {lost[0]!r}")
        if self._keeps_git:
            self._leave_repositories()
            self._get_large_files()

    def _fetch(self) -> list[Mirror]:
        """See to it that the cache has the commits that are to come from remotes."""
        mirrors: dict[str, Mirror] = {}
        for part in self._snapshot.parts:
            if not part.present or not part.base_commits:
                continue
            mirror = _mirror(part, self._remotes.get(part.path) or part.repository_url)
            mirrors[mirror.url] = mirror
            for commit in part.base_commits:
                if not mirror.has(commit):
                    _update(mirror, commit)
        return list(mirrors.values())

    def _prepare(self, mirrors: list[Mirror]) -> None:
        root = self._snapshot.root
        write_skeleton(self._git_dir, _CONFIG + _remote(root), long_hashes=self._digits > 40)  # noqa: PLR2004  SHA-1
        lines = "".join(f"{quoted_path(mirror.path / 'objects')}\n" for mirror in mirrors)
        (self._git_dir / "objects/info/alternates").write_text(lines, "utf-8", "surrogateescape")
        _write_shallow(self._git_dir, self._snapshot.parts)
        (self._git_dir / "info").mkdir()
        (self._git_dir / "info/attributes").write_text(_AS_THEY_ARE, "utf-8")

    def _unpack(self, path: Path) -> None:
        """Take over a bundle's objects, each of them checked, and all that they refer to."""
        pack = self._git_dir / "objects/pack/pack-snapshot.pack"
        with path.open("rb") as file:
            header = bundle.read_header(file)
            with pack.open("wb") as out:
                file.seek(header.offset)
                shutil.copyfileobj(file, out)
        known = {commit for part in self._snapshot.parts for commit in part.base_commits}
        if header.digits != self._digits or not known.issuperset(header.prerequisites):
            raise SourceError(
                "The source bundle does not belong to the snapshot: it builds on other commits."
            )
        try:
            git.run("index-pack", _STRICT, str(pack), git_dir=self._git_dir)
        except ToolFailedError as error:
            raise SourceError(
                "The source bundle is damaged, or not to be trusted: git refuses its objects.",
                details=error.details,
            ) from error

    def _write(self, part: SourcePart) -> None:
        folder = self._folders[part.path]
        tip = part.snapshot or part.commit or ""
        found = git.run(
            "rev-parse", "--verify", "--quiet", f"{tip}^{{tree}}", git_dir=self._git_dir, check=False
        )
        if found.stdout.strip() != part.tree:
            raise SourceError(f"The tree of commit {tip} is not the one that was recorded: {part.tree}")
        index = self._git_dir / "restoring"
        git.run(
            *("read-tree", "--reset", "-u", "--no-recurse-submodules", part.tree),
            git_dir=self._git_dir,
            cwd=folder,
            env={"GIT_WORK_TREE": str(folder), "GIT_INDEX_FILE": str(index)},
        )
        index.unlink()
        links = self._links(part)
        self._verify(part, folder, links)
        for path in links:
            below = shown(f"{part.path}/{path}" if part.path else path)
            child = next((each for each in self._snapshot.submodules if each.path == below), None)
            if child is not None and child.present:
                if child.link != links[path]:
                    raise SourceError(f"The tree has {below} at another commit than was recorded.")
                self._folders[below] = _inside(folder, path)

    def _links(self, part: SourcePart) -> dict[str, str]:
        listing = git.run("ls-tree", "-r", "-z", part.tree, git_dir=self._git_dir, exact=True).stdout
        links = {}
        for line in listing.split("\0"):
            if line.startswith("160000 "):
                meta, _, path = line.partition("\t")
                links[path] = meta.split(" ")[2]
        return links

    def _verify(self, part: SourcePart, folder: Path, links: Mapping[str, str]) -> None:
        try:
            written = hash_tree(folder, links, digits=self._digits)
        except RecursionError as error:
            raise SourceError("The snapshot's folders are nested too deep to be checked.") from error
        if written != part.tree:
            raise SourceError(
                f"What was written has another hash than the snapshot: {written}, not {part.tree}.",
                hint="A file system that ignores case, modes or links cannot hold every tree.",
            )

    def _leave_repositories(self) -> None:
        """Make it a repository on the same commit, that needs neither cache nor bundle."""
        (self._git_dir / "info/attributes").unlink()
        for index, part in enumerate(self._snapshot.parts):
            for kind, commit in (("commit", part.commit), ("snapshot", part.snapshot)):
                if commit is not None and part.present:
                    ref = self._git_dir / f"refs/proj/{kind}-{index}"
                    ref.parent.mkdir(exist_ok=True)
                    ref.write_text(f"{commit}\n", "utf-8")
        git.run("repack", "-a", "-d", "-q", git_dir=self._git_dir)
        (self._git_dir / "objects/info/alternates").unlink()
        for part in self._snapshot.parts:
            folder = self._folders.get(part.path)
            if folder is None or part.commit is None:
                continue
            git_dir = folder / ".git"
            if part.path:
                write_skeleton(git_dir, _CONFIG + _remote(part), long_hashes=self._digits > 40)  # noqa: PLR2004  SHA-1
                objects = os.path.relpath(self._git_dir / "objects", git_dir / "objects")
                (git_dir / "objects/info/alternates").write_text(f"{objects}\n", "utf-8", "surrogateescape")
                _write_shallow(git_dir, (part,))
            _set_head(git_dir, part)
            git.run("read-tree", part.commit, git_dir=git_dir, cwd=folder)

    def _get_large_files(self) -> None:
        for part in self._snapshot.parts:
            if part.path in self._folders and part.commit is not None and self._snapshot.large_files:
                url, credentials = split_credentials(
                    self._remotes.get(part.path) or part.repository_url or ""
                )
                fetch_large_files(self._folders[part.path], None, url, credentials)


def _check_values(snapshot: Snapshot) -> None:
    for part in snapshot.parts:
        hashes = (part.commit, part.snapshot, part.tree, part.link, *part.base_commits)
        wrong = [each for each in hashes if each and not is_full_hash(each)]
        if wrong:
            raise SourceError(f"The snapshot holds what is no hash of git's: {wrong[0]!r}")
        if part.present and (not part.tree or not (part.snapshot or part.commit)):
            raise SourceError(f"The snapshot does not say what was in {part.path or 'the tree'}.")


def _check_target(target: Path) -> None:
    if os.path.lexists(target) and (target.is_symlink() or not target.is_dir() or any(target.iterdir())):
        raise _occupied(target)


def _check_ours(target: Path, ours: Collection[Path]) -> None:
    """See that nobody has written into the target meanwhile."""
    if not all(entry in ours for entry in target.iterdir()):
        raise _occupied(target)


def _occupied(target: Path) -> SourceError:
    return SourceError(
        f"{target} is there already, and is not an empty folder.", hint="Name a folder that does not exist."
    )


def _check_bundle(snapshot: Snapshot, path: Path | None) -> None:
    if snapshot.bundle is None:
        return
    if path is None:
        raise SourceError(
            "The snapshot has changes that are only in its bundle, and there is no bundle.",
            hint="The bundle is the run's artifact proj/source.bundle.",
        )
    found = bundle.describe(path)
    if found.digest != snapshot.bundle.digest:
        raise SourceError(
            f"{path} is not the bundle of this snapshot: its digest is {found.digest}, "
            f"not {snapshot.bundle.digest}."
        )


def _mirror(part: SourcePart, url: str | None) -> Mirror:
    if url is None:
        raise SourceError(
            f"The commit {part.base_commits[0]} has to come from a remote, and none is recorded.",
            hint=_OTHER_REMOTE,
        )
    clean, credentials = split_credentials(url)
    is_path = clean.startswith("/") or clean.lower().startswith("file://")
    if not is_path:
        check_git_url(clean)
        if "://" not in clean and not host_of(clean):
            raise SourceError(f"Not a URL that git can be given: {redact_url(url)!r}")
    return Mirror(clean, credentials, allow_file=is_path)


def _update(mirror: Mirror, commit: str) -> None:
    try:
        mirror.update(wanted=commit)
    except SourceError as error:
        hint = " ".join(filter(None, (error.hint, _OTHER_REMOTE)))
        raise SourceError(error.message, hint=hint, details=error.details) from error


def _remote(part: SourcePart) -> str:
    if part.repository_url is None:
        return ""
    url = part.repository_url.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'[remote "origin"]\n\turl = "{url}"\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n'


def _write_shallow(git_dir: Path, parts: tuple[SourcePart, ...]) -> None:
    """Name the commits that a bundle holds without their parents."""
    alone = {part.commit for part in parts if part.present and part.commit and not part.base_commits}
    if alone:
        (git_dir / "shallow").write_text("".join(f"{commit}\n" for commit in sorted(alone)), "utf-8")


def _set_head(git_dir: Path, part: SourcePart) -> None:
    head = part.commit
    if part.branch is not None and is_ref_name(part.branch):
        branch = git_dir / "refs/heads" / part.branch
        branch.parent.mkdir(parents=True, exist_ok=True)
        branch.write_text(f"{part.commit}\n", "utf-8", "surrogateescape")
        head = f"ref: refs/heads/{part.branch}"
    (git_dir / "HEAD").write_text(f"{head}\n", "utf-8", "surrogateescape")


def _inside(folder: Path, path: str) -> Path:
    """A submodule's folder: real, empty, and in the tree."""
    inner = folder / path
    if inner.is_symlink() or inner.resolve() != folder.resolve() / path or any(inner.iterdir()):
        raise SourceError(f"Not the folder of a submodule: {shown(path)!r}")
    return inner


def _beside(building: Path) -> Path:
    return building.with_name(f"{building.name}.git")


def say_left_out(snapshot: Snapshot) -> None:
    """Warn of the files that ran and that the snapshot does not hold; of very many, the first."""
    for left in snapshot.left_out[:_MOST_NAMED]:
        if left.reason == "commits":
            events.warning(f"{left.path} has no history: {left.detail}.")
            continue
        instead = "; its committed content is there instead" if left.committed else ""
        events.warning(f"{left.path} is not as it ran: {left.detail}{instead}.")
    if len(snapshot.left_out) > _MOST_NAMED:
        more = len(snapshot.left_out) - _MOST_NAMED
        events.warning(f"{more} more files are not as they ran; the run's proj/source.json names them.")
