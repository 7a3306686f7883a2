"""Where built environments live: folders, completeness markers, file locks, last use.

environments/<key>/lock         held exclusively while building or removing, shared while in use
environments/<key>/complete     the marker, written last: names the folder below that counts
environments/<key>/uses         one line for each run: time and run id
environments/<key>/<attempt>/   the environment; each attempt has a folder of its own, so that an installer
                                that outlives its killed parent can never write into the one that counts
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj import events, files, paths
from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from proj.model import PreparedEnvironment

FORMAT = 1


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept beside a complete environment."""

    format: int = FORMAT
    folder: str
    """Name of the attempt that succeeded."""
    kind: str
    """`python` or `conda`."""
    origin: str
    """The file that declared it."""
    manager: str
    interpreter: str
    """The base Python that it is made of; of a conda environment its own, empty where it has none."""
    python_version: str
    lock_digest: str
    lock_text: str
    as_of_s: int | None = None
    project_dir: str
    local: tuple[str, ...] = ()
    """Folders outside of the cache that it refers to (editable installs)."""
    created_s: int


class _Versioned(msgspec.Struct):
    """What markers of all formats have."""

    format: int


class Entry:
    """One environment's place in the cache.

    Args:
        key: What names it: hexadecimal digits.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self.path = root() / key

    def ready(self) -> Marker | None:
        """The marker, if the environment is complete and its interpreter is still there."""
        marker = read_marker(self.path)
        if marker is None or (marker.interpreter and not os.access(marker.interpreter, os.X_OK)):
            return None
        folder = self.path / marker.folder
        if marker.kind == "conda":
            return marker if os.access(folder / "conda-meta", os.X_OK) else None
        return marker if os.access(folder / "bin" / "python", os.X_OK) else None

    def build(self, make: Callable[[Path], Marker]) -> tuple[Marker, bool]:
        """Build the environment, unless another process has done so meanwhile.

        Args:
            make: Makes it in the folder that it is given, which is not there yet.

        Returns:
            Its marker, and whether it was built here.

        Raises:
            EnvironmentFailedError: It cannot be built; nothing half-built is left.
        """
        with self._building() as folder:
            ready = self.ready()
            if ready is not None:
                return ready, False
            try:
                marker = make(folder)
            except OSError as error:
                raise unwritable(folder, error) from error
            write_atomically(self.path / "complete", msgspec.json.encode(marker))
            self._remove_attempts(keep=marker.folder)
            return marker, True

    @contextlib.contextmanager
    def _building(self) -> Iterator[Path]:
        """Hold the entry exclusively and get a fresh folder's path to build in; abandoned ones are removed.

        The folder is removed if the block raises. Callers check `ready` again inside.

        Raises:
            EnvironmentFailedError: The cache cannot be written.
        """
        try:
            descriptor = files.lock(
                self.path / "lock",
                on_wait=lambda: events.step("Another run is building this environment; waiting."),
            )
        except OSError as error:
            raise unwritable(self.path, error) from error
        attempt = self.path / os.urandom(4).hex()
        try:
            if read_marker(self.path) is None:
                self._remove_attempts(keep="")
            yield attempt
        except BaseException:
            _remove_tree(attempt)
            raise
        finally:
            os.close(descriptor)

    def _remove_attempts(self, keep: str) -> None:
        for entry in os.scandir(self.path):
            if entry.is_dir(follow_symlinks=False) and entry.name != keep:
                _remove_tree(Path(entry.path))


def root() -> Path:
    """The folder of all environments."""
    return paths.cache() / "environments"


def read_marker(path: Path) -> Marker | None:
    """The marker of an entry's folder; None while it is incomplete.

    Raises:
        EnvironmentFailedError: A newer version wrote it.
    """
    try:
        content = (path / "complete").read_bytes()
        version = msgspec.json.decode(content, type=_Versioned).format
        if version <= FORMAT:
            return msgspec.json.decode(content, type=Marker)
    except (OSError, msgspec.DecodeError):
        return None
    raise EnvironmentFailedError(
        f"The environment {path} was written by a newer proj (format {version}; this one knows {FORMAT}).",
        hint="Use that version, or set PROJ_CACHE to another folder.",
    )


@contextlib.contextmanager
def in_use(prepared: PreparedEnvironment, run_id: str) -> Iterator[None]:
    """Keep an environment from being pruned while the block runs, and remember that the run used it.

    Does nothing for environments that are not kept in the cache.

    Raises:
        EnvironmentFailedError: It was removed since it was prepared.
    """
    entry = _entry_of(prepared)
    if entry is None:
        yield
        return
    try:
        descriptor = files.lock(entry / "lock", shared=True, create=False)
    except OSError as error:
        raise EnvironmentFailedError(
            f"The environment {entry.name} was removed while the run was starting.", hint="Run it again."
        ) from error
    try:
        if read_marker(entry) is None:
            raise EnvironmentFailedError(
                f"The environment {entry.name} was removed while the run was starting.", hint="Run it again."
            )
        mark_used(prepared, run_id)
        yield
    finally:
        os.close(descriptor)


def mark_used(prepared: PreparedEnvironment, run_id: str) -> None:
    """Remember that a run used the environment; never raises."""
    entry = _entry_of(prepared)
    if entry is None:
        return
    line = f"{int(time.time())} {run_id}\n".encode()
    try:
        descriptor = os.open(entry / "uses", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        return
    try:
        os.write(descriptor, line)
    except OSError:
        return
    finally:
        os.close(descriptor)


def remove_entry(path: Path, *, dry_run: bool = False) -> bool:
    """Remove an environment from the cache, unless it is in use or being built.

    Returns:
        Whether it is gone, or would be.
    """
    try:
        descriptor = files.try_lock(path / "lock")
    except OSError:
        return False
    if descriptor is None:
        return False
    try:
        if not dry_run:
            with contextlib.suppress(OSError):
                (path / "complete").unlink(
                    missing_ok=True
                )  # first: from here on nobody takes it for complete
            _remove_tree(path)
        return True
    finally:
        os.close(descriptor)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file such that readers see all of it or nothing.

    Raises:
        EnvironmentFailedError: It cannot be written.
    """
    try:
        files.write_whole(path, content)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> EnvironmentFailedError:
    """The error for a cache that cannot be written."""
    return EnvironmentFailedError(
        f"Cannot write {path}: {error.strerror or error}.",
        hint="Make room, or set PROJ_CACHE to a folder that can be written.",
    )


@contextlib.contextmanager
def exclusively(folder: Path, on_wait: str) -> Iterator[None]:
    """Hold a folder's file lock.

    Raises:
        EnvironmentFailedError: The cache cannot be written.
    """
    try:
        descriptor = files.lock(folder / "lock", on_wait=lambda: events.step(on_wait))
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        yield
    finally:
        os.close(descriptor)


def _entry_of(prepared: PreparedEnvironment) -> Path | None:
    folder = prepared.directory
    return folder.parent if folder is not None and folder.parent.parent == root() else None


def _remove_tree(path: Path) -> None:
    import shutil

    shutil.rmtree(path, ignore_errors=True)
