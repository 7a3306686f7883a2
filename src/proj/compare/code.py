"""What differs between the code of two runs: files, then lines.

A `Tree` is one way to read the code of a run: out of git, where the commit is at hand, or from the folder
that a snapshot was restored to. `code_changes` compares any two.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from proj import record
from proj.errors import NotFoundError, ProjError
from proj.source import git
from proj.source.mirror import Mirror

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proj.compare.facts import RunFacts, SourceFacts
    from proj.model import Snapshot

_MOST_LINES = 20_000
"""Files with more lines are told apart, not line by line."""
_SNIFF_BYTES = 8000


class Entry(msgspec.Struct, frozen=True):
    """A file in a tree, as git knows it."""

    mode: str
    """`100644`, `100755`, `120000` for a link, `160000` for a submodule."""
    blob: str
    """Git's hash of the content."""


class Tree(Protocol):
    """The code of a run."""

    def entries(self) -> Mapping[str, Entry]:
        """Return path -> file; submodules as one entry, or with their files."""

    def read(self, path: str) -> bytes:
        """Return the content of a file; of a link, where it leads."""


class FileChange(msgspec.Struct, frozen=True, kw_only=True):
    """A file that differs."""

    path: str
    kind: Literal["added", "removed", "changed", "mode"]
    added: int = 0
    """Lines."""
    removed: int = 0
    diff: tuple[str, ...] = ()
    """Unified diff, without line ends; empty for binary files and long ones."""
    note: str | None = None
    """Why there is no diff."""


class GitTree:
    """The tree of a commit in a repository on this machine."""

    def __init__(self, repository: Path, commit: str) -> None:
        self._repository = repository
        self._commit = commit

    def entries(self) -> Mapping[str, Entry]:
        """See `Tree.entries`."""
        listing = self._git("ls-tree", "-r", "-z", "--full-tree", self._commit)
        found = {}
        for line in filter(None, listing.split("\0")):
            meta, _, path = line.partition("\t")
            mode, _, blob = meta.split(" ")
            found[path] = Entry(mode, blob)
        return found

    def read(self, path: str) -> bytes:
        """See `Tree.read`."""
        return self._git("cat-file", "blob", f"{self._commit}:{path}").encode("utf-8", "surrogateescape")

    def _git(self, *arguments: str) -> str:
        return git.run(*arguments, cwd=self._repository, exact=True).stdout


class FolderTree:
    """The files of a folder; git's own are left out."""

    def __init__(self, folder: Path, *, digits: int = 40) -> None:
        self._folder = folder
        self._digits = digits

    def entries(self) -> Mapping[str, Entry]:
        """See `Tree.entries`."""
        found = {}
        for parent, folders, names in os.walk(self._folder):
            here = Path(parent)
            links = [name for name in folders if (here / name).is_symlink()]
            folders[:] = sorted(name for name in folders if name != ".git" and name not in links)
            for name in (*names, *links):
                path = here / name
                state = path.lstat()
                if name != ".git" and (stat.S_ISREG(state.st_mode) or stat.S_ISLNK(state.st_mode)):
                    found[path.relative_to(self._folder).as_posix()] = self._entry(path, state)
        return found

    def _entry(self, path: Path, state: os.stat_result) -> Entry:
        content = _content(path)
        make = hashlib.sha1 if self._digits == 40 else hashlib.sha256  # noqa: PLR2004  hex digits of SHA-1
        blob = make(b"blob %d\0" % len(content) + content).hexdigest()
        executable = "100755" if state.st_mode & stat.S_IXUSR else "100644"
        return Entry("120000" if stat.S_ISLNK(state.st_mode) else executable, blob)

    def read(self, path: str) -> bytes:
        """See `Tree.read`."""
        return _content(self._folder / path)


def _content(path: Path) -> bytes:
    return os.fsencode(os.readlink(path)) if path.is_symlink() else path.read_bytes()  # noqa: PTH115  bytes


def code_changes(left: Tree, right: Tree) -> tuple[FileChange, ...]:
    """Say what differs between two trees, file by file in the order of their paths.

    Raises:
        ProjError: One of them cannot be read.
    """
    one, other = left.entries(), right.entries()
    changes = []
    for path in sorted({*one, *other}):
        before, after = one.get(path), other.get(path)
        if before != after:
            old = left.read(path) if before is not None and before.mode != "160000" else None
            new = right.read(path) if after is not None and after.mode != "160000" else None
            changes.append(_change(path, before, after, (old, new)))
    return tuple(change for change in changes if change is not None)


def _change(
    path: str, before: Entry | None, after: Entry | None, contents: tuple[bytes | None, bytes | None]
) -> FileChange | None:
    kind: Literal["added", "removed", "changed", "mode"] = "changed"
    if before is None:
        kind = "added"
    elif after is None:
        kind = "removed"
    if "160000" in ((before.mode if before else ""), (after.mode if after else "")):
        told = [each.blob if each else "none" for each in (before, after)]
        return FileChange(path=path, kind=kind, note=f"a submodule: {told[0]} and {told[1]}")
    old, new = contents
    if old is not None and old == new:
        modes = [each.mode if each else "" for each in (before, after)]
        if modes[0] == modes[1]:  # hashes of different kinds
            return None
        return FileChange(path=path, kind="mode", note=f"mode {modes[0]} and {modes[1]}")
    return content_change(path, old, new, kind=kind)


def content_change(
    path: str,
    old: bytes | None,
    new: bytes | None,
    *,
    kind: Literal["added", "removed", "changed", "mode"] = "changed",
) -> FileChange:
    """Say what differs between two contents, line by line where they are text.

    Args:
        path: For the diff's head.
        old: None: there is none.
        new: None: there is none.
        kind: What has happened to the file.
    """
    texts = [content or b"" for content in (old, new)]
    if any(b"\0" in text[:_SNIFF_BYTES] for text in texts):
        return FileChange(path=path, kind=kind, note=f"binary: {len(texts[0])} and {len(texts[1])} bytes")
    lines = [text.decode("utf-8", "backslashreplace").splitlines() for text in texts]
    if max(map(len, lines)) > _MOST_LINES:
        return FileChange(path=path, kind=kind, note=f"{len(lines[0])} and {len(lines[1])} lines")
    return _by_lines(path, kind, lines, absent=(old is None, new is None))


def _by_lines(
    path: str,
    kind: Literal["added", "removed", "changed", "mode"],
    lines: list[list[str]],
    *,
    absent: tuple[bool, bool],
) -> FileChange:
    import difflib

    names = ["/dev/null" if gone else f"{side}/{path}" for side, gone in zip("ab", absent, strict=True)]
    diff = tuple(difflib.unified_diff(lines[0], lines[1], names[0], names[1], lineterm=""))
    body = diff[2:]
    return FileChange(
        path=path,
        kind=kind,
        added=sum(line.startswith("+") for line in body),
        removed=sum(line.startswith("-") for line in body),
        diff=diff,
        note=None if diff else "only line ends differ",
    )


@contextlib.contextmanager
def code_of(run: RunFacts) -> Iterator[tuple[Tree | None, str | None]]:
    """Find a way to read the code of a run: its commit in a repository here, or its snapshot.

    Yields:
        The tree, None where there is none at hand; and what is to be said of it, if anything.
    """
    source = run.source
    if source is None or (source.commit is None and source.snapshot is None):
        yield None, f"the code of {run.run_name} is not recorded"
        return
    tree = _committed(source)
    if tree is not None and not source.dirty:
        yield tree, None
    elif source.snapshot is not None and source.snapshot.bundle is not None:
        with _restored(run, source.snapshot) as restored:
            yield restored
    elif tree is None:
        yield None, f"the commit {source.commit} of {run.run_name} is neither in its folder nor in the cache"
    else:
        files = f": {', '.join(source.changed_files)}" if source.changed_files else ""
        yield tree, f"{run.run_name} ran with uncommitted changes, which are not recorded{files}"


def _committed(source: SourceFacts) -> Tree | None:
    """The tree of a commit, in the folder that it ran in or in the cache of remote repositories."""
    if source.commit is None:
        return None
    folder = Path(source.uri)
    places = [folder] if folder.is_absolute() and folder.is_dir() else []
    urls = dict.fromkeys((source.repository_url, source.uri.partition("#")[0]))
    places += [Mirror(url).path for url in urls if url]
    for place in places:
        if place.is_dir():
            found = git.run("cat-file", "-e", f"{source.commit}^{{commit}}", cwd=place, check=False)
            if found.returncode == 0:
                return GitTree(place, source.commit)
    return None


@contextlib.contextmanager
def _restored(run: RunFacts, snapshot: Snapshot) -> Iterator[tuple[Tree | None, str | None]]:
    """The tree of a snapshot, written to a temporary folder."""
    from proj.source.restore import restore

    with tempfile.TemporaryDirectory(prefix="proj-diff-") as place:
        bundle, folder = Path(place) / "source.bundle", Path(place) / "tree"
        try:
            _fetch(run, bundle)
            restore(snapshot, folder, bundle_path=bundle)
        except (ProjError, OSError) as error:
            told = error.message if isinstance(error, ProjError) else str(error)
            yield None, f"the code of {run.run_name} cannot be restored: {told}"
            return
        yield FolderTree(folder, digits=len(snapshot.root.tree)), None


def _fetch(run: RunFacts, target: Path) -> None:
    import shutil

    try:
        with run.evidence.open(record.SOURCE_BUNDLE) as file, target.open("wb") as out:
            shutil.copyfileobj(file, out)
    except NotFoundError as error:
        raise NotFoundError("the record has no source bundle") from error
