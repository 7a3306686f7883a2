"""A revision of a repository, remote or on this machine, as a private checkout."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from proj import events, process
from proj.errors import SourceError, ToolFailedError
from proj.model import Checkout, GitState
from proj.source import checkouts, git
from proj.source.lfs import fetch_large_files
from proj.source.mirror import Mirror
from proj.source.refs import Target, close_names, is_full_hash, is_short_hash, split_revision
from proj.source.submodules import Parent, check_out_submodules
from proj.source.tree import Origin, materialise
from proj.source.uri import Location, enter_subdir, redact_url

if TYPE_CHECKING:
    from pathlib import Path

_DAMAGED = re.compile(
    r"unable to read|corrupt|missing|bad object|invalid object|could not read|fatal: loose object"
)


def fetch_remote(location: Location, version: str | None) -> Checkout:
    """Check a remote repository out, by way of its mirror in the cache.

    Raises:
        SourceError: It cannot be reached, or has no such revision or folder.
    """
    mirror = Mirror(location.url, location.credentials)
    target = _remote_target(mirror, version)
    try:
        return _from_mirror(mirror, target, location, version)
    except ToolFailedError as error:
        if not _DAMAGED.search(error.stderr):
            raise _cannot_check_out(location, error) from error
    events.warning(f"The cached copy of {redact_url(location.url)} is damaged; fetching it anew.")
    mirror.discard()
    mirror.update(wanted=target.commit, ref=target.ref)
    try:
        return _from_mirror(mirror, target, location, version)
    except ToolFailedError as error:
        raise _cannot_check_out(location, error) from error


def _from_mirror(mirror: Mirror, target: Target, location: Location, version: str | None) -> Checkout:
    origin = Origin(
        objects=mirror.path / "objects",
        commit=target.commit,
        committed_at_s=_commit_time(mirror.path, target.commit),
        branch=target.branch,
        packed_refs=mirror.packed_refs(),
        url=mirror.url,
    )
    parent = Parent(url=mirror.url, credentials=mirror.credentials)
    return _private_checkout(location, version, origin, parent, storage=mirror.path / "lfs")


def _remote_target(mirror: Mirror, version: str | None) -> Target:
    """Find the commit and see to it that the mirror has it."""
    if version is not None and is_full_hash(version):
        if not mirror.has(version):
            mirror.update(wanted=version)
        return Target(commit=version)
    try:
        refs = mirror.ask_remote()
    except SourceError as error:
        raise _offline(mirror, version, error) from error
    name, walk = split_revision(version or "HEAD")
    target = refs.find(version or "HEAD") or (refs.find(name or "HEAD") if walk else None)
    if target is None:
        if version is None or name in ("", "HEAD"):
            raise SourceError(f"The repository {redact_url(mirror.url)} has no commits.")
        return _by_expression(mirror, version, refs.default(), refs.close_to(version))
    if not mirror.has(target.commit) or (target.ref and mirror.commit_of(target.ref) != target.commit):
        mirror.update(wanted=target.commit, ref=target.ref)
    if walk and refs.find(version or "HEAD") is None:
        commit = mirror.commit_of(target.commit + walk)
        if commit is None:
            raise SourceError(
                f"No revision {version!r} in {redact_url(mirror.url)}.", hint=refs.close_to(name)
            )
        return Target(commit=commit)
    return target


def _by_expression(mirror: Mirror, version: str, default: Target | None, hint: str) -> Target:
    """A short hash, a `git describe` name, or a walk from one: known after a look at all commits."""
    commit = mirror.commit_of(version) if is_short_hash(version) else None
    if commit is None and default is not None:
        mirror.update(wanted=default.commit, ref=default.ref)
        commit = mirror.commit_of(version)
    if commit is None:
        if is_short_hash(version):
            hint = (
                ambiguous(mirror.path, version)
                or f"{hint} A commit that no branch holds needs its full hash."
            )
        raise SourceError(f"No revision {version!r} in {redact_url(mirror.url)}.", hint=hint)
    return Target(commit=commit)


def ambiguous(git_dir: Path, version: str) -> str | None:
    """A sentence with the commits that a short hash may mean, if they are several."""
    listing = git.run("rev-parse", f"--disambiguate={version}", git_dir=git_dir, check=False).stdout.split()
    kinds = git.run(
        "cat-file", "--batch-check", git_dir=git_dir, stdin="\n".join(listing), check=False
    ).stdout
    commits = [line.split(" ")[0] for line in kinds.splitlines() if line.split(" ")[1:2] == ["commit"]]
    return f"It may be any of {', '.join(commits[:5])}." if len(commits) > 1 else None


def _offline(mirror: Mirror, version: str | None, error: SourceError) -> SourceError:
    """The same error, with the commit that the cache has for the revision."""
    name = version or "HEAD"
    for expression in (f"refs/remotes/origin/{name}", f"refs/tags/{name}", name):
        commit = None if name == "HEAD" else mirror.commit_of(expression)
        if commit is not None:
            hint = f"When it was last fetched, {name} was {commit}: -v {commit} runs without network."
            return SourceError(error.message, hint=hint, details=error.details)
    return error


# --- repositories on this machine ---------------------------------------------------------------------


def fetch_local(location: Location, version: str | None, *, below: str = "") -> Checkout:
    """Check a repository on this machine out, without writing in it.

    Args:
        location: Its `path` is the repository, with or without a working tree.
        version: A revision as git takes it; None: HEAD.
        below: The folder inside the repository that `location.subdir` starts from.

    Raises:
        SourceError: It is no repository, or has no such revision or folder.
    """
    path = location.path
    assert path is not None  # noqa: S101  the caller's contract
    try:
        asked = git.run(
            "rev-parse", "--path-format=absolute", "--git-common-dir", "--git-path", "objects", cwd=path
        )
    except ToolFailedError as error:
        raise _no_repository(path, error) from error
    common, objects = (type(path)(line) for line in asked.stdout.splitlines()[:2])
    commit, branch = _local_revision(path, version or "HEAD")
    settings = _settings(path)
    url = redact_url(settings.get("remote.origin.url", "")) or None
    shallow = common / "shallow"
    origin = Origin(
        objects=objects,
        commit=commit,
        committed_at_s=_commit_time(common, commit),
        branch=branch,
        packed_refs=_refs(path),
        url=url or str(common if common.name != ".git" else common.parent),
        shallow=shallow.read_text("utf-8") if shallow.is_file() else "",
        promisor=settings.get("remote.origin.promisor", "").lower() == "true",
    )
    parent = Parent(url=origin.url or "", allow_file=True, modules=common / "modules")
    try:
        return _private_checkout(
            location, version, origin, parent, storage=None, below=below, repository_url=url or ""
        )
    except ToolFailedError as error:
        raise _cannot_check_out(location, error) from error


def _local_revision(path: Path, version: str) -> tuple[str, str | None]:
    """The commit, and the branch to be on."""
    found = git.run(
        "rev-parse", "--verify", "--end-of-options", f"{version}^{{commit}}", cwd=path, check=False
    )
    if found.returncode != 0:
        listing = git.run("for-each-ref", "--format=%(refname:short)", cwd=path).stdout.split()
        if version == "HEAD":
            raise SourceError(
                f"The repository {path} has no commits.", hint="Commit something, or run the folder."
            )
        names = dict.fromkeys(listing, "")
        hint = (ambiguous(_git_dir(path), version) if is_short_hash(version) else None) or close_names(
            version, names, {}
        )
        raise SourceError(f"No revision {version!r} in {path}.", hint=hint)
    full_name = git.run(
        "rev-parse", "--symbolic-full-name", "--end-of-options", version, cwd=path, check=False
    )
    name = full_name.stdout.strip().splitlines()[-1:] or [""]
    branch = name[0][11:] if name[0].startswith("refs/heads/") else None
    return found.stdout.strip().splitlines()[-1], branch


def _git_dir(path: Path) -> Path:
    return type(path)(git.run("rev-parse", "--absolute-git-dir", cwd=path).stdout.rstrip("\n"))


def _settings(path: Path) -> dict[str, str]:
    listing = git.run(
        "config", "--null", "--get-regexp", r"^remote\.origin\.(url|promisor)$", cwd=path, check=False
    )
    entries = (entry.partition("\n") for entry in reversed(listing.stdout.split("\0")) if entry)
    return {key: value for key, _, value in entries}


def _refs(path: Path) -> str:
    return git.run(
        *("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags", "refs/remotes"),
        cwd=path,
    ).stdout


def _no_repository(path: Path, error: ToolFailedError) -> SourceError:
    if "dubious ownership" in error.stderr:
        return SourceError(
            f"git refuses to read {path}, which belongs to another user.",
            hint=f"If you trust it: git config --global --add safe.directory {path}",
        )
    return SourceError(
        f"{path} is in no git repository, so it has no versions.", hint="Leave -v out to run it as it is."
    )


# --- both ---------------------------------------------------------------------------------------------


def _private_checkout(
    location: Location,
    version: str | None,
    origin: Origin,
    parent: Parent,
    *,
    storage: Path | None,
    below: str = "",
    repository_url: str | None = None,
) -> Checkout:
    url = redact_url(parent.url)
    name = re.split(r"[/:]", url.rstrip("/"))[-1].removesuffix(".git")
    tree = checkouts.allocate(name)
    try:
        materialise(tree, origin)
        check_out_submodules(tree, parent)
        fetch_large_files(tree, storage, parent.url, parent.credentials)
        subdir = "/".join(part for part in (below, location.subdir) if part)
        shown = f"{url} at {version or origin.branch or origin.commit[:12]}"
        project_dir = enter_subdir(tree, subdir, root=tree, shown=shown)
    except BaseException:
        with process.deferred():
            checkouts.discard(tree)
        raise
    state = GitState(
        root=tree,
        commit=origin.commit,
        committed_at_s=origin.committed_at_s,
        branch=origin.branch,
        repository_url=(url if repository_url is None else repository_url) or None,
    )
    return Checkout(
        uri=location.uri,
        kind="git",
        root=tree,
        project_dir=project_dir,
        subdir=subdir,
        version=version,
        git=state,
        private=True,
    )


def _commit_time(git_dir: Path, commit: str) -> int:
    return int(git.run("rev-list", "--max-count=1", "--timestamp", commit, git_dir=git_dir).stdout.split()[0])


def _cannot_check_out(location: Location, error: ToolFailedError) -> SourceError:
    if "unable to write" in error.stderr:  # git does not always say why
        return SourceError(
            f"git cannot write the files of {location.uri}: is the disk full?",
            hint="Free space, or set PROJ_CACHE to a folder on another disk.",
            details=error.details,
        )
    return SourceError(
        f"git cannot check out {location.uri}.",
        hint="`git clone` by hand may tell more.",
        details=error.details,
    )
