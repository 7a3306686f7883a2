"""Artifacts in a folder of this machine, addressed by `file:` URI."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from proj.errors import ConflictError, NotFoundError, StoreError
from proj.model import ArtifactInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from proj.tracking.store import ArtifactStore

_CHUNK_BYTES = 1 << 20
_OF_THE_PATH = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ELOOP)
"""What the path itself is to blame for, or what is there already: to try again does not help."""
_MAX_PARTS = 100
_PARTIAL = ".proj-partial-"
"""Names of files that are being written begin so; they are never shown."""


class FolderArtifactStore:
    """An `ArtifactStore` for `file:` URIs and plain paths.

    A file appears by a rename, so a reader sees it whole or not at all. A path that would leave the run's
    folder, by `..` or through a symbolic link, is refused for writing and for reading.
    """

    def put(self, artifact_uri: str, path: str, source: Path) -> None:
        """See `ArtifactStore.put`. Links in a folder are followed; what is no file or folder is left out."""
        root = _root(artifact_uri)
        try:
            if not source.is_dir():
                _copy(source, _inside(root, path))
                return
            for file, relative in files_below(source):
                _copy(file, _inside(root, f"{path}/{relative}" if path else relative))
        except OSError as error:
            raise _failed(f"{source} cannot be stored as the artifact {path!r}", error) from error

    def write(self, artifact_uri: str, path: str, content: bytes) -> None:
        """See `ArtifactStore.write`."""
        target = _inside(_root(artifact_uri), path)

        def fill(descriptor: int) -> None:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]

        try:
            _place(target, fill)
        except OSError as error:
            raise _failed(f"The artifact {path!r} cannot be written", error) from error

    @contextlib.contextmanager
    def create(self, artifact_uri: str, path: str) -> Iterator[BinaryIO]:
        """See `ArtifactStore.create`."""
        target = _inside(_root(artifact_uri), path)
        try:
            partial = target.parent / f"{_PARTIAL}{os.urandom(8).hex()}"
            descriptor = _create(partial)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    yield file
                partial.replace(target)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise _failed(f"The artifact {path!r} cannot be written", error) from error

    def list(self, artifact_uri: str, path: str = "") -> tuple[ArtifactInfo, ...]:
        """See `ArtifactStore.list`."""
        root = _root(artifact_uri)
        try:
            return tuple(_entries(root, path))
        except OSError as error:
            raise _failed(f"The artifacts in {path!r} cannot be listed", error) from error

    def open(self, artifact_uri: str, path: str) -> BinaryIO:
        """See `ArtifactStore.open`."""
        target = _inside(_root(artifact_uri), path)
        try:
            # A fifo would block for ever; O_NONBLOCK does nothing for a file.
            descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise _no_artifact(path) from error
        except OSError as error:
            raise _failed(f"The artifact {path!r} cannot be read", error) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise _no_artifact(path)
        return os.fdopen(descriptor, "rb")

    def delete(self, artifact_uri: str, path: str = "") -> None:
        """See `ArtifactStore.delete`."""
        import shutil  # slow to import, and removal is rare

        root = _root(artifact_uri)
        target = _inside(root, path) if path else root
        try:
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)
        except FileNotFoundError:  # somebody else removed it at the same time
            return
        except OSError as error:
            raise _failed(f"The artifact {path!r} cannot be removed", error) from error

    def walk(self, artifact_uri: str, path: str = "") -> Iterator[ArtifactInfo]:
        """See `ArtifactStore.walk`."""
        for entry in self.list(artifact_uri, path):
            if entry.is_dir:
                yield from self.walk(artifact_uri, entry.path)
            else:
                yield entry


def local_path(artifact_uri: str) -> Path:
    """Return the folder that a `file:` URI or a plain path names.

    Raises:
        StoreError: It is a URI of another kind.
    """
    scheme, colon, rest = artifact_uri.partition(":")
    if not colon or "/" in scheme:
        return Path(artifact_uri)
    if scheme.lower() != "file":
        raise StoreError(
            f"There is no artifact store for {scheme}: URIs ({artifact_uri}).",
            hint="Artifacts are kept in local folders.",
        )
    if rest.startswith("//"):
        host, _, rest = rest[2:].partition("/")
        if host not in ("", "localhost"):
            raise StoreError(f"The artifacts of {artifact_uri} are on another machine, {host}.")
        rest = f"/{rest}"
    if "%" in rest:
        from urllib.parse import unquote_to_bytes  # only paths with unusual characters need it

        rest = os.fsdecode(unquote_to_bytes(os.fsencode(rest)))
    return Path(rest)


_root = local_path


def path_parts(path: str) -> list[str]:
    """Return the names of folders and file in the path of an artifact.

    Raises:
        StoreError: It is none, or leads out of the artifacts.
        ConflictError: It leads through more folders than programs can look through.
    """
    parts = path.split("/")
    if "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise StoreError(
            f"{path!r} is no path of an artifact.", hint="Give a relative path without `.` and `..` in it."
        )
    if len(parts) > _MAX_PARTS:
        raise ConflictError(
            f"The path {path[:80]!r}… of an artifact is too long: it has more than {_MAX_PARTS} parts.",
            hint="Choose another path.",
        )
    return parts


def _inside(root: Path, path: str) -> Path:
    """Return the place of an artifact; refuse one outside the root, now or through a symbolic link."""
    parts = path_parts(path)
    target = root.joinpath(*parts)
    real_root = os.path.realpath(root)
    real = os.path.realpath(target)
    if real != os.path.join(real_root, *parts) and os.path.commonpath((real_root, real)) != real_root:  # noqa: PTH118  strings: this is a hot path
        raise StoreError(f"The artifact {path!r} is a link that leads out of the run's folder.")
    return target


def _copy(source: Path, target: Path) -> None:
    with source.open("rb", buffering=0) as stream:

        def fill(descriptor: int) -> None:
            while chunk := stream.read(_CHUNK_BYTES):
                view = memoryview(chunk)
                while view:
                    view = view[os.write(descriptor, view) :]

        _place(target, fill)


def _place(target: Path, fill: Callable[[int], None]) -> None:
    """Write a file beside its place, then move it there; what an interrupt leaves is removed."""
    partial = target.parent / f"{_PARTIAL}{os.urandom(8).hex()}"
    try:
        descriptor = _create(partial)
        try:
            fill(descriptor)
        finally:
            os.close(descriptor)
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _create(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, flags, 0o666)


def is_partial(name: str) -> bool:
    """Whether a file of that name is being written, and is no artifact yet."""
    return name.startswith(_PARTIAL)


def remove_partial(root: Path) -> None:
    """Remove files that a killed process had begun to write below a run's folder."""
    for folder, _folders, names in os.walk(root):
        for name in names:
            if name.startswith(_PARTIAL):
                (Path(folder) / name).unlink(missing_ok=True)


def _entries(root: Path, path: str) -> Iterator[ArtifactInfo]:
    folder = _inside(root, path) if path else root
    try:
        with os.scandir(folder) as scan:
            found = sorted(scan, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    real_root = os.path.realpath(root)
    for entry in found:
        if entry.name.startswith(_PARTIAL):
            continue
        if entry.is_symlink() and os.path.commonpath((real_root, os.path.realpath(entry))) != real_root:
            continue  # it leads out, so it cannot be read either
        relative = f"{path}/{entry.name}" if path else entry.name
        try:
            state = entry.stat()
        except FileNotFoundError:  # a dangling link, or removed meanwhile
            continue
        if stat.S_ISDIR(state.st_mode) and not entry.is_symlink():
            yield ArtifactInfo(path=relative, is_dir=True)
        elif stat.S_ISREG(state.st_mode):
            yield ArtifactInfo(path=relative, is_dir=False, size_bytes=state.st_size)


def files_below(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the regular files of a folder with their relative paths; a link to a folder above ends there.

    Raises:
        OSError: It cannot be read.
    """
    seen: set[tuple[int, int]] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        here = Path(parent)
        state = here.stat()
        if (state.st_dev, state.st_ino) in seen:
            folders.clear()
            continue
        seen.add((state.st_dev, state.st_ino))
        folders.sort()
        for name in sorted(files):
            file = here / name
            if file.is_file():
                yield file, file.relative_to(folder).as_posix()


def _no_artifact(path: str) -> NotFoundError:
    return NotFoundError(f"There is no artifact {path!r}.", hint="`proj artifacts ls RUN` lists them.")


def _failed(what: str, error: OSError) -> StoreError:
    if error.errno in _OF_THE_PATH:
        return ConflictError(f"{what}: {error.strerror}.", hint="Choose another path.")
    return StoreError(f"{what}: {error.strerror or error}.", hint="Check the disk's space and permissions.")


if TYPE_CHECKING:

    def _conforms(store: FolderArtifactStore) -> ArtifactStore:
        return store
