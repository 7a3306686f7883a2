"""What a revision means in a remote repository."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

_FULL_HASH = r"[0-9a-f]{40}|[0-9a-f]{64}"
_REVISION_SUFFIX = r"[~^@{:]"
# git-check-ref-format(1), for what follows refs/heads/ or refs/tags/
_NO_REF = r"^$|^/|/$|//|\.\.|(?:^|/)\.|\.lock(?:/|$)|\.$|@\{|[\x00-\x20\x7f~^:?*\[\\]"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A commit that was asked for."""

    commit: str
    branch: str | None = None
    """The branch to be on; None: a detached HEAD."""
    ref: str | None = None
    """Full name of the ref in a mirror that leads to the commit."""


class RemoteRefs(msgspec.Struct, frozen=True, kw_only=True):
    """The branches and tags of a remote, as it says they are now."""

    head: str | None = None
    """Commit of the default branch."""
    head_branch: str | None = None
    branches: Mapping[str, str] = {}
    tags: Mapping[str, str] = {}
    """Tag -> commit; annotated tags are peeled."""

    def default(self) -> Target | None:
        """What runs when no version is given; None for a repository without commits."""
        if self.head is None:
            return None
        if self.head_branch is not None and self.branches.get(self.head_branch) == self.head:
            return self._branch(self.head_branch)
        return Target(commit=self.head)

    def find(self, name: str) -> Target | None:
        """The branch or tag called `name`, also as `origin/x` or in full; a branch goes before a tag."""
        if name == "HEAD" or name == "origin/HEAD":  # noqa: PLR1714  reads as what it is
            return self.default()
        for prefix, kind in (
            ("refs/heads/", "branch"), ("refs/remotes/origin/", "branch"), ("refs/tags/", "tag"),
            ("", "branch"), ("", "tag"), ("heads/", "branch"), ("tags/", "tag"), ("origin/", "branch"),
        ):  # fmt: skip
            short = name[len(prefix) :]
            if name.startswith(prefix) and short in (self.branches if kind == "branch" else self.tags):
                if kind == "branch":
                    return self._branch(short)
                return Target(commit=self.tags[short], ref=f"refs/tags/{short}")
        return None

    def close_to(self, name: str) -> str:
        """A hint for a name that is not there."""
        return close_names(name, self.branches, self.tags)

    def _branch(self, name: str) -> Target:
        return Target(commit=self.branches[name], branch=name, ref=f"refs/remotes/origin/{name}")


def close_names(name: str, branches: Mapping[str, str], tags: Mapping[str, str]) -> str:
    """A sentence with the branches and tags whose names are close to `name`, or with some of them all."""
    import difflib

    names = [*branches, *tags]
    by_folded = {each.lower(): each for each in names}
    close = [by_folded[each] for each in difflib.get_close_matches(name.lower(), list(by_folded), n=3)]
    if close:
        return f"Did you mean {' or '.join(repr(each) for each in close)}?"
    if not names:
        return "It has no branches and no tags."
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""  # noqa: PLR2004  what fits a line or two
    return f"Branches and tags: {', '.join(names[:10])}{more}."


def is_full_hash(version: str) -> bool:
    """Whether a version is the whole hash of a commit, which never changes its meaning."""
    return re.fullmatch(_FULL_HASH, version) is not None


def is_short_hash(version: str) -> bool:
    """Whether a version may be the beginning of a commit's hash."""
    return re.fullmatch(r"[0-9a-f]{4,63}", version) is not None


def split_revision(version: str) -> tuple[str, str]:
    """A name, and how to walk from it: `main~2` is `main` and `~2`."""
    match = re.search(_REVISION_SUFFIX, version)
    return (version, "") if match is None else (version[: match.start()], version[match.start() :])


def is_ref_name(name: str) -> bool:
    """Whether git would write a branch or tag of that name; another may lead out of a folder."""
    return re.search(_NO_REF, name) is None


def parse_ls_remote(listing: str) -> RemoteRefs:
    """Read what `git ls-remote --symref` prints.

    A server may say anything, and ls-remote passes it on: names that git would not write are dropped.
    """
    head: str | None = None
    head_branch: str | None = None
    branches: dict[str, str] = {}
    tags: dict[str, str] = {}
    for line in listing.split("\n"):
        value, _, name = line.partition("\t")
        if name == "HEAD" and value.startswith("ref: "):
            short = value[5:].removeprefix("refs/heads/")
            head_branch = short if is_ref_name(short) else None
        elif name == "HEAD":
            head = value
        elif name.startswith("refs/heads/") and is_ref_name(name[11:]):
            branches[name[11:]] = value
        elif name.startswith("refs/tags/") and is_ref_name(short := name[10:].removesuffix("^{}")):
            tags[short] = value  # the peeled line follows the tag's own
    return RemoteRefs(head=head, head_branch=head_branch, branches=branches, tags=tags)
