"""The tree as it runs, kept as git keeps trees: its hash is the proof, a git bundle gives it back.

What is committed and pushed is kept by naming the commit. What is not, is written with `git fast-import`
into a temporary repository that borrows the user's objects, as one commit without parents for each
repository that differs from its HEAD, and packed with the unpushed commits. Bytes are stored as they are on
disk. The user's repository is only read, and nothing that its settings name is started. The same tree on the
same commit gives the same hashes and the same bundle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.errors import SourceError
from proj.model import Snapshot, SourceBundle, SourcePart
from proj.source import bundle
from proj.source.bundle import Workshop, workplace
from proj.source.contents import Content, object_hash
from proj.source.digests import sha256
from proj.source.limit import leave_out_largest, without_commits
from proj.source.memory import Memory
from proj.source.survey import Surveyor, leave_out_outputs, read_contents
from proj.source.uri import host_of, redact_url
from proj.source.worktree import shown

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from proj.model import Checkout
    from proj.source.parts import Part
    from proj.source.worktree import Worktree

LIMIT_BYTES = 100 * 1024**2
_MOST_NAMED = 20
_COMMIT = "refs/heads/commit"
_COMMITTER = "proj <proj@localhost>"


def take(
    root: Path,
    *,
    store: Path,
    archive: bool = False,
    limit_bytes: int = LIMIT_BYTES,
    tree: Worktree | None = None,
    project: str = "",
    outputs: Collection[str] = (),
) -> Snapshot:
    """Keep the tree at `root` as it is now.

    Args:
        root: Top of a working tree, or a folder that is in no repository.
        store: Folder of bundles, one for each content; see `bundle_file`.
        archive: Whether the bundle has to be enough by itself, even for what is pushed.
        limit_bytes: The most that is stored. Beyond it the largest new files are left out, and before them
            the commits that are not pushed, of which the files are stored then as they are.
        tree: What git has just said of the tree, if it was asked.
        project: The folder that runs, relative to `root`; it is kept even if the repository ignores it.
        outputs: Files, relative to `root`, that are not kept unless they are tracked.

    Raises:
        SourceError: There is no room to store it.
        ToolMissingError: There is no git.
        ToolFailedError: Git cannot read the repository.
    """
    with workplace(store) as scratch:
        surveyor = Surveyor(scratch, archive=archive)

        def survey() -> list[Part]:
            top = surveyor.survey(root.absolute(), tree=tree)
            surveyor.add_ignored(top, project)
            leave_out_outputs(top, outputs)
            return top.everything()

        try:
            return _keep(survey(), scratch / "git", store, limit_bytes)
        except _TooLargeError as error:
            parts = survey()
            for part in parts:
                without_commits(part, error.size_bytes)
            return _keep(parts, scratch / "files", store, limit_bytes)


def _keep(parts: list[Part], folder: Path, store: Path, limit_bytes: int) -> Snapshot:
    leave_out_largest(parts, limit_bytes)
    for part in parts:
        read_contents(part)
    kept = _Kept(parts)
    found = _store(kept, folder, store, limit_bytes) if kept.needed else None
    return _snapshot(parts, kept.finished, found)


def bundle_file(store: Path, snapshot: Snapshot) -> Path | None:
    """Where the bundle of a snapshot is that was taken here; None if it needs none."""
    return None if snapshot.bundle is None else store / _bundle_name(snapshot.parts)


def require_clean(checkout: Checkout) -> None:
    """Refuse a tree that is another than its commit's.

    Raises:
        SourceError: Files have changed; they are named. Or there is no commit.
    """
    state = checkout.git
    if state is None or state.commit is None:
        raise SourceError(
            f"{checkout.root} has no commit, so it cannot be a clean one.",
            hint="Commit it, or leave --require-clean out.",
        )
    if state.dirty:
        files = state.changed_files
        more = (f"and {len(files) - _MOST_NAMED} more",) if len(files) > _MOST_NAMED else ()
        raise SourceError(
            f"{len(files)} {'file' if len(files) == 1 else 'files'} in {checkout.root} "
            f"{'is' if len(files) == 1 else 'are'} not as committed.",
            hint="Commit or remove them, or leave --require-clean out.",
            details=(*files[:_MOST_NAMED], *more),
        )


class _TooLargeError(Exception):
    """With the commits that are not pushed, there would be more than may be stored."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(size_bytes)
        self.size_bytes = size_bytes


class _Kept:
    """Which commits stand for the parts, and which have to be written."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts
        self.digits = next((len(part.commit) for part in parts if part.commit), 40)
        present = [part for part in parts if part.present]
        # whole parts get a commit without parents, since theirs are not in the bundle
        self.written = [part for part in present if part.edited or part.whole]
        self.needed = bool(self.written) or any(not part.pushed for part in present)
        self.finished: dict[int, tuple[str, str]] = {}
        """Index of a part -> its tree, the commit written for it."""

    def stream(self) -> list[bytes]:
        """All that is written, for `git fast-import`, in pieces; inner repositories first."""
        numbers = {id(part): index for index, part in enumerate(self.parts, start=1)}
        chunks = [
            chunk
            for part in reversed(self.written)
            for chunk in _commit(part, numbers, [id(each) for each in self.written])
        ]
        for part in self.written:
            number = numbers[id(part)]
            chunks.append(b'get-mark :%d\nls :%d ""\n' % (number, number))
        return [*chunks, b"done\n"]

    def take_answers(self, lines: Sequence[str]) -> None:
        """Read what `git fast-import` says of the stream."""
        for part, commit, tree in zip(self.written, lines[::2], lines[1::2], strict=True):
            index = next(index for index, each in enumerate(self.parts) if each is part)
            empty = tree.startswith("missing ")
            digest = object_hash(b"tree", b"", self.digits) if empty else tree[len("040000 tree ") :].rstrip()
            self.finished[index] = (digest, commit)


def _commit(part: Part, numbers: dict[int, int], written: list[int]) -> list[bytes]:
    number = numbers[id(part)]
    said = f"Tree as it ran, on {part.commit}\n" if part.commit else "Tree as it ran\n"
    head = (
        f"commit refs/heads/part-{number}\nmark :{number}\n"
        f"committer {_COMMITTER} {part.committed_at_s} +0000\ndata {len(said)}\n{said}"
    )
    chunks = [head.encode()]
    if part.commit_tree is not None:
        chunks.append(f'M 040000 {part.commit_tree} ""\n'.encode())
    chunks += [b"D %s\n" % _quoted(path) for path in sorted(part.deleted)]
    for path in sorted({*part.contents, *part.links}):
        child = part.links.get(path)
        if child is not None:
            chunks.append(b"M 160000 %s %s\n" % (_link(child, numbers, written), _quoted(path)))
        else:
            chunks += _inline(path, part.contents[path])
    return [*chunks, b"\n"]


def _inline(path: str, content: Content) -> tuple[bytes, ...]:
    head = b"M %s inline %s\ndata %d\n" % (content.mode.encode(), _quoted(path), len(content.data))
    return head, content.data, b"\n"


def _link(part: Part, numbers: dict[int, int], written: list[int]) -> bytes:
    if part.edited and id(part) in written:
        return b":%d" % numbers[id(part)]
    return (part.commit or "").encode()


def _quoted(path: str) -> bytes:
    raw = path.encode("utf-8", "surrogateescape")
    return b'"%s"' % raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")


def _store(kept: _Kept, folder: Path, store: Path, limit_bytes: int) -> SourceBundle:
    chunks = kept.stream() if kept.written else []
    memory = Memory(store, [*_words(_source_parts(kept.parts, {})), *chunks])
    known = _stored(kept, memory, store)
    if known is not None and known.size_bytes <= limit_bytes:
        return known
    from proj.source.repositories import places_of

    repositories = [part for part in kept.parts if part.tree is not None]
    places = [places_of(part.folder) for part in repositories]
    shallow = [commit for place in places for commit in place.shallow]
    shallow += [part.commit for part in repositories if part.whole and part.commit]
    workshop = Workshop(
        folder,
        objects=list(dict.fromkeys(path for place in places for path in place.objects)),
        shallow=shallow,
        digits=kept.digits,
    )
    answers = workshop.import_commits(b"".join(chunks)) if kept.written else []
    kept.take_answers(answers)
    parts = _source_parts(kept.parts, kept.finished)
    target = store / _bundle_name(parts)
    refs = _refs(parts)
    # a whole part's commit comes along without its parents, and without a ref, so that git can clone it
    alone = [part.commit for part in parts if part.commit and part.snapshot and not part.base_commits]
    commits = [*(refs[name] for name in refs if name.startswith(_COMMIT)), *alone]
    bases = sorted({base for part in parts for base in part.base_commits})
    if commits:
        _check_size(workshop.size_of(commits, bases), limit_bytes)
    pack = workshop.pack(list(dict.fromkeys((*refs.values(), *alone))), bases)
    if commits:
        _check_size(pack.stat().st_size, limit_bytes)
    bundle.write_bundle(target, pack, refs, bases)
    found = bundle.describe(target)
    memory.keep(found.digest, answers)
    return found


def _stored(kept: _Kept, memory: Memory, store: Path) -> SourceBundle | None:
    """The bundle of an earlier run of the same; None if there is none, or not as it was written."""
    digest, answers = memory.recall()
    if digest is None or len(answers) != 2 * len(kept.written):
        return None
    kept.take_answers(answers)
    target = store / _bundle_name(_source_parts(kept.parts, kept.finished))
    try:
        found = bundle.describe(target)
    except SourceError:
        return None
    return found if found.digest == digest else None


def _check_size(size_bytes: int, limit_bytes: int) -> None:
    if size_bytes > limit_bytes:
        raise _TooLargeError(size_bytes)


def _refs(parts: Sequence[SourcePart]) -> dict[str, str]:
    """What a bundle names: the trees, and commits that are not pushed."""
    refs: dict[str, str] = {}
    for index, part in enumerate(parts):
        suffix = f"-{index}" if index else ""
        if part.snapshot is not None:
            refs[f"refs/heads/snapshot{suffix}"] = part.snapshot
        if part.present and part.commit is not None and part.base_commits not in ((), (part.commit,)):
            refs[f"{_COMMIT}{suffix}"] = part.commit
    first = refs.get("refs/heads/snapshot") or refs.get(_COMMIT)
    return {"HEAD": first, **refs} if first else refs


def _bundle_name(parts: Sequence[SourcePart]) -> str:
    """The name of a content: of all trees and commits in it, and of what they build on."""
    digest = sha256()
    digest.update(b"\0".join(_words(parts)))
    return f"{digest.hexdigest()}.bundle"


def _words(parts: Sequence[SourcePart]) -> list[bytes]:
    return [
        word.encode()
        for part in parts
        for word in (part.path, part.link, part.snapshot or "", part.commit or "", *part.base_commits)
    ]


def _source_parts(parts: Sequence[Part], finished: dict[int, tuple[str, str]]) -> tuple[SourcePart, ...]:
    return tuple(_source_part(part, finished.get(index)) for index, part in enumerate(parts))


def _source_part(part: Part, finished: tuple[str, str] | None) -> SourcePart:
    tree, snapshot = finished if finished is not None else (part.commit_tree, None)
    remote = part.tree.remote() if part.tree is not None else None
    branch = part.tree.branch if part.tree is not None else None
    return SourcePart(
        path=shown(part.path),
        tree=tree or "",
        commit=part.commit,
        link=(snapshot if part.present and part.edited else part.commit) or "",
        snapshot=snapshot,
        branch=None if branch is None else shown(branch),
        repository_url=None if remote is None else redact_url(_absolute(remote[1], part.folder)),
        base_commits=part.bases,
        present=part.present,
    )


def _absolute(url: str, folder: Path) -> str:
    """A remote's URL; a path that is relative to the repository is none that others can use."""
    is_relative = "://" not in url and not host_of(url) and not url.startswith("/")
    return str((folder / url).resolve()) if is_relative else url


def _snapshot(
    parts: Sequence[Part], finished: dict[int, tuple[str, str]], found: SourceBundle | None
) -> Snapshot:
    root, *others = _source_parts(parts, finished)
    changes = [change for part in parts for change in part.changes]
    left_out = [left for part in parts for left in part.left_out]
    return Snapshot(
        root=root,
        submodules=tuple(others),
        changes=tuple(sorted(changes, key=lambda change: change.path)),
        left_out=tuple(sorted(left_out, key=lambda left: left.path)),
        large_files=tuple(sorted(path for part in parts for path in part.large_files)),
        bundle=found,
    )
