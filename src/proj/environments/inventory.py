"""The environments in the cache: what there is, whether it is whole, and what can go."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj import events
from proj.environments.cache import Marker, read_marker, remove_entry, root
from proj.environments.conda.packages import CachedPackages, no_packages, remove_packages
from proj.environments.usage import own_bytes, size_bytes
from proj.errors import EnvironmentFailedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_JUST_USED_S = 60
"""An environment used this lately may be on its way into a run that does not hold it yet."""


class EnvironmentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An environment in the cache."""

    key: str
    """What names it; a unique prefix is accepted everywhere."""
    complete: bool
    """False for what an interrupted build left: it is never used."""
    kind: str
    origin: str
    """The file that declared it."""
    project_dir: str
    """Where it was first built for."""
    manager: str
    python_version: str
    interpreter: str
    """The base Python that it is made of."""
    directory: str
    packages: int
    size_bytes: int
    """Sum of its files; those that it shares with the installer's cache count in full."""
    created_s: int
    last_used_s: int
    runs: tuple[str, ...]
    """Ids of the runs that used it, oldest first."""
    lock_digest: str
    as_of_s: int | None
    orphaned: bool
    """Whether its interpreter, or a folder that it has installed as editable, is gone."""


class PruneResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed, or would be."""

    removed: tuple[EnvironmentInfo, ...]
    in_use: tuple[EnvironmentInfo, ...]
    """Those that would have gone but are in use."""
    conda_packages: CachedPackages
    """Those of the cache that went, or would."""
    conda_packages_in_use: bool
    """Whether some that would have gone were kept, since environments are being made."""
    freed_bytes: int
    """What is free now; files that the installer's cache has too are not."""
    dry_run: bool


def list_environments() -> tuple[EnvironmentInfo, ...]:
    """All environments in the cache, the one used last first; a warning names those of a newer version."""
    found = (_info(path) for path in _readable())
    return tuple(sorted(found, key=lambda info: (-info.last_used_s, info.key)))


def find_environment(prefix: str) -> EnvironmentInfo:
    """The environment whose key begins with `prefix`.

    Raises:
        UsageError: There is none, or several.
    """
    matching = [path for path in _entries() if path.name.startswith(prefix)]
    if len(matching) == 1:
        return _info(matching[0])
    keys = ", ".join(sorted(path.name for path in (matching or _entries()))) or "none"
    if matching:
        raise UsageError(
            f"Several environments begin with {prefix!r}.", hint=f"Give more of the name: {keys}."
        )
    raise UsageError(f"There is no environment {prefix!r}.", hint=f"There are: {keys}.")


def prune(
    *,
    older_than_s: float | None = None,
    max_size_bytes: int | None = None,
    everything: bool = False,
    dry_run: bool = False,
) -> PruneResult:
    """Remove environments; never one that is in use.

    What an interrupted build left, and what refers to a folder or interpreter that is gone, goes in any case;
    so do conda packages in the cache that no environment is made of then.

    Args:
        older_than_s: Remove those that were not used for this long.
        max_size_bytes: Remove those used longest ago until the rest is no larger.
        everything: Remove all.
        dry_run: Only say what would go.
    """
    now = time.time()
    infos = list_environments()
    chosen = {
        info.key
        for info in infos
        if everything
        or not info.complete
        or info.orphaned
        or (older_than_s is not None and now - info.last_used_s > older_than_s)
    }
    if max_size_bytes is not None:
        total = 0
        for info in infos:  # the last used first
            if info.key not in chosen:
                total += info.size_bytes
                if total > max_size_bytes:
                    chosen.add(info.key)
    removed: list[EnvironmentInfo] = []
    in_use: list[EnvironmentInfo] = []
    freed_bytes = 0
    for info in infos:
        if info.key not in chosen:
            continue
        path = root() / info.key
        own = own_bytes(path)
        recent = info.complete and now - info.last_used_s < _JUST_USED_S and not everything
        gone = not recent and remove_entry(path, dry_run=dry_run)
        (removed if gone else in_use).append(info)
        freed_bytes += own if gone else 0
    staying = {path.name for path in _entries()} - {info.key for info in removed}
    packages = remove_packages(_conda_locks(staying), everything=everything, dry_run=dry_run)
    if not dry_run:
        _remove_leftovers()
    return PruneResult(
        removed=tuple(removed),
        in_use=tuple(in_use),
        conda_packages=packages or no_packages(),
        conda_packages_in_use=packages is None,
        freed_bytes=freed_bytes + (packages.size_bytes if packages else 0),
        dry_run=dry_run,
    )


def _conda_locks(keys: Iterable[str]) -> Iterator[str]:
    for key in keys:
        with contextlib.suppress(EnvironmentFailedError):  # of a newer version: its files are its own
            marker = read_marker(root() / key)
            if marker is not None and marker.kind == "conda":
                yield marker.lock_text


def _entries() -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(root()) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _readable() -> Iterator[Path]:
    for path in _entries():
        try:
            read_marker(path)
        except EnvironmentFailedError as error:  # noqa: PERF203  each entry on its own
            events.warning(f"Left alone: {error.message}")
        else:
            yield path


def _info(path: Path) -> EnvironmentInfo:
    marker = read_marker(path)
    uses = _uses(path)
    created = marker.created_s if marker is not None else int(_mtime(path))
    return EnvironmentInfo(
        key=path.name,
        complete=marker is not None,
        kind=marker.kind if marker else "",
        origin=marker.origin if marker else "",
        project_dir=marker.project_dir if marker else "",
        manager=marker.manager if marker else "",
        python_version=marker.python_version if marker else "",
        interpreter=marker.interpreter if marker else "",
        directory=str(path / marker.folder) if marker else str(path),
        packages=_package_count(marker) if marker else 0,
        size_bytes=size_bytes(path),
        created_s=created,
        last_used_s=max((created, *(when for when, _ in uses))),
        runs=tuple(dict.fromkeys(run_id for _, run_id in uses)),
        lock_digest=marker.lock_digest if marker else "",
        as_of_s=marker.as_of_s if marker else None,
        orphaned=marker is not None and _orphaned(marker),
    )


def _orphaned(marker: Marker) -> bool:
    base = Path(marker.project_dir)
    gone = any(not (base / path).exists() for path in marker.local)
    return gone or bool(marker.interpreter and not os.access(marker.interpreter, os.X_OK))


def _package_count(marker: Marker) -> int:
    """How many packages the lock names; in conda's explicit lists each has a line of its own."""
    listed = sum(line[:1] not in ("", "#", "@") for line in marker.lock_text.splitlines())
    return marker.lock_text.count("[[packages]]") + (listed if marker.kind == "conda" else 0)


def _uses(path: Path) -> list[tuple[int, str]]:
    try:
        lines = (path / "uses").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    pairs = (line.split(" ", 1) for line in lines)
    return [(int(pair[0]), pair[1]) for pair in pairs if len(pair) > 1 and pair[0].isdigit()]


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _remove_leftovers() -> None:
    """Work folders of processes that were killed a day or more ago."""
    import shutil

    try:
        entries = list(os.scandir(root().parent / "work"))
    except OSError:
        return
    for entry in entries:
        if time.time() - _mtime(Path(entry.path)) > 24 * 60 * 60:
            shutil.rmtree(entry.path, ignore_errors=True)
