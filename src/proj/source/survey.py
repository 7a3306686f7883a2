"""What of a tree is not in its commits: file by file, repository by repository."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from proj import events
from proj.errors import SourceError, ToolFailedError
from proj.source import git, worktree
from proj.source.contents import Content, UnfitError, read_file
from proj.source.ignored import PROJIGNORE, derived, list_folder, projignored
from proj.source.names import is_refused
from proj.source.parts import Part, Wanted, commit_facts, forced_mode
from proj.source.secretfiles import ENCRYPTED, secret_by_name, secrets_in
from proj.source.worktree import NO_LAZY_FETCH, Change, Worktree

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from proj.source.parts import ChangeKind

_DEPTH_MAX = 10
_SUBMODULE = "160000"
_MODULES = ".gitmodules"


class Surveyor:
    """Looks at trees.

    Args:
        scratch: A folder for its own use, which need not exist.
        archive: Whether all has to be in the bundle, even what is pushed.
    """

    def __init__(self, scratch: Path, *, archive: bool) -> None:
        self._scratch = scratch
        self._archive = archive

    def survey(self, folder: Path, path: str = "", *, tree: Worktree | None = None, depth: int = 0) -> Part:
        """Find out what is not committed in `folder`, and in the repositories below.

        Raises:
            SourceError: Repositories are nested too deep.
            ToolFailedError: Git cannot read something.
        """
        if depth > _DEPTH_MAX:
            raise SourceError(f"Repositories are nested deeper than {_DEPTH_MAX} levels in {folder}.")
        tree = _usable(folder, tree or _read(folder))
        part = Part(folder=folder, path=path, tree=tree)
        if tree is None:
            self._folder(part, depth)
            return part
        part.commit = tree.commit
        if tree.commit is not None:
            part.commit_tree, part.committed_at_s = commit_facts(tree, tree.commit)
            part.bases = () if self._archive else _bases(tree, tree.commit)
            part.pushed = part.bases == (tree.commit,)
        self._submodules(part, tree, depth)
        self._changes(part, tree, depth)
        self._concealed(part, tree)
        return part

    def add_ignored(self, part: Part, project: str) -> None:
        """See to it that the project's folder is kept, even if its repository ignores it.

        Args:
            part: The tree.
            project: The folder, relative to the tree.
        """
        prefix = f"{project}/"
        if part.tree is None or not project or prefix in part.tree.index:
            return
        if not any(path.startswith(prefix) for path in (*part.wanted, *part.links)):
            self._folder(part, 0, prefix)

    def _folder(self, part: Part, depth: int, below: str = "") -> None:
        folder = part.folder / below
        listed = list_folder(folder, self._scratch)
        unwanted = derived(listed)
        if any(path.rpartition("/")[2] == PROJIGNORE for path in listed):
            unwanted |= projignored(folder, self._scratch)
        for path in listed:
            if path in unwanted:
                continue
            if path.endswith("/"):
                self._nested(part, f"{below}{path}".rstrip("/"), depth)
            else:
                part.wanted[f"{below}{path}"] = Wanted(f"{below}{path}")
                if part.tree is not None:
                    part.note(f"{below}{path}", "untracked")

    def _submodules(self, part: Part, tree: Worktree, depth: int) -> None:
        gone = {change.path for change in tree.changes if "D" in change.state and change.state != "UU"}
        for entry in tree.special:
            if not entry.is_submodule or entry.path in gone or entry.path in part.links:
                continue
            folder = tree.root / entry.path
            if worktree.is_repository(folder):
                child = self.survey(folder, _join(part.path, entry.path), depth=depth + 1)
            else:
                child = Part(
                    folder=folder, path=_join(part.path, entry.path), commit=entry.hash, present=False
                )
            part.children.append(child)
            part.links[entry.path] = child

    def _nested(self, part: Part, path: str, depth: int) -> None:
        """A repository in the tree that is no submodule of it."""
        child = self.survey(part.folder / path, _join(part.path, path), depth=depth + 1)
        part.children.append(child)
        part.links[path] = child

    def _changes(self, part: Part, tree: Worktree, depth: int) -> None:
        ignored = derived([change.path for change in tree.changes if change.state == "??"])
        has_rules = bool(tree.changes) and bool(tree.files_named(PROJIGNORE))
        unwanted = projignored(part.folder, None) if has_rules else set()
        for change in tree.changes:
            path, new = change.path, change.state == "??"
            if new and (path in ignored or path in unwanted):
                continue
            if path in part.links:
                part.note(path, "submodule")
                continue
            if new and path.endswith("/"):
                self._nested(part, path.rstrip("/"), depth)
                part.note(path.rstrip("/"), "untracked")
                continue
            part.note(path, _kind(change))
            wanted = Wanted(path, change.head_hash, forced_mode(tree, change.index_mode), not new)
            if path in unwanted:
                part.leave_out(
                    wanted, UnfitError("ignored", "named in .projignore, so changes to it are not kept")
                )
            elif _is_gone(tree, change):
                part.deleted.add(path)
            else:
                part.wanted[path] = wanted

    def _concealed(self, part: Part, tree: Worktree) -> None:
        """What git does not call a change, and is one."""
        from proj.source.conversions import converts, find_converted, hidden_changes

        for file in hidden_changes(tree):
            part.note(file.path, "modified")
            if os.path.lexists(tree.root / file.path):
                part.wanted[file.path] = Wanted(file.path, file.hash, tracked=True)
            else:
                part.deleted.add(file.path)
        if not converts(tree):
            return
        found = find_converted(tree, pointers_will_do=part.pushed)
        part.large_files += [part.below(path) for path in found.large_files]
        hashes = {file.path: file.hash for file in tree.tracked()} if found.paths else {}
        for path in found.paths:
            part.note(path, "converted")
            part.wanted[path] = Wanted(path, hashes[path], tracked=True)
        if part.pushed:
            self._unchanged_large_files(part, tree)

    def _unchanged_large_files(self, part: Part, tree: Worktree) -> None:
        """Files of Git LFS that seem changed, since git's own comparison would need the filter."""
        from proj.source.conversions import pointers

        modified = {path: wanted for path, wanted in part.wanted.items() if wanted.head_hash.strip("0")}
        known = pointers(tree.root, (wanted.head_hash for wanted in modified.values()))
        for path, wanted in modified.items():
            pointer = known.get(wanted.head_hash)
            if pointer is not None and pointer.fits(tree.root / path):
                del part.wanted[path]
                part.changes = [change for change in part.changes if change.path != part.below(path)]
                part.large_files.append(part.below(path))


def leave_out_outputs(part: Part, outputs: Collection[str]) -> None:
    """Leave out untracked files that earlier runs made: they are kept with those."""
    for path in [path for path, wanted in part.wanted.items() if not wanted.tracked and path in outputs]:
        part.leave_out(part.wanted.pop(path), UnfitError("ignored", "it is an output of the project"))


def read_contents(part: Part) -> None:
    """Read the files to be stored, and leave out what must not be."""
    links: dict[str, bool] = {}
    concealed = _encrypted(part)
    for wanted in sorted(part.wanted.values(), key=lambda each: each.path):
        try:
            if is_refused(wanted.path):
                raise UnfitError("special", "git keeps no file of such a name")  # noqa: TRY301  like the others
            if wanted.path in concealed:
                raise UnfitError("secret", ENCRYPTED)  # noqa: TRY301  same
            behind_link = wanted.tracked and _is_behind_link(part.folder, wanted.path, links)
            content = None if behind_link else _fit_content(part, wanted)
        except UnfitError as reason:
            part.leave_out(wanted, reason)
            continue
        if content is not None:
            part.contents[wanted.path] = content
        elif wanted.tracked:
            part.deleted.add(wanted.path)


def _encrypted(part: Part) -> Collection[str]:
    """The files that are committed encrypted only."""
    if part.tree is None or not part.wanted:
        return ()
    from proj.source.conversions import encrypted

    return encrypted(part.tree, part.wanted)


def _is_behind_link(folder: Path, path: str, known: dict[str, bool]) -> bool:
    """Whether a folder on the way to a file has become a link: the file is not there then, as git sees it."""
    parent = path.rpartition("/")[0]
    if not parent:
        return False
    if parent not in known:
        known[parent] = os.path.islink(f"{folder}/{parent}") or _is_behind_link(folder, parent, known)  # noqa: PTH114  many paths
    return known[parent]


def _fit_content(part: Part, wanted: Wanted) -> Content | None:
    named = secret_by_name(wanted.path)
    if named is not None:
        raise UnfitError("secret", f"it looks like a secret: {named}")
    content = read_file(part.folder / wanted.path)
    if content is None:
        return _from_index(part, wanted)
    if content.mode == "120000" and wanted.path.rpartition("/")[2].lower() == _MODULES:
        raise UnfitError("special", f"git keeps no link of the name {_MODULES}")
    found = secrets_in(content.data)
    if found and part.tree is not None and wanted.head_hash.strip("0"):
        from proj.source.conversions import read_blob

        committed = read_blob(part.tree.root, wanted.head_hash)
        found = {secret: what for secret, what in found.items() if secret not in committed}
    if found:
        raise UnfitError("secret", f"it looks like a secret: it holds {next(iter(found.values()))}")
    if wanted.mode:
        content = Content(wanted.mode, content.data)
    return content


def _from_index(part: Part, wanted: Wanted) -> Content | None:
    """What is staged, for a file that a sparse checkout keeps off the disk."""
    if part.tree is None or not wanted.tracked:
        return None
    from proj.source.conversions import read_blob

    for file in part.tree.special:
        if file.path == wanted.path and file.tag in ("S", "s"):
            return Content(file.mode, read_blob(part.tree.root, file.hash))
    return None


def _read(folder: Path) -> Worktree | None:
    if not worktree.is_repository(folder):
        return None
    try:
        return worktree.read(folder)
    except ToolFailedError as error:
        events.warning(
            f"Git cannot read the repository {folder}, so it is kept as a folder without history: "
            f"{error.details[0] if error.details else error.message}"
        )
        return None


def _usable(folder: Path, tree: Worktree | None) -> Worktree | None:
    """The same, but for a repository whose working tree is another folder."""
    elsewhere = tree.setting("core.worktree") if tree is not None else ""
    if not elsewhere:
        return tree
    from proj.source.repositories import places_of

    return tree if (places_of(folder).git_dir / elsewhere).resolve() == folder.resolve() else None


def _bases(tree: Worktree, commit: str) -> tuple[str, ...]:
    """The commits from which a remote's copy has to be continued; none if the remote has nothing of it."""
    remote = tree.remote()
    if remote is None:
        return ()
    answer = git.run(
        "rev-list", "--boundary", commit, "--not", f"--remotes={remote[0]}", cwd=tree.root, env=NO_LAZY_FETCH
    ).stdout.split()
    if not answer:
        return (commit,)
    return tuple(sorted(line[1:] for line in answer if line.startswith("-")))


def _kind(change: Change) -> ChangeKind:
    if change.state == "??":
        return "untracked"
    if change.state == "UU":
        return "conflicted"
    if change.index_mode == _SUBMODULE:
        return "submodule"
    if "D" in change.state:
        return "deleted"
    return "added" if "A" in change.state else "modified"


def _is_gone(tree: Worktree, change: Change) -> bool:
    if change.state == "UU":
        return not os.path.lexists(tree.root / change.path)
    return "D" in change.state


def _join(parent: str, path: str) -> str:
    return f"{parent}/{path}" if parent else path
