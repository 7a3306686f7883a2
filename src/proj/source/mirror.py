"""The cache of remote repositories: one bare repository for each URL, never pruned of commits.

A mirror appears whole, by a rename. It keeps the remote's branches as `refs/remotes/origin/*` and all refs
packed, so that a checkout takes them over by copying one file. Commits that the remote has forgotten stay:
a run that was recorded with one can be made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from typing import TYPE_CHECKING

import msgspec

from proj import events, paths
from proj.errors import SourceError, ToolFailedError
from proj.source import git
from proj.source.failures import explain
from proj.source.files import locked, make_folder, os_failure, remove_tree
from proj.source.refs import RemoteRefs, parse_ls_remote
from proj.source.tree import MIRROR_CONFIG, write_skeleton
from proj.source.uri import Credentials, redact_url

if TYPE_CHECKING:
    from pathlib import Path

_REFSPECS = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
_PACKS_MAX = 40
_PERCENT = re.compile(r"(?:remote: )?([A-Z][\w ]+):\s+\d+% \((\d+)/(\d+)\)")


class Mirror(msgspec.Struct, frozen=True):
    """The cached repository of one URL, there or not."""

    url: str
    """Without credentials."""
    credentials: Credentials | None = None
    allow_file: bool = False

    @property
    def path(self) -> Path:
        """Where it is, or will be."""
        name = re.sub(r"[^\w.-]+", "-", re.split(r"[/:]", self.url.rstrip("/"))[-1].removesuffix(".git"))
        digest = hashlib.sha256(self.url.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        return paths.cache() / "repos" / f"{name[:60].lstrip('.') or 'repository'}-{digest}"

    def has(self, commit: str) -> bool:
        """Whether a commit, given by its full hash, is in the cache."""
        return (
            self.path.is_dir()
            and git.run("cat-file", "-e", f"{commit}^{{commit}}", git_dir=self.path, check=False).returncode
            == 0
        )

    def packed_refs(self) -> str:
        """The refs as of the last fetch, in git's own format."""
        try:
            return (self.path / "packed-refs").read_text("utf-8", "surrogateescape")
        except FileNotFoundError:
            return ""

    def commit_of(self, expression: str) -> str | None:
        """The full hash of the commit that a revision meant at the last fetch; None where it meant none."""
        if not self.path.is_dir():
            return None
        found = git.run(
            *("rev-parse", "--verify", "--quiet", "--end-of-options", f"{expression}^{{commit}}"),
            git_dir=self.path,
            check=False,
        )
        return found.stdout.strip() or None

    def ask_remote(self) -> RemoteRefs:
        """Ask the remote for its branches and tags.

        Raises:
            SourceError: It cannot be asked.
        """
        events.step(f"Asking {redact_url(self.url)} for its branches and tags")
        make_folder(self.path.parent)
        try:
            listing = git.transfer(
                *("ls-remote", "--symref", "--", self.url, "HEAD", "refs/heads/*", "refs/tags/*"),
                git_dir=self.path.parent / "none",
                cwd=self.path.parent,
                credentials=self.credentials,
                allow_file=self.allow_file,
            )
        except ToolFailedError as error:
            raise explain(error, self.url) from error
        return parse_ls_remote(listing)

    def update(self, *, wanted: str, ref: str | None = None) -> None:
        """Fetch all branches and tags; then the commit `wanted` alone if no branch or tag holds it.

        Args:
            wanted: The full hash of a commit.
            ref: The full name of the ref in the mirror that has to point to it, if any.

        Raises:
            SourceError: The remote cannot be reached, or has no such commit.
        """
        with locked(self.path.with_name(self.path.name + ".lock"), f"fetching {redact_url(self.url)}"):
            self._remove_leftovers()
            if self.has(wanted) and (ref is None or self.commit_of(ref) == wanted):
                return  # another run has fetched it meanwhile
            events.step(f"Fetching {redact_url(self.url)}")
            if self.path.is_dir():
                self._fetch(self.path, *_REFSPECS)
                self._tidy()
            else:
                self._create(wanted)
            if not self.has(wanted):
                self._fetch_commit(wanted)

    def discard(self) -> None:
        """Remove the cached repository, which turned out to be damaged."""
        with locked(self.path.with_name(self.path.name + ".lock"), f"fetching {redact_url(self.url)}"):
            remove_tree(self.path)

    def _create(self, wanted: str) -> None:
        building = self.path.with_name(f".{self.path.name}.{secrets.token_hex(6)}")
        try:
            write_skeleton(building, MIRROR_CONFIG, long_hashes=len(wanted) > 40)  # noqa: PLR2004  hex digits of SHA-1
            self._fetch(building, *_REFSPECS)
            building.rename(self.path)
        except OSError as error:
            raise os_failure(error, f"Cannot write {self.path}") from error
        finally:
            if building.exists():
                remove_tree(building)

    def _fetch_commit(self, wanted: str) -> None:
        try:
            self._fetch(self.path, wanted)
        except SourceError as error:
            raise SourceError(
                f"No commit {wanted} in {redact_url(self.url)}.",
                hint="Check the hash. A commit that no branch or tag holds is gone from most hosts.",
                details=error.details,
            ) from error
        if not self.has(wanted):
            raise SourceError(f"{wanted} in {redact_url(self.url)} is no commit.")

    def _fetch(self, git_dir: Path, *refspecs: str) -> None:
        import contextvars

        context = contextvars.copy_context()  # GitPython reads the output in threads of its own

        def on_stderr(line: str) -> None:
            match = _PERCENT.match(line)
            if match:
                done, total = int(match.group(2)), int(match.group(3))
                context.run(events.progress, match.group(1), done, total)

        prune = ("--prune",) if refspecs == _REFSPECS else ()
        try:
            git.transfer(
                *("fetch", "--progress", "--no-tags", "--no-auto-gc", "--no-recurse-submodules", "--force"),
                *(*prune, "--no-write-fetch-head", "--", self.url, *refspecs),
                git_dir=git_dir,
                cwd=git_dir,
                credentials=self.credentials,
                allow_file=self.allow_file,
                on_stderr=on_stderr,
            )
            git.run("pack-refs", "--all", git_dir=git_dir)
        except ToolFailedError as error:
            raise explain(error, self.url) from error

    def _tidy(self) -> None:
        """Merge the packs that many small fetches leave; unreachable commits stay."""
        if sum(1 for _ in (self.path / "objects/pack").glob("*.pack")) > _PACKS_MAX:
            git.run("repack", "-d", "--geometric=2", "--quiet", git_dir=self.path, check=False)

    def _remove_leftovers(self) -> None:
        """Remove what a killed run left; whoever holds the lock is the only writer."""
        for path in self.path.parent.glob(f".{self.path.name}.*"):
            remove_tree(path)
        if not self.path.is_dir():
            return
        leftovers = [*self.path.glob("*.lock"), *(self.path / "objects/pack").glob("*tmp_*")]
        leftovers += (self.path / "refs").rglob("*.lock")
        for path in leftovers:
            with contextlib.suppress(OSError):
                os.unlink(path)  # noqa: PTH108  symmetrical with the suppressed error
