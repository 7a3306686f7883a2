"""What git says of a folder that runs in place. Two git processes; none without a repository."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from proj import events
from proj.errors import ToolFailedError, ToolMissingError
from proj.model import GitState
from proj.source import git
from proj.source.uri import redact_url

if TYPE_CHECKING:
    from pathlib import Path

_SECTION = r'(?i)\s*\[\s*remote\s+"((?:[^"\\]|\\.)*)"\s*\]\s*(?:[#;].*)?'
_URL = r"(?i)\s*url\s*=\s*([^\s\"\\#;][^\"\\#;]*?)\s*"


def git_state(directory: Path) -> GitState | None:
    """Ask git for commit, branch, remote and changed files of the tree that `directory` is in.

    Nothing is written, not even the index's cached file times.

    Returns:
        None where there is no repository, no git, or one that git refuses to read (a warning says so).
    """
    root = repository_root(directory)
    if root is None:
        return None
    try:
        status = git.run(
            *("status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all"),
            *("--ignore-submodules=none", "--no-renames", "--no-ahead-behind"),
            cwd=root,
        ).stdout
        header, changed = _parse_status(status)
        commit = header.get("branch.oid")
        if commit == "(initial)":
            commit = None
        committed_at_s = None
        if commit is not None:
            stamp = git.run("rev-list", "--max-count=1", "--timestamp", commit, cwd=root).stdout
            committed_at_s = int(stamp.split()[0])
    except ToolMissingError:
        events.note("git is not installed: the record will not say which commit ran.")
        return None
    except ToolFailedError as error:
        _warn(root, error)
        return None
    branch = header.get("branch.head")
    return GitState(
        root=root,
        commit=commit,
        committed_at_s=committed_at_s,
        branch=None if branch == "(detached)" else branch,
        repository_url=_remote_url(root, header.get("branch.upstream", "")),
        changed_files=changed,
    )


def repository_root(directory: Path) -> Path | None:
    """The nearest folder upwards that has a `.git`, found without a process."""
    path = directory.absolute()
    for folder in (path, *path.parents):
        dot_git = folder / ".git"
        if dot_git.is_file() or (dot_git / "HEAD").exists() or (dot_git / "HEAD").is_symlink():
            return folder
    return None


def _parse_status(text: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Read `git status --porcelain=v2 --branch -z` without renames."""
    header: dict[str, str] = {}
    changed: list[str] = []
    # fields before the path, by kind of line: see git-status(1), "Porcelain Format Version 2"
    fields = {"1": 8, "u": 10, "?": 1}
    for entry in text.split("\0"):
        kind = entry[:1]
        if kind == "#":
            name, _, value = entry[2:].partition(" ")
            header[name] = value
        elif kind in fields:
            path = entry.split(" ", fields[kind])[fields[kind]]
            # a name that is not UTF-8 has to fit into JSON all the same
            changed.append(path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
    return header, tuple(sorted(changed))


def _warn(root: Path, error: ToolFailedError) -> None:
    if "dubious ownership" in error.stderr:
        events.warning(
            f"{root} belongs to another user, so git refuses to read it and the record will not say which "
            f"commit ran. If you trust it: git config --global --add safe.directory {root}"
        )
    else:
        said = error.details[-1] if error.details else error.message
        events.warning(f"The record will not say which commit ran, because git cannot read {root}: {said}")


def _remote_url(root: Path, upstream: str) -> str | None:
    """URL of the branch's own remote, else of `origin`, else of the only one; without credentials."""
    urls = _urls_in_config(root)
    if urls is None:
        listing = git.run(
            "config", "--null", "--get-regexp", r"^remote\..*\.url$", cwd=root, check=False
        ).stdout
        entries = [entry.partition("\n") for entry in listing.split("\0") if entry]
        urls = {}
        for key, _, value in entries:
            urls.setdefault(key[7:-4], value)
    followed = next((name for name in urls if upstream.startswith(f"{name}/")), None)
    chosen = followed or ("origin" if "origin" in urls else next(iter(urls), None))
    return redact_url(urls[chosen]) if chosen else None


def _urls_in_config(root: Path) -> dict[str, str] | None:
    """Remotes as a plain `.git/config` holds them, which saves a process; None: git has to be asked."""
    try:
        text = (root / ".git/config").read_text("utf-8")
    except (OSError, ValueError):  # a worktree or a submodule, or not UTF-8
        return None
    if "include" in text.lower() or "worktreeconfig" in text.lower():
        return None
    urls: dict[str, str] = {}
    remote: str | None = None
    for line in text.splitlines():
        if line.lstrip().startswith("["):
            section = re.fullmatch(_SECTION, line)
            remote = section.group(1) if section else None
            if section is None and "remote" in line.lower():
                return None
        elif remote is not None and line.lstrip().lower().startswith("url"):
            value = re.fullmatch(_URL, line)
            if value is None or "\\" in remote:
                return None
            urls.setdefault(remote, value.group(1))
    return urls
