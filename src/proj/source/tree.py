"""A private working tree whose objects stay where they are: made without git, filled by one git process.

What `git clone --shared` would make, but for what it costs: `.git` is written as files, and
`objects/info/alternates` names the repository that has the objects. `git log`, `git describe` and
`origin` work in it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from proj.errors import SourceError, ToolFailedError
from proj.source import git
from proj.source.files import free_bytes, os_failure
from proj.source.refs import is_ref_name

_LITTLE_BYTES = 64 * 1024**2

MIRROR_CONFIG = (
    "[core]\n\tbare = true\n"
    "[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n"
    # packs appear whole; loose objects of a killed fetch would be a commit without its files
    "[fetch]\n\tunpackLimit = 1\n[transfer]\n\tunpackLimit = 1\n"
)


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a private tree comes from."""

    objects: Path
    """The object folder of a repository that has the commit and all that it needs."""
    commit: str
    committed_at_s: int
    branch: str | None = None
    packed_refs: str = ""
    """The refs to see, in the format of git's packed-refs."""
    url: str | None = None
    """The remote `origin`, without credentials."""
    shallow: str = ""
    """Content of the repository's `shallow` file."""
    promisor: bool = False
    """Whether objects are missing there that `origin` has."""


def write_skeleton(git_dir: Path, config: str, *, long_hashes: bool = False) -> None:
    """Write an empty repository."""
    (git_dir / "objects/info").mkdir(parents=True)
    (git_dir / "objects/pack").mkdir()
    (git_dir / "refs/heads").mkdir(parents=True)
    (git_dir / "refs/tags").mkdir()
    (git_dir / "HEAD").write_text("ref: refs/heads/main\n", "utf-8")
    version = "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectFormat = sha256\n"
    (git_dir / "config").write_text((version if long_hashes else "") + config, "utf-8", "surrogateescape")


def materialise(tree: Path, origin: Origin) -> None:
    """Fill the existing, empty folder `tree` with a commit's files and a repository of its own.

    Raises:
        SourceError: The files cannot be written, or the branch's name is no name.
        ToolFailedError: git cannot read the objects.
    """
    git_dir = tree / ".git"
    if origin.branch is not None and not is_ref_name(origin.branch):
        raise SourceError(f"Not the name of a branch: {origin.branch!r}")
    try:
        write_skeleton(git_dir, _config(origin), long_hashes=len(origin.commit) > 40)  # noqa: PLR2004  digits of SHA-1
        (git_dir / "objects/info/alternates").write_text(
            quoted_path(origin.objects) + "\n", "utf-8", "surrogateescape"
        )
        (git_dir / "packed-refs").write_text(origin.packed_refs, "utf-8", "surrogateescape")
        if origin.shallow:
            (git_dir / "shallow").write_text(origin.shallow, "utf-8")
        head = origin.commit
        if origin.branch is not None:
            head = f"ref: refs/heads/{origin.branch}"
            branch = git_dir / "refs/heads" / origin.branch
            branch.parent.mkdir(parents=True, exist_ok=True)
            branch.write_text(origin.commit + "\n", "utf-8")
        (git_dir / "HEAD").write_text(head + "\n", "utf-8", "surrogateescape")
    except OSError as error:
        raise os_failure(error, f"Cannot write {tree}") from error
    try:
        git.run(*_without_lfs(), "reset", "--hard", "--quiet", git_dir=git_dir, cwd=tree)
    except ToolFailedError as error:
        # git does not say why it cannot write a file
        if "No space left on device" in error.stderr or (
            "unable to write" in error.stderr and free_bytes(tree) < _LITTLE_BYTES
        ):
            raise SourceError(
                f"Cannot write {tree}: the disk is full.",
                hint="Free space, or set PROJ_CACHE to a folder on another disk.",
            ) from error
        raise


def _without_lfs() -> tuple[str, ...]:
    """LFS files are fetched in one go afterwards, with progress and credentials; see `proj.source.lfs`."""
    settings = ("submodule.recurse=false", "filter.lfs.smudge=", "filter.lfs.process=")
    return tuple(word for each in (*settings, "filter.lfs.required=false") for word in ("-c", each))


def _config(origin: Origin) -> str:
    text = "[core]\n\tbare = false\n\tfilemode = true\n\tlogallrefupdates = true\n[gc]\n\tauto = 0\n"
    if origin.url is not None:
        text += f'[remote "origin"]\n\turl = {_quoted(origin.url)}\n'
        text += "\tfetch = +refs/heads/*:refs/remotes/origin/*\n"
        if origin.promisor:
            text += "\tpromisor = true\n"
            if len(origin.commit) == 40:  # noqa: PLR2004  of SHA-1; SHA-256 has an extensions section already
                text += "[core]\n\trepositoryformatversion = 1\n"
            text += "[extensions]\n\tpartialClone = origin\n"
        if origin.branch is not None:
            text += f"[branch {_quoted(origin.branch)}]\n\tremote = origin\n"
            text += f"\tmerge = {_quoted('refs/heads/' + origin.branch)}\n"
    return text


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def quoted_path(path: Path) -> str:
    """A path as a line of `objects/info/alternates`."""
    # git unquotes a line that begins with a quote, as it must where the path holds a newline
    text = str(path)
    return _quoted(text) if "\n" in text else text
