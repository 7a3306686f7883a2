r"""The files that a run reads: `path` parameters, known by the digests of their bytes.

What is small is read before the command starts, which may change its own inputs. What is larger is read while
the command runs; its digest counts only if nothing has touched the files since before the start (size,
times of modification and of change, inode). So a recorded digest is that of the bytes that the command found.

The digest of a file is the SHA-256 of its bytes. That of a folder is the SHA-256 of one line for each file
below it, in the order of their paths' bytes: the file's digest in hexadecimal, two blanks, its path relative
to the folder with `/`, a newline. A backslash and a newline in a path are written `\\` and `\n`. Links are
followed; names that lead nowhere, and what is neither file nor folder, are lines with `-` in place of the
digest; an empty folder is no line.
"""

from __future__ import annotations

import contextvars
import os
import stat
import threading
import time
from typing import TYPE_CHECKING, Literal

import msgspec

from proj.errors import StoreError
from proj.model import ParameterKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from proj.model import BoundParameter

FORMAT = 1
"""Version of `proj/inputs.json`."""

SMALL_BYTES = 64 << 20
"""What is read before the command starts, all inputs together."""
MOST_BYTES = 1 << 30
MOST_FILES = 10_000
"""What is read at all, all inputs together."""
_LISTED_FILES = 1000
"""A folder of up to this many files is recorded file by file, so that a comparison can name them."""
_CHUNK_BYTES = 1 << 20
WAIT_S = 60.0
"""How long the end of a run waits for what is still being read."""

NOT_READ = "the run ended before it was read"
CHANGED = "it was changed while the command ran"


class InputFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file in a folder that is an input."""

    path: str
    """Relative to the folder, with `/`."""
    digest: str | None
    """`sha256:<hex>`; None for what is no file."""


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """The value of a `path` parameter."""

    parameter: str
    path: str
    """What the command received."""
    kind: Literal["file", "folder", "other", "missing"]
    digest: str | None = None
    """`sha256:<hex>` of a file, or of a folder as a tree; None where it is not known."""
    size_bytes: int | None = None
    """Of all its files; None where they were too many to look at."""
    files: int | None = None
    modified_ms: int | None = None
    """When the last change was made, as far as it was looked at."""
    reason: str | None = None
    """Why there is no digest."""
    stamp: str | None = None
    """Digest of names, sizes, times and inodes before the command started; for what is read later."""
    tree: tuple[InputFile, ...] = ()
    """A folder's files, unless they are many."""


class InputsRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`proj/inputs.json`."""

    format: int = FORMAT
    inputs: tuple[Input, ...] = ()

    @property
    def pending(self) -> bool:
        """Whether some are still to be read."""
        return any(each.stamp is not None and each.digest is None for each in self.inputs)


def measure(parameters: Iterable[BoundParameter]) -> InputsRecord:
    """Look at all inputs, and read the small ones; never raises.

    The others are left with a stamp, and a reason that is true should nobody come to `complete` them.
    """
    surveyed = [_survey(each) for each in parameters if each.kind is ParameterKind.PATH and each.value]
    small, most, files = SMALL_BYTES, MOST_BYTES, MOST_FILES
    found: list[Input] = []
    for each in surveyed:
        if each.reason is not None or each.size_bytes is None or each.files is None:
            found.append(each)
        elif each.size_bytes > most or each.files > files:
            found.append(msgspec.structs.replace(each, reason=_too_large(), stamp=None))
        else:
            most -= each.size_bytes
            files -= each.files
            if each.size_bytes <= small:
                small -= each.size_bytes
                found.append(_read(each, lambda: False))
            else:
                found.append(msgspec.structs.replace(each, reason=NOT_READ))
    return InputsRecord(inputs=tuple(found))


def complete(record: InputsRecord, stop: Callable[[], bool] = lambda: False) -> InputsRecord:
    """Read what `measure` has left, until `stop` says so; never raises."""
    return InputsRecord(
        inputs=tuple(
            _read(each, stop) if each.stamp is not None and each.digest is None else each
            for each in record.inputs
        )
    )


def read(content: bytes) -> InputsRecord:
    """Read `proj/inputs.json` back.

    Raises:
        StoreError: It was written by a newer proj, or is damaged.
    """
    try:
        found = msgspec.json.decode(content, type=InputsRecord)
    except msgspec.DecodeError as error:
        raise StoreError(f"proj/inputs.json is damaged: {error}") from error
    if found.format > FORMAT:
        raise StoreError(
            f"proj/inputs.json has format {found.format}; this proj knows {FORMAT}: upgrade proj."
        )
    return found


class Reading:
    """Completes a record in a thread while the command runs.

    Args:
        record: Of `measure`.
        write: Called in that thread with the completed record.
    """

    def __init__(self, record: InputsRecord, write: Callable[[InputsRecord], None]) -> None:
        self._end: float | None = None
        # A thread begins without the listener of events.
        within = contextvars.copy_context().run
        self._thread = threading.Thread(
            target=within,
            args=(lambda: write(complete(record, self._overdue)),),
            name="proj-inputs",
            daemon=True,
        )
        self._thread.start()

    def _overdue(self) -> bool:
        return self._end is not None and time.monotonic() > self._end

    def finish(self, wait_s: float = WAIT_S) -> None:
        """Wait for what is being read, but not for long."""
        self._end = time.monotonic() + wait_s
        self._thread.join(wait_s + 1)


def _too_large() -> str:
    return f"larger than {MOST_BYTES >> 30} GiB or {MOST_FILES:,} files, together with the inputs before it"


class _Entry(msgspec.Struct, frozen=True):
    """A name below an input; `state` is None for a link that leads nowhere."""

    path: str
    state: os.stat_result | None

    @property
    def is_file(self) -> bool:
        return self.state is not None and stat.S_ISREG(self.state.st_mode)

    @property
    def size_bytes(self) -> int:
        return self.state.st_size if self.state is not None and self.is_file else 0


class _TooManyError(Exception):
    """A folder holds more files than are looked at."""


def _survey(parameter: BoundParameter) -> Input:
    """Everything about an input that its bytes need not be read for."""
    named = Input(parameter=parameter.name, path=parameter.value, kind="missing")
    try:
        state = os.stat(parameter.value)  # noqa: PTH116  a string as the command gets it
        if not stat.S_ISREG(state.st_mode) and not stat.S_ISDIR(state.st_mode):
            return msgspec.structs.replace(named, kind="other", reason="it is neither a file nor a folder")
        named = msgspec.structs.replace(
            named,
            kind="folder" if stat.S_ISDIR(state.st_mode) else "file",
            modified_ms=state.st_mtime_ns // 1_000_000,
        )
        entries = _entries(parameter.value)
    except _TooManyError:
        return msgspec.structs.replace(named, reason=_too_large())
    except OSError as error:
        return msgspec.structs.replace(named, reason=f"it cannot be read: {error.strerror}")
    times = [each.state.st_mtime_ns // 1_000_000 for each in entries if each.state is not None]
    return msgspec.structs.replace(
        named,
        size_bytes=sum(each.size_bytes for each in entries),
        files=len(entries),
        modified_ms=max([named.modified_ms or 0, *times]),
        stamp=_stamp(entries),
    )


def _entries(path: str) -> list[_Entry]:
    """What is hashed of an input, in the order of the paths' bytes; a file is an entry without a name."""
    state = os.stat(path)  # noqa: PTH116  as above
    if not stat.S_ISDIR(state.st_mode):
        return [_Entry("", state)]
    found: list[_Entry] = []
    for entry in _below(path, "", ((state.st_dev, state.st_ino),)):
        found.append(entry)
        if len(found) > MOST_FILES:
            raise _TooManyError
    return sorted(found, key=lambda entry: os.fsencode(entry.path))


def _below(folder: str, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[_Entry]:
    with os.scandir(folder) as scan:
        entries = list(scan)
    for entry in entries:
        path = f"{prefix}{entry.name}"
        try:
            state = os.stat(entry.path)  # noqa: PTH116  follows links, as whoever opens it does
        except FileNotFoundError:
            yield _Entry(path, None)
            continue
        identity = (state.st_dev, state.st_ino)
        if not stat.S_ISDIR(state.st_mode):
            yield _Entry(path, state)
        elif identity in above:  # a link to a folder above
            yield _Entry(path, None)
        else:
            yield from _below(entry.path, f"{path}/", (*above, identity))


def _stamp(entries: Iterable[_Entry]) -> str:
    import hashlib  # slow to import, and most runs have no such parameters

    digest = hashlib.sha256()
    for entry in entries:
        state = entry.state
        told = (
            "-"
            if state is None
            else (
                f"{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns} "
                f"{state.st_ino} {state.st_dev} {state.st_mode}"
            )
        )
        digest.update(os.fsencode(entry.path) + b"\0" + told.encode() + b"\0")
    return "sha256:" + digest.hexdigest()


def _read(found: Input, stop: Callable[[], bool]) -> Input:
    """The input with its digest, or with the reason why it has none."""

    def without(reason: str) -> Input:
        return msgspec.structs.replace(found, reason=reason, stamp=None)

    try:
        entries = _entries(found.path)
        if _stamp(entries) != found.stamp:
            return without(CHANGED)
        files = _digests(found.path, entries, stop)
        if files is None:
            return without(NOT_READ)
        if _stamp(_entries(found.path)) != found.stamp:
            return without(CHANGED)
    except _TooManyError:
        return without(CHANGED)
    except OSError as error:
        return without(f"it cannot be read: {error.strerror}")
    folder = found.kind == "folder"
    digest = tree_digest(files) if folder else files[0].digest
    listed = files if folder and len(files) <= _LISTED_FILES else ()
    return msgspec.structs.replace(found, digest=digest, tree=listed, reason=None, stamp=None)


def _digests(top: str, entries: Iterable[_Entry], stop: Callable[[], bool]) -> tuple[InputFile, ...] | None:
    found: list[InputFile] = []
    for entry in entries:
        digest = None
        if entry.is_file:
            digest = _file_digest(os.path.join(top, entry.path) if entry.path else top, stop)  # noqa: PTH118
            if digest is None:
                return None
        found.append(InputFile(path=entry.path, digest=digest))
    return tuple(found)


def _file_digest(path: str, stop: Callable[[], bool]) -> str | None:
    """`sha256:<hex>` of a file; None if `stop` said so."""
    import hashlib  # as above

    digest = hashlib.sha256()
    # Should it have become a fifo meanwhile, opening must not wait for a writer.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            if stop():
                return None
    return "sha256:" + digest.hexdigest()


def tree_digest(files: Iterable[InputFile]) -> str:
    """The digest of a folder, from those of its files in the order of their paths' bytes."""
    import hashlib  # as above

    digest = hashlib.sha256()
    for file in files:
        name = os.fsencode(file.path).replace(b"\\", b"\\\\").replace(b"\n", b"\\n")
        told = file.digest.removeprefix("sha256:") if file.digest is not None else "-"
        digest.update(told.encode() + b"  " + name + b"\n")
    return "sha256:" + digest.hexdigest()
