"""Whether two files are the same, and if only their bytes differ, what they may yet have in common.

Some files hold when and by what they were written. Where what matters can be told apart from that, it is
compared alone; where it cannot, the reason says what kind of file it is, and the file counts as different.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
import zlib
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import IO, BinaryIO

READ_BYTES = 64 << 20
"""Larger files are compared by their bytes alone."""
TEXT_BYTES = 8 << 20
"""In larger texts, times are not looked for: that takes many times as much memory."""
_CHUNK_BYTES = 1 << 20

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_METADATA = frozenset({b"tEXt", b"zTXt", b"iTXt", b"tIME", b"eXIf"})
_ZIP = b"PK\x03\x04"
_GZIP = b"\x1f\x8b"
_TAR_MARK = slice(257, 262)
_MLMODEL_OWN = frozenset(
    {"run_id", "model_id", "model_uuid", "utc_time_created", "artifact_path", "model_size_bytes"}
)
_ADDRESS = re.compile(rb'"__id__": *(\d+)')
_NUMBER = re.compile(rb"\d+")
_TIME = re.compile(
    rb"\d{4}-\d\d-\d\d([T ]\d\d[:.]?\d\d([:.]?\d\d([.,]\d+)?)?)?(Z|[+-]\d\d:?\d\d)?|"
    rb"\b\d\d:\d\d:\d\d([.,]\d+)?\b|"
    rb"\b1[5-9]\d{8}(\d{3}|\.\d+)?\b"
)
_KINDS = (
    ("a pickle: equal objects may differ in their bytes", ".pkl .pickle .joblib .cloudpickle"),
    ("a model's file: it holds pickles, times or addresses in memory", ".pt .pth .ckpt .keras .skops"),
    ("an image", ".png .jpg .jpeg .gif .webp .tif .tiff .bmp"),
    ("a drawing: most programs write the time and random names into it", ".svg .pdf .ps .eps"),
    ("a page: most plotting libraries write random names into it", ".html .htm"),
    ("HDF5 holds the times of its parts", ".h5 .hdf5 .nc"),
    ("an archive whose members differ", ".zip .npz .whl .jar .docx .xlsx"),
    ("an archive whose content differs", ".tar .tgz .gz .bz2 .xz .zst .7z"),
    ("a database: its bytes depend on how it was written", ".db .sqlite .sqlite3"),
)
"""What is to be said of a file that differs -> endings of its name."""


class FileComparison(msgspec.Struct, frozen=True, kw_only=True):
    """What two files of one name have in common."""

    same: bool
    left: str
    """`sha256:<hex>`, or the size where that alone tells them apart."""
    right: str
    reason: str | None = None


def compare(
    path: str,
    left: Callable[[str], BinaryIO],
    right: Callable[[str], BinaryIO],
    *,
    names: tuple[str, str],
    sizes: tuple[int | None, ...] = (None, None),
) -> FileComparison:
    """Compare two files.

    Args:
        path: Of both.
        left: Opens the one.
        right: Opens the other.
        names: The runs' own ids, which each may hold.
        sizes: In bytes, where they are known.
    """
    large = any(size is not None and size > READ_BYTES for size in sizes)
    if large and None not in sizes and sizes[0] != sizes[1]:
        return FileComparison(
            same=False, left=f"{sizes[0]} bytes", right=f"{sizes[1]} bytes", reason=_kind(path)
        )
    digests = [_digest(side, path) for side in (left, right)]
    if digests[0] == digests[1]:
        return FileComparison(same=True, left=digests[0], right=digests[1])
    same, reason = (False, _kind(path)) if large else _look_inside(path, left, right, names)
    return FileComparison(same=same, left=digests[0], right=digests[1], reason=reason)


def digest_of(content: bytes) -> str:
    """`sha256:<hex>` of bytes."""
    return digest_of_all((content,))


def digest_of_all(pieces: Iterable[bytes]) -> str:
    """The same of bytes that come piece by piece."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return "sha256:" + digest.hexdigest()


def without(file: BinaryIO, run_id: str) -> Iterator[bytes]:
    """Yield what is in a file with `RUN` for a run's own id, in pieces of any length but 0."""
    own = run_id.encode()
    rest = b""
    while chunk := file.read(_CHUNK_BYTES):
        parts = (rest + chunk).split(own)
        # The end may be the beginning of an id.
        cut = max(len(parts[-1]) - len(own) + 1, 0)
        rest = parts[-1][cut:]
        parts[-1] = parts[-1][:cut]
        if piece := b"RUN".join(parts):
            yield piece
    if rest:
        yield rest


def first_line_apart(left: Iterator[bytes], right: Iterator[bytes]) -> int:
    """In which line, from 1, two texts first differ."""
    line = 1
    one = other = b""
    while True:
        one, other = one or next(left, b""), other or next(right, b"")
        length = min(len(one), len(other))
        if not length or one[:length] != other[:length]:
            pairs = zip(one, other, strict=False)
            length = next((place for place, (a, b) in enumerate(pairs) if a != b), length)
            return line + one.count(b"\n", 0, length)
        line += one.count(b"\n", 0, length)
        one, other = one[length:], other[length:]


def _digest(side: Callable[[str], BinaryIO], path: str) -> str:
    with side(path) as file:
        return digest_of_all(iter(lambda: file.read(_CHUNK_BYTES), b""))


def _kind(path: str) -> str | None:
    name = path.lower()
    return next((told for told, endings in _KINDS if name.endswith(tuple(endings.split()))), None)


def _look_inside(
    path: str, left: Callable[[str], BinaryIO], right: Callable[[str], BinaryIO], names: tuple[str, str]
) -> tuple[bool, str | None]:
    contents = []
    for side in (left, right):
        with side(path) as file:
            contents.append(file.read(READ_BYTES + 1))
    if any(len(content) > READ_BYTES for content in contents):
        return False, _kind(path)
    for essence, told in _ESSENCES:
        found = [essence(path, content) for content in contents]
        if None not in found and found[0] == found[1]:
            return True, told
    if any(b"\0" in content for content in contents):
        return False, _kind(path)
    named = [digest_of_all(_nameless(*pair)) for pair in zip(contents, names, strict=True)]
    if named[0] == named[1]:
        return True, "only the run's own id differs"
    if all(len(content) <= TEXT_BYTES for content in contents):
        timeless = [
            _TIME.sub(b"TIME", b"".join(_nameless(*pair))) for pair in zip(contents, names, strict=True)
        ]
        if timeless[0] == timeless[1]:
            return False, "only times differ"
    return False, _kind(path)


def _nameless(content: bytes, run_id: str) -> Iterator[bytes]:
    return without(io.BytesIO(content), run_id)


def _picture(_path: str, content: bytes) -> object | None:
    """A PNG's chunks without those that say when and by what it was written (PNG specification, 11.3)."""
    if not content.startswith(_PNG):
        return None
    found = []
    position = len(_PNG)
    while position + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, position)
        kind = content[position + 4 : position + 8]
        position += 12 + length
        if kind not in _PNG_METADATA:
            found.append((kind, content[position - length - 4 : position - 4]))
        if kind == b"IEND":
            return found if position == len(content) else None
    return None  # it ends too early


def _members(_path: str, content: bytes) -> object | None:
    """Names, attributes and contents of a zip's members, in any order."""
    found = _zip(content)
    if found is None:
        return None
    return sorted((name, member.attributes, digest_of(member.content)) for name, member in found.items())


def _skops(path: str, content: bytes) -> object | None:
    """A model that skops wrote, its objects numbered as they come: it names them by addresses in memory."""
    found = _zip(content) if path.endswith(".skops") else None
    schema = (found or {}).get("schema.json")
    if found is None or schema is None:
        return None
    numbers: dict[bytes, bytes] = {}
    for address in _ADDRESS.findall(schema.content):
        numbers.setdefault(address, b"#%d" % len(numbers))

    def number(match: re.Match[bytes]) -> bytes:
        return numbers.get(match[0], match[0])

    renamed: dict[bytes, object] = {_NUMBER.sub(number, name.encode()): found[name] for name in found}
    return {**renamed, b"schema.json": _NUMBER.sub(number, schema.content)}


class _Member(msgspec.Struct, frozen=True):
    attributes: int
    """Kind and mode of a file, as the system that packed it knows them."""
    content: bytes


def _zip(content: bytes) -> dict[str, _Member] | None:
    """Name -> member of a zip; None if it is none, is damaged, holds too much, or two of one name."""
    if not content.startswith(_ZIP):
        return None
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
            if sum(info.file_size for info in infos) > READ_BYTES or archive.comment:
                return None
            if len({info.filename for info in infos}) < len(infos):
                return None  # which one counts depends on the program that unpacks it
            return {info.filename: _Member(info.external_attr, archive.read(info)) for info in infos}
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, OSError, ValueError):
        return None


def _unpacked(_path: str, content: bytes) -> object | None:
    """What is in a gzip file or a tar archive."""
    import gzip

    try:
        if content.startswith(_GZIP):
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
                content = file.read(READ_BYTES + 1)
            if len(content) > READ_BYTES:
                return None
            return _tar(content) or digest_of(content)
    except (OSError, EOFError, zlib.error):
        return None
    return _tar(content)


def _tar(content: bytes) -> object | None:
    if content[_TAR_MARK] != b"ustar":
        return None
    import tarfile

    def digests(archive: tarfile.TarFile) -> Iterator[tuple[str, bytes, str, int, str | None]]:
        for member in archive:
            file: IO[bytes] | None = archive.extractfile(member) if member.isreg() else None
            digest = digest_of(file.read()) if file is not None else None
            yield member.name, member.type, member.linkname, member.mode, digest

    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            members = sorted(digests(archive), key=lambda member: member[:3])
            if content[archive.offset :].strip(b"\0"):
                return None  # something follows the archive
    except (tarfile.TarError, OSError):
        return None
    # Of two of one name, the later one counts.
    return members if len({member[0] for member in members}) == len(members) else None


def _model(path: str, content: bytes) -> object | None:
    """MLflow's description of a model without its ids and times."""
    if path.rpartition("/")[2] != "MLmodel":
        return None
    import yaml

    try:
        found = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError):
        return None
    if not isinstance(found, dict):
        return None
    try:
        return _typed({key: value for key, value in found.items() if key not in _MLMODEL_OWN})
    except RecursionError:  # an alias of what it stands in
        return None


def _typed(value: object) -> object:
    """A value that equals another only if its types do: to Python, `true` is 1."""
    if isinstance(value, dict):
        return sorted((repr(key), _typed(each)) for key, each in value.items())
    if isinstance(value, list):
        return [_typed(each) for each in value]
    return type(value).__name__, repr(value)


_ESSENCES: tuple[tuple[Callable[[str, bytes], object | None], str], ...] = (
    (_picture, "the same picture, written at another time or by another program"),
    (_skops, "the same model: only addresses in memory differ"),
    (_members, "the same members, packed at another time or in another order"),
    (_unpacked, "the same content, packed at another time or in another order"),
    (_model, "the same model: only its ids and times differ"),
)
