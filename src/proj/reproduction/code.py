"""The code of a run that is to be made again: from its remote, or from the bundle that was kept with it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from proj.errors import NotFoundError, ProjError, SourceError
from proj.model import Checkout, GitState
from proj.reproduction.problems import Problem, problem_of
from proj.source import checkouts
from proj.source.files import remove_tree

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

    from proj.model import RunRecord, Snapshot
    from proj.record import SourceRecord
    from proj.tracking import Tracking


class RestoredCode:
    """Restores the code of a run; what hinders it is a problem.

    Args:
        tracking: Where the record is.
        run: The run.
        directory: Where to; None: into a private checkout.
        remote: Repository to get the commit from, instead of the recorded one.
        offline: Whether the network may not be used.
    """

    def __init__(
        self,
        tracking: Tracking,
        run: RunRecord,
        *,
        directory: Path | None,
        remote: str | None,
        offline: bool,
    ) -> None:
        self.problems: list[Problem] = []
        self.snapshot: Snapshot | None = None
        """What was restored."""
        self.bundle: Path | None = None
        """A copy of what was kept with the run, for the new one to keep."""
        self._tracking = tracking
        self._run = run
        self._directory = directory
        self._remotes = {} if remote is None else {"": remote}
        self._offline = offline
        self._private: Path | None = None
        self._written: Path | None = None

    def restore(self, code: SourceRecord) -> Checkout | None:
        """Restore it, and check its hash; None where there is a problem."""
        from proj.archive.code import kept_code
        from proj.source.restore import restore, say_left_out

        snapshot, bundle = kept_code(self._tracking, self._run)
        if snapshot is None:
            self.problems.append(
                Problem(
                    item="code",
                    message="It was not kept with the run.",
                    hint="git was missing where it ran, or the proj there was too old.",
                )
            )
            return None
        self._private = checkouts.allocate(self._run.run_name)
        target = self._private if self._directory is None else self._directory.absolute()
        try:
            if self._is_out_of_reach(snapshot):
                return None
            self._get_bundle(bundle, self._private.parent)
            restore(snapshot, target, bundle_path=self.bundle, remotes=self._remotes)
            _check_large_files(snapshot, target)
        except ProjError as error:
            self.problems.append(problem_of("code", error))
            return None
        self._written, self.snapshot = target, snapshot
        if not (target / code.subdir).resolve().is_relative_to(target.resolve()):
            self.problems.append(
                Problem(item="code", message=f"The record names a folder outside of it: {code.subdir!r}.")
            )
            return None
        say_left_out(snapshot)
        return self._checkout(code, target)

    def _is_out_of_reach(self, snapshot: Snapshot) -> bool:
        from proj.source.restore import absent_commits

        absent = absent_commits(snapshot, self._remotes) if self._offline else ()
        if absent:
            self.problems.append(
                Problem(
                    item="code",
                    message=f"Commit {absent[0]} is not in the cache, and this is offline.",
                    hint="Run it once with the network.",
                )
            )
        return bool(absent)

    def _get_bundle(self, artifact: str | None, folder: Path) -> None:
        if artifact is None:
            return
        self.bundle = folder / "source.bundle"
        try:
            with (
                self._tracking.artifacts.open(self._run.artifact_uri, artifact) as file,
                self.bundle.open("wb") as out,
            ):
                shutil.copyfileobj(file, out)
        except NotFoundError as error:
            raise ProjError(f"{artifact}, which holds what was not pushed, is gone.") from error

    def _checkout(self, code: SourceRecord, root: Path) -> Checkout:
        git = GitState(
            root=root,
            commit=code.commit,
            committed_at_s=code.committed_at_s,
            branch=code.branch,
            repository_url=code.repository_url,
            changed_files=_as_changed(code),
        )
        kind: Literal["git", "archive", "local"] = "local"
        if code.kind in ("git", "archive"):
            kind = "git" if code.kind == "git" else "archive"
        return Checkout(
            uri=code.uri,
            kind=kind,
            root=root,
            project_dir=root / code.subdir if code.subdir else root,
            subdir=code.subdir,
            version=code.version,
            git=git if code.dirty is not None else None,
            private=self._directory is None,
        )

    def discard(self) -> None:
        """Remove all that was restored."""
        if self._private is not None:
            checkouts.discard(self._private)
        if self._directory is not None and self._written is not None and self._written.is_dir():
            remove_tree(self._written)

    def tidy(self) -> None:
        """Remove what nobody needs once the run is over; the run itself removes a private checkout."""
        if self._private is not None and self._directory is not None:
            checkouts.discard(self._private)


def _check_large_files(snapshot: Snapshot, target: Path) -> None:
    """See that what the run had of Git LFS is there as well: the tree's hash tells only of pointers."""
    from proj.source.lfs import is_pointer

    absent = [path for path in snapshot.large_files if is_pointer(target / path)]
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise SourceError(
            f"The content of {absent[0]}{more}, which the run had from Git LFS, is not there.",
            hint="Install git-lfs: it fetches it.",
        )


def _as_changed(code: SourceRecord) -> tuple[str, ...]:
    """The files that had changed, as far as they are kept: the others are not changed here, or not there."""
    left = code.snapshot.left_out if code.snapshot is not None else ()
    missed = {each.path for each in left if each.missed}
    return tuple(path for path in code.changed_files if path not in missed)
