"""What git says of a working tree: its settings, its index, its changes. Nothing of the user's is executed.

Filters, fsmonitor and hooks that a repository's settings name are switched off, submodules are not entered,
and nothing is written, not even the index's cached file times.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from proj import paths
from proj.source import git

_PLAIN = ("H 100644 ", "H 100755 ", "H 120000 ")
NO_LAZY_FETCH: dict[str, str | None] = {"GIT_NO_LAZY_FETCH": "1", "GIT_NO_REPLACE_OBJECTS": "1"}
"""Git of version 2.44 on then asks no remote for what a partial clone lacks. And objects are what they are,
not what `git replace` shows here in their place."""

_OFF = ("false", "no", "off", "0")
_LISTING = ("ls-files", "-z", "-s", "-v")
_STATUS = (
    *("status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all"),
    *("--ignore-submodules=dirty", "--no-renames", "--no-ahead-behind"),
)
_FILTER_OFF = (("clean", ""), ("smudge", ""), ("process", ""), ("required", "false"))


class Change(msgspec.Struct, frozen=True):
    """A line of `git status`; names of files hold bytes that are no UTF-8 as surrogates."""

    path: str
    state: str
    """The two letters of the index and the working tree, `??` for untracked, `UU` for any conflict."""
    index_mode: str = ""
    index_hash: str = ""
    head_hash: str = ""


class TrackedFile(msgspec.Struct, frozen=True):
    """An entry of the index."""

    tag: str
    """`H`, `S` for skip-worktree, `M` for a conflict, in small letters if assumed to be unchanged."""
    mode: str
    hash: str
    path: str

    @property
    def is_submodule(self) -> bool:
        """Whether it is a commit of another repository."""
        return self.mode == "160000"


class Worktree(msgspec.Struct, frozen=True):
    """The state of a working tree at one moment."""

    root: Path
    settings: Mapping[str, tuple[str, ...]]
    """Git's settings by their canonical names; the last value is the one that counts."""
    commit: str | None
    branch: str | None
    upstream: str
    index: str
    """What `git ls-files -s -v -z` says. Parsing all of it is dear, and seldom needed."""
    special: tuple[TrackedFile, ...]
    """Tracked entries that are submodules, in conflict, or that git was told not to look at."""
    changes: tuple[Change, ...]

    def setting(self, name: str) -> str:
        """The value of a setting, empty if there is none."""
        values = self.settings.get(name)
        return values[-1] if values else ""

    def is_set(self, name: str) -> bool:
        """Whether a setting of two values is on."""
        return name in self.settings and self.setting(name).lower() not in _OFF

    def tracked(self) -> list[TrackedFile]:
        """All entries of the index."""
        return [_tracked(line) for line in self.index.split("\0")[:-1]]

    def files_named(self, name: str) -> list[str]:
        """Paths of all files of a name, tracked or not; ignored ones are not seen but at the top."""
        found = {change.path for change in self.changes if _named(change.path, name)}
        if name in self.index:
            found |= {file.path for file in self.tracked() if _named(file.path, name)}
        if os.path.lexists(self.root / name):
            found.add(name)
        return sorted(found)

    def remote(self) -> tuple[str, str] | None:
        """Name and URL of the branch's own remote, else of `origin`, else of the only one."""
        urls = {
            name[7:-4]: values[0]
            for name, values in self.settings.items()
            if name.startswith("remote.") and name.endswith(".url")
        }
        followed = next((name for name in urls if self.upstream.startswith(f"{name}/")), None)
        chosen = followed or ("origin" if "origin" in urls else next(iter(urls), None))
        return (chosen, urls[chosen]) if chosen is not None and urls[chosen] else None


def _tracked(line: str) -> TrackedFile:
    meta, _, path = line.partition("\t")
    tag, mode, digest, _stage = meta.split(" ")
    return TrackedFile(tag, mode, digest, path)


def _named(path: str, name: str) -> bool:
    return path == name or path.endswith(f"/{name}")


def repository_root(directory: Path) -> Path | None:
    """The nearest folder upwards that has a `.git`, found without a process."""
    path = directory.absolute()
    return next((folder for folder in (path, *path.parents) if is_repository(folder)), None)


def is_repository(folder: Path) -> bool:
    """Whether a folder is the top of a working tree."""
    dot_git = os.path.join(folder, ".git")  # noqa: PTH118  strings are cheaper than Paths, on each run
    return os.path.isfile(dot_git) or os.path.lexists(os.path.join(dot_git, "HEAD"))  # noqa: PTH113, PTH118  same


def read(root: Path) -> Worktree:
    """Ask git for the state of the working tree at `root`. Three git processes.

    Raises:
        ToolMissingError: There is no git.
        ToolFailedError: Git cannot read the repository, or refuses to.
    """
    settings = _settings(root)
    with writing_nothing(root, settings) as apart:
        listing, status = (
            git.run(
                *command, cwd=root, settings=_filters_off(settings), exact=True, env=NO_LAZY_FETCH | apart
            )
            for command in (_LISTING, _STATUS)
        )
    header, changes = _parse_status(status.stdout)
    if any(change.state == "??" for change in changes):
        own = paths.own_below(root)
        changes = tuple(each for each in changes if each.state != "??" or not own.match(each.path))
    commit, branch = header.get("branch.oid"), header.get("branch.head")
    return Worktree(
        root=root,
        settings=settings,
        commit=None if commit == "(initial)" else commit,
        branch=None if branch == "(detached)" else branch,
        upstream=header.get("branch.upstream", ""),
        index=listing.stdout,
        special=tuple(
            _tracked(line) for line in listing.stdout.split("\0")[:-1] if not line.startswith(_PLAIN)
        ),
        changes=changes,
    )


@contextlib.contextmanager
def writing_nothing(root: Path, settings: Mapping[str, Sequence[str]]) -> Iterator[dict[str, str | None]]:
    """Variables for git commands that read the index."""
    if settings.get("index.sparse", ("false",))[-1].lower() in _OFF:
        yield {}
        return
    from proj.source.sparse import objects_apart  # seldom needed

    with objects_apart(root) as variables:
        yield variables


def _settings(root: Path) -> dict[str, tuple[str, ...]]:
    listing = git.run("config", "--null", "--list", cwd=root, exact=True).stdout
    settings: dict[str, tuple[str, ...]] = {}
    for entry in listing.split("\0"):
        name, separator, value = entry.partition("\n")
        settings[name] = (*settings.get(name, ()), value if separator else "true")
    return settings


def _filters_off(settings: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Settings that keep git from starting the filters that it is told of."""
    names = sorted({name[7:].rpartition(".")[0] for name in settings if name.startswith("filter.")})
    return tuple((f"filter.{name}.{key}", value) for name in names for key, value in _FILTER_OFF)


def _parse_status(text: str) -> tuple[dict[str, str], tuple[Change, ...]]:
    """Read `git status --porcelain=v2 --branch -z` without renames; see git-status(1) for the fields."""
    header: dict[str, str] = {}
    changes: list[Change] = []
    for entry in text.split("\0"):
        kind = entry[:1]
        if kind == "#":
            name, _, value = entry[2:].partition(" ")
            header[name] = value
        elif kind == "1":
            _, state, _sub, _head, index_mode, _tree, head, index, path = entry.split(" ", 8)
            changes.append(Change(path, state, index_mode, index, head))
        elif kind == "u":
            changes.append(Change(entry.split(" ", 10)[10], "UU"))
        elif kind == "?":
            changes.append(Change(entry[2:], "??"))
    return header, tuple(changes)


def shown(path: str) -> str:
    r"""A path as text that fits into JSON: bytes that are no UTF-8 become `\xe9`."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
