"""Whether two files are the same, and if only their bytes differ, what they may yet have in common.

Some files hold when and by what they were written. Where what matters can be told apart from that, it is
compared alone; where it cannot, the reason says what kind of file it is, and the file counts as different.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO, BinaryIO

READ_BYTES = 64 << 20
"""Larger files are compared by their bytes alone."""
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
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _digest(side: Callable[[str], BinaryIO], path: str) -> str:
    digest = hashlib.sha256()
    with side(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return "sha256:" + digest.hexdigest()


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
    named = [content.replace(name.encode(), b"RUN") for content, name in zip(contents, names, strict=True)]
    if named[0] == named[1]:
        return True, "only the run's own id differs"
    if _TIME.sub(b"TIME", named[0]) == _TIME.sub(b"TIME", named[1]):
        return False, "only times differ"
    return False, _kind(path)


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
    """Names and contents of a zip's members, in any order."""
    found = _zip(content)
    return None if found is None else sorted((name, digest_of(data)) for name, data in found.items())


def _skops(path: str, content: bytes) -> object | None:
    """A model that skops wrote, its objects numbered as they come: it names them by addresses in memory."""
    found = _zip(content) if path.endswith(".skops") else None
    schema = (found or {}).get("schema.json")
    if found is None or schema is None:
        return None
    numbers: dict[bytes, bytes] = {}
    for address in _ADDRESS.findall(schema):
        numbers.setdefault(address, b"#%d" % len(numbers))

    def number(match: re.Match[bytes]) -> bytes:
        return numbers.get(match[0], match[0])

    renamed = {_NUMBER.sub(number, name.encode()): data for name, data in found.items()}
    return {**renamed, b"schema.json": _NUMBER.sub(number, schema)}


def _zip(content: bytes) -> dict[str, bytes] | None:
    """Name -> content of a zip's members; None if it is none, is damaged, or holds too much."""
    if not content.startswith(_ZIP):
        return None
    import io
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(info.file_size for info in archive.infolist()) > READ_BYTES:
                return None
            return {info.filename: archive.read(info) for info in archive.infolist()}
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, OSError, ValueError):
        return None


def _unpacked(_path: str, content: bytes) -> object | None:
    """What is in a gzip file or a tar archive."""
    import gzip
    import io

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
    import io
    import tarfile

    def digests(archive: tarfile.TarFile) -> Iterator[tuple[str, bytes, str, int, str | None]]:
        for member in archive:
            file: IO[bytes] | None = archive.extractfile(member) if member.isreg() else None
            digest = digest_of(file.read()) if file is not None else None
            yield member.name, member.type, member.linkname, member.mode, digest

    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            return sorted(digests(archive), key=lambda member: member[:3])
    except (tarfile.TarError, OSError):
        return None


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
    return {key: value for key, value in found.items() if key not in _MLMODEL_OWN}


_ESSENCES: tuple[tuple[Callable[[str, bytes], object | None], str], ...] = (
    (_picture, "the same picture, written at another time or by another program"),
    (_skops, "the same model: only addresses in memory differ"),
    (_members, "the same members, packed at another time or in another order"),
    (_unpacked, "the same content, packed at another time or in another order"),
    (_model, "the same model: only its ids and times differ"),
)
