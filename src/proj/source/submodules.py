"""Submodules, each from the cache of its own URL: a commit that ran before needs no network for them."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from proj import events
from proj.errors import SourceError, ToolFailedError
from proj.source import git
from proj.source.mirror import Mirror
from proj.source.tree import Origin, materialise
from proj.source.uri import Credentials, check_git_url, redact_url, split_credentials

_DEPTH_MAX = 10
_GITLINK = "160000"


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """What the submodules of a tree need to know of it."""

    url: str
    """What relative URLs start from: a URL without credentials, or a path."""
    credentials: Credentials | None = None
    allow_file: bool = False
    """Whether submodules may be repositories on this machine; so it is where the parent is one itself."""
    modules: Path | None = None
    """The `modules` folder of a user's repository, whose submodules are there already."""


class _Submodule(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    path: str
    url: str
    commit: str


def check_out_submodules(tree: Path, parent: Parent, depth: int = 0) -> None:
    """Fill the submodules of a private tree, and theirs.

    Raises:
        SourceError: One cannot be fetched, or its declaration is not to be trusted.
    """
    if not os.path.lexists(tree / ".gitmodules"):
        return
    if depth >= _DEPTH_MAX:
        raise SourceError(
            f"Submodules are nested deeper than {_DEPTH_MAX} levels in {redact_url(parent.url)}."
        )
    for submodule in _declared(tree):
        _check_out(tree, submodule, parent, depth)


def _declared(tree: Path) -> list[_Submodule]:
    """The submodules that both `.gitmodules` and the commit name."""
    if (tree / ".gitmodules").is_symlink():
        raise SourceError("The project's .gitmodules is a symbolic link, which git does not accept.")
    try:
        listing = git.run("config", "--file", ".gitmodules", "--null", "--list", cwd=tree).stdout
    except ToolFailedError as error:
        raise SourceError("The project's .gitmodules cannot be read.", details=error.details) from error
    settings: dict[str, dict[str, str]] = {}
    for entry in listing.split("\0"):
        key, _, value = entry.partition("\n")
        section, _, variable = key.rpartition(".")
        if section.startswith("submodule."):
            settings.setdefault(section[10:], {})[variable] = value
    links = _gitlinks(tree) if settings else {}
    return [
        _Submodule(name=name, path=values["path"], url=values["url"], commit=links[values["path"]])
        for name, values in settings.items()
        if values.get("path") in links and values.get("url") and values.get("update") != "none"
    ]


def _gitlinks(tree: Path) -> dict[str, str]:
    listing = git.run("ls-files", "--stage", "-z", cwd=tree, git_dir=tree / ".git").stdout
    links: dict[str, str] = {}
    for entry in listing.split("\0"):
        meta, _, path = entry.partition("\t")
        if meta.startswith(_GITLINK):
            links[path] = meta.split(" ")[1]
    return links


def _check_out(tree: Path, submodule: _Submodule, parent: Parent, depth: int) -> None:
    try:
        target, nested = _fill(tree, submodule, parent)
    except (SourceError, ToolFailedError) as error:
        raise SourceError(
            f"The submodule {submodule.path!r} of {redact_url(parent.url)} cannot be had: {error.message}",
            hint=error.hint,
            details=error.details,
        ) from error
    check_out_submodules(target, nested, depth + 1)


def _fill(tree: Path, submodule: _Submodule, parent: Parent) -> tuple[Path, Parent]:
    """Fetch and write one submodule; its folder, and what its own submodules need to know."""
    target = _target(tree, submodule)
    url, credentials = split_credentials(resolve_url(parent.url, submodule.url))
    credentials = credentials or parent.credentials
    known = parent.modules / submodule.name if parent.modules is not None else None
    if known is not None and _has(known, submodule.commit):
        objects, modules, packed_refs = known / "objects", known / "modules", ""
    else:
        mirror = _mirror(url, credentials, parent)
        if not mirror.has(submodule.commit):
            events.step(f"Fetching the submodule {submodule.path}")
            mirror.update(wanted=submodule.commit)
        objects, modules, packed_refs = mirror.path / "objects", None, mirror.packed_refs()
    origin = Origin(
        objects=objects, commit=submodule.commit, committed_at_s=0, packed_refs=packed_refs, url=url
    )
    materialise(target, origin)
    git.run("config", f"submodule.{submodule.name}.url", url, git_dir=tree / ".git", cwd=tree)
    return target, Parent(url=url, credentials=credentials, allow_file=parent.allow_file, modules=modules)


def _mirror(url: str, credentials: Credentials | None, parent: Parent) -> Mirror:
    is_path = url.startswith("/") or url.lower().startswith("file://")
    if is_path and not parent.allow_file:
        raise SourceError(
            f"It is a path on this machine ({url}), named by a repository from elsewhere.",
            hint="Such submodules are fetched only for repositories that are on this machine themselves.",
        )
    if not is_path:
        check_git_url(url)
        if "://" not in url and "@" not in url and ":" not in url:
            raise SourceError(f"Its URL is none: {redact_url(url)!r}")
    return Mirror(url, credentials, allow_file=is_path)


def _has(git_dir: Path, commit: str) -> bool:
    return (
        ".." not in git_dir.parts
        and (git_dir / "HEAD").is_file()
        and git.run("cat-file", "-e", f"{commit}^{{commit}}", git_dir=git_dir, check=False).returncode == 0
    )


def _target(tree: Path, submodule: _Submodule) -> Path:
    """The submodule's folder: empty, real, and inside the tree (CVE-2018-11235, CVE-2024-32002)."""
    target = tree / submodule.path
    parts = Path(submodule.path).parts
    safe = not target.is_symlink() and target.resolve() == tree.resolve().joinpath(*parts)
    if not safe or ".." in parts or ".git" in (part.lower() for part in parts) or not target.is_dir():
        raise SourceError(f"Its path is not a folder of the project: {submodule.path!r}")
    if any(target.iterdir()):
        raise SourceError(f"Its folder is not empty: {submodule.path!r}")
    return target


def resolve_url(base: str, url: str) -> str:
    """Resolve a submodule's URL against its parent's, as `git submodule` does.

    Raises:
        SourceError: It has more `../` than its parent has parts, or begins with a dash.
    """
    if url.startswith("-") or "\n" in url:
        raise SourceError(f"Its URL is none that git can be given: {url!r}")
    if not url.startswith(("./", "../")):
        return url
    base, rest = base.rstrip("/"), url
    separator = "/"
    while rest.startswith(("./", "../")):
        if rest.startswith("./"):
            rest = rest[2:]
            continue
        rest = rest[3:]
        slash, colon = base.rfind("/"), base.rfind(":")
        cut, separator = (slash, "/") if slash >= 0 else (colon, ":")
        if cut <= 0 or base[:cut].endswith((":/", ":")):
            raise SourceError(f"Its relative URL leads nowhere: {url!r}")
        base = base[:cut]
    return f"{base}{separator}{rest}"
