"""The tree of a run, kept with its record."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from proj import events, paths, record, source
from proj.errors import StoreError, ToolFailedError, ToolMissingError
from proj.tracking.artifacts import local_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from proj.model import Checkout, Snapshot
    from proj.tracking.store import ArtifactStore

_MOST_NAMED = 3
_MOST_SECRETS = 5


def keep(
    checkout: Checkout,
    artifacts: ArtifactStore,
    artifact_uri: str,
    *,
    outputs: Sequence[str] = (),
    archive: bool = False,
    limit_bytes: int | None = None,
) -> Snapshot | None:
    """Keep the tree that is about to run: its bundle becomes an artifact, one file for all runs of it.

    Args:
        checkout: The code.
        artifacts: Where the run's files go.
        artifact_uri: The run's place there.
        outputs: See `take`.
        archive: See there.
        limit_bytes: See there.

    Returns:
        As `take`.

    Raises:
        SourceError: There is no room for it.
        StoreError: The artifact cannot be written.
    """
    from proj.source import snapshot

    taken = take(checkout, outputs=outputs, archive=archive, limit_bytes=limit_bytes)
    bundle = snapshot.bundle_file(_store(), taken) if taken is not None else None
    if bundle is not None:
        _put(artifacts, artifact_uri, bundle)
    return taken


def take(
    checkout: Checkout,
    *,
    outputs: Sequence[str] = (),
    archive: bool = False,
    limit_bytes: int | None = None,
) -> Snapshot | None:
    """Keep the tree as it is now in the cache, and say what is left out.

    Args:
        checkout: The code.
        outputs: Globs of files that the project makes, relative to its folder.
        archive: See `proj.source.snapshot.take`.
        limit_bytes: See there; None: its default.

    Returns:
        None where git is missing or cannot read the tree, and something was said about it.

    Raises:
        SourceError: There is no room for it.
    """
    from proj.source import snapshot

    try:
        taken = snapshot.take(
            checkout.root,
            store=_store(),
            archive=archive,
            limit_bytes=snapshot.LIMIT_BYTES if limit_bytes is None else limit_bytes,
            tree=source.recent_worktree(checkout.root),
            project=checkout.subdir,
            outputs=_outputs(checkout, outputs),
        )
    except ToolMissingError:
        events.note("git is not installed: the code that runs is not kept with the run.")
        return None
    except ToolFailedError as error:
        said = error.details[-1] if error.details else error.message
        events.warning(f"The code that runs is not kept with the run, since git cannot read it: {said}")
        return None
    _tell(taken)
    return taken


def _store() -> Path:
    return paths.cache() / "snapshots"


def _outputs(checkout: Checkout, patterns: Sequence[str]) -> set[str]:
    folder = checkout.project_dir
    below = f"{checkout.subdir}/" if checkout.subdir else ""
    return {
        f"{below}{path.relative_to(folder).as_posix()}"
        for pattern in patterns
        for path in folder.glob(pattern)
    }


def _put(artifacts: ArtifactStore, artifact_uri: str, bundle: Path) -> None:
    """Store the bundle; in a folder on the same disk as another name of the same file."""
    with contextlib.suppress(OSError, StoreError):
        target = local_path(artifact_uri) / record.SOURCE_BUNDLE
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        os.link(bundle, target)
        return
    artifacts.put(artifact_uri, record.SOURCE_BUNDLE, bundle)


def _tell(taken: Snapshot) -> None:
    _tell_of_limit(taken)
    secret = [left.path for left in taken.left_out if left.reason == "secret"]
    if secret:
        what = "looks like a secret, so it is" if len(secret) == 1 else "look like secrets, so they are"
        events.note(f"{_named(secret)} {what} not kept with the run.")
    for left in taken.left_out:
        if left.reason in ("unreadable", "special"):
            events.warning(f"{left.path} is not kept with the run: {left.detail}.")


def _named(names: Sequence[str]) -> str:
    """Some names as in a sentence; of very many, the first."""
    *first, last = names
    if len(names) > _MOST_SECRETS:
        return f"{', '.join(names[:_MOST_SECRETS])} and {len(names) - _MOST_SECRETS} more"
    return f"{', '.join(first)} and {last}" if first else last


def _tell_of_limit(taken: Snapshot) -> None:
    for left in taken.left_out:
        if left.reason == "commits":
            where = "" if left.path == "." else f" in {left.path}"
            events.warning(
                f"The history{where} is not kept with the run, only the files as they are: {left.detail}. "
                "Push the commits, or raise --snapshot-limit."
            )
    large = sorted(
        (left for left in taken.left_out if left.reason == "limit"),
        key=lambda left: (-(left.size_bytes or 0), left.path),
    )
    if not large:
        return
    from proj.sizes import in_words

    total = in_words(sum(left.size_bytes or 0 for left in large))
    named = ", ".join(f"{left.path} ({in_words(left.size_bytes or 0)})" for left in large[:_MOST_NAMED])
    more = f" and {len(large) - _MOST_NAMED} more" if len(large) > _MOST_NAMED else ""
    what = "1 large file" if len(large) == 1 else f"{len(large)} large files"
    events.warning(
        f"The code is kept without {what} ({total}): {named}{more}. Name data in .projignore, keep more by "
        "--snapshot-limit, or refuse uncommitted files by --require-clean."
    )
