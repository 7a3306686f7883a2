"""Artifacts in object stores: S3, Google Cloud Storage, Azure; and in this process's memory, for tests."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any, cast

from proj.errors import StoreError
from proj.model import ArtifactInfo
from proj.tracking.artifacts import files_below
from proj.tracking.object_errors import is_absent, is_replaced, no_artifact, store_error
from proj.tracking.object_listing import Entry, list_all, list_folder
from proj.tracking.object_places import (
    PART_BYTES,
    FileSystems,
    Place,
    check_installed,
    check_path,
    find_place,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from proj.tracking.store import ArtifactStore

_CHUNK_BYTES = 1 << 20
_AT_ONCE = 4
"""Files of a folder that are sent, and removed, at the same time."""
_MAX_PARTS = 9000
"""Of one file; S3 allows 10,000."""
_TRIES = 20
"""To read a file that others replace."""


class FsspecArtifactStore:
    """An `ArtifactStore` for `s3:`, `gs:`, `abfss:`, `wasbs:` and `memory:` URIs.

    Files are sent and fetched in parts of 16 MiB, so memory is flat whatever their size. A file becomes
    visible when all of it has come: S3 and Azure put the parts together at the end, GCS ends a resumable
    upload, and what was not ended is no object. What an upload that was killed leaves is invisible; S3 keeps
    it until a life-cycle rule for unfinished uploads removes it, GCS and Azure for a week.

    What is verified of an upload: S3 takes each part only with the SHA-256 that we computed (unless
    `AWS_REQUEST_CHECKSUM_CALCULATION` is `when_required`, for servers that do not know of it); the MD5 that
    GCS says is compared with ours; for Azure, the size that it then says.

    In an object store a folder is no more than the beginning of names: a file may have the name of one.
    """

    def __init__(self) -> None:
        self._systems = FileSystems()

    def check(self, artifact_uri: str) -> None:
        """Check a URI, without asking the store.

        Raises:
            StoreError: It names no place in a store, or what is needed to reach it is not installed.
        """
        check_installed(find_place(artifact_uri).kind)

    def put(self, artifact_uri: str, path: str, source: Path) -> None:
        """See `ArtifactStore.put`. Links in a folder are followed; what is no file or folder is left out."""
        place = find_place(artifact_uri)
        if not source.is_dir():
            self._send(place, path, source)
            return
        if path:
            check_path(path)
        self._each(
            lambda pair: self._send(place, f"{path}/{pair[1]}" if path else pair[1], pair[0]),
            files_below(source),
        )

    def write(self, artifact_uri: str, path: str, content: bytes) -> None:
        """See `ArtifactStore.write`."""
        with self.create(artifact_uri, path) as file:
            file.write(content)

    @contextlib.contextmanager
    def create(self, artifact_uri: str, path: str) -> Iterator[BinaryIO]:
        """See `ArtifactStore.create`."""
        with self._created(find_place(artifact_uri), path) as file:
            yield file

    def list(self, artifact_uri: str, path: str = "") -> tuple[ArtifactInfo, ...]:
        """See `ArtifactStore.list`."""
        return self._listed(find_place(artifact_uri), path, list_folder)

    def walk(self, artifact_uri: str, path: str = "") -> Iterator[ArtifactInfo]:
        """See `ArtifactStore.walk`."""
        return iter(self._listed(find_place(artifact_uri), path, list_all))

    def open(self, artifact_uri: str, path: str) -> BinaryIO:
        """See `ArtifactStore.open`. A file that is replaced while it is read is an error at the next part."""
        place = find_place(artifact_uri)
        name = place.name(path)
        what = f"The artifact {path!r} cannot be read"
        try:
            return io.BufferedReader(_Reader(self._open(place, name), what, place), _CHUNK_BYTES)
        except Exception as error:
            if is_absent(error) or isinstance(error, FileExistsError):  # memory's word for: below a file
                raise no_artifact(path) from error
            raise store_error(error, what, place) from error

    def delete(self, artifact_uri: str, path: str = "") -> None:
        """See `ArtifactStore.delete`.

        Raises:
            StoreError: All of a bucket would go.
        """
        place = find_place(artifact_uri)
        if not path and not place.prefix:
            raise StoreError(f"{artifact_uri} is a whole bucket: its files are not removed.")
        name = place.name(path) if path else place.root
        found = [f"{name}/{entry.path}" for entry in self._entries(place, name, list_all)]
        if path:
            found.append(name)
        system = self._system(place)

        def remove(name: str) -> None:
            try:
                system.rm_file(name)
            except Exception as error:
                if not is_absent(error):
                    raise store_error(error, f"The artifact {path!r} cannot be removed", place) from error

        self._each(remove, found)

    # --- sending --------------------------------------------------------------------------------------

    def _send(self, place: Place, path: str, source: Path) -> None:
        try:
            with source.open("rb", buffering=0) as stream:
                size = source.stat().st_size
                with self._created(place, path, part_bytes=max(PART_BYTES, size // _MAX_PARTS)) as file:
                    while chunk := stream.read(_CHUNK_BYTES):
                        file.write(chunk)
        except OSError as error:  # of the source: the store's are none of these
            raise StoreError(
                f"{source} cannot be stored as the artifact {path!r}: {error.strerror or error}."
            ) from error

    @contextlib.contextmanager
    def _created(self, place: Place, path: str, part_bytes: int = PART_BYTES) -> Iterator[BinaryIO]:
        name = place.name(path)
        what = f"The artifact {path!r} cannot be written"
        system = self._system(place)
        if place.kind.protocol == "memory":
            whole = io.BytesIO()
            yield whole
            with _translated(what, place):
                system.pipe_file(name, whole.getvalue())
            return
        with _translated(what, place):
            upload = system.open(name, "wb", block_size=part_bytes)
        writer = _Writer(upload, what, place)
        try:
            yield cast("BinaryIO", writer)  # it is one for those who write
            with _translated(what, place):
                upload.close()
        except BaseException:
            _abandon(upload)
            raise
        if not place.kind.checked:
            with _translated(what, place):
                size = system.info(name)["size"]
            if size != writer.tell():
                raise StoreError(f"{what}: {size} of {writer.tell()} bytes are in {place.kind.name}.")

    def _each(self, do: Callable[[Any], None], items: Iterable[Any]) -> None:
        from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="proj-artifacts") as pool:
            futures = [pool.submit(do, item) for item in items]
            done, rest = wait(futures, return_when=FIRST_EXCEPTION)
            for future in rest:
                future.cancel()
            for future in done:
                future.result()

    # --- looking --------------------------------------------------------------------------------------

    def _open(self, place: Place, name: str) -> Any:
        system = self._system(place)
        if place.kind.protocol == "memory":  # one file is what all readers share there
            return io.BytesIO(system.cat_file(name))
        for left in reversed(range(_TRIES)):
            file = system.open(name, "rb", block_size=PART_BYTES, cache_type="readahead")
            try:
                if file.details["type"] == "directory":
                    raise IsADirectoryError(name)  # noqa: TRY301  s3fs opens folders
                file.read(1)  # the first part is here now, and of the version that this is
                file.seek(0)
            except BaseException as error:
                file.close()
                if not left or not is_replaced(error):
                    raise
            else:
                return file
        raise AssertionError  # the last try returns or raises

    def _listed(
        self, place: Place, path: str, look: Callable[[Any, Place, str], Iterable[Entry]]
    ) -> tuple[ArtifactInfo, ...]:
        name = place.name(path) if path else place.root
        before = f"{path}/" if path else ""
        return tuple(
            ArtifactInfo(path=f"{before}{entry.path}", is_dir=entry.is_dir, size_bytes=entry.size_bytes)
            for entry in sorted(self._entries(place, name, look), key=lambda entry: entry.path.split("/"))
        )

    def _entries(
        self, place: Place, name: str, look: Callable[[Any, Place, str], Iterable[Entry]]
    ) -> tuple[Entry, ...]:
        what = f"The artifacts in {name} cannot be listed"
        system = self._system(place)
        try:
            return tuple(look(system, place, name))
        except Exception as error:
            if is_absent(error):
                return ()
            raise store_error(error, what, place) from error

    def _system(self, place: Place) -> Any:
        with _translated(f"The artifacts in {place.bucket} cannot be reached", place):
            return self._systems.of(place)


@contextlib.contextmanager
def _translated(what: str, place: Place) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise store_error(error, what, place) from error


def _abandon(upload: Any) -> None:
    """Let an upload come to nothing: fsspec's files would be ended when they are collected."""
    upload.closed = True
    with contextlib.suppress(Exception):  # what is left of it is invisible
        upload.discard()


class _Writer:
    """What is being sent: `BinaryIO` as far as writing goes."""

    def __init__(self, upload: Any, what: str, place: Place) -> None:
        self._upload = upload
        self._what = what
        self._place = place
        self._size = 0

    def write(self, content: bytes) -> int:
        """Send what makes a part."""
        view = memoryview(content).cast("B")
        for start in range(0, len(view), PART_BYTES):
            with _translated(self._what, self._place):
                self._upload.write(view[start : start + PART_BYTES])
        self._size += len(view)
        return len(view)

    def flush(self) -> None:
        """Do nothing: parts have their size."""

    def tell(self) -> int:
        """How much was written."""
        return self._size

    def writable(self) -> bool:
        """Whether it is for writing."""
        return True


class _Reader(io.RawIOBase):
    """A driver's file, with our errors."""

    def __init__(self, file: Any, what: str, place: Place) -> None:
        self._file = file
        self._what = what
        self._place = place

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        with _translated(self._what, self._place):
            content = self._file.read(len(view))
        view[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


if TYPE_CHECKING:

    def _conforms(store: FsspecArtifactStore) -> ArtifactStore:
        return store
