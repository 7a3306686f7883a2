"""The file that runs are shared in: a ZIP of which every byte follows from the names and bytes in it.

Members are stored, not compressed: what a compressor writes depends on its version, and most of what is large
in a run is compressed already. Times, modes and systems are constants, and there are neither comments nor
gaps. So the same content is the same file on every machine, any ZIP program opens it, and it cannot unpack to
more than its own size. It also lets a reader know every byte that is no member's content: it compares them
with what would be written, and thereby finds all that such a file could hide (links, devices, names that
differ in the directory, overlapping or second members, bytes between them).

The format is that of PKWARE's APPNOTE 6.3.10, with ZIP64 where sizes or offsets need it.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from proj.archive.failures import DamagedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHUNK_BYTES = 1 << 20
MAX_MEMBERS = 200_000
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_LOCAL_MARK, _CENTRAL_MARK, _END_MARK = b"PK\3\4", b"PK\1\2", b"PK\5\6"
_VERSION, _VERSION_64 = 20, 45
_MADE_BY_UNIX = 3 << 8
_UTF8_NAMES = 1 << 11
_DATE = (1 << 5) | 1  # 1980-01-01, the first day that the format has
_MODE = 0o100644 << 16
_EXTRA_64_BYTES = 20
_MAX_32 = 0xFFFFFFFF
_MAX_16 = 0xFFFF


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A file in an archive."""

    name: str
    offset: int
    """Of its header."""
    size_bytes: int
    crc: int
    """CRC-32 of its bytes: against accidents; digests are in the manifest."""

    @property
    def start(self) -> int:
        """Where its bytes begin."""
        return self.offset + len(local_header(self))

    @property
    def end(self) -> int:
        """Where the next member begins."""
        return self.start + self.size_bytes


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A member that was written."""

    name: str
    size_bytes: int
    digest: str
    """SHA-256, hexadecimal."""


class Writer:
    """Writes an archive into a file that can be sought in.

    Args:
        file: The file, empty.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._members: list[Member] = []

    def add(self, name: str, source: BinaryIO, size_bytes: int) -> Stored:
        """Add a file.

        Args:
            name: Its path, with `/`.
            source: Its bytes.
            size_bytes: How many they are.

        Raises:
            DamagedError: They are not so many.
            OSError: It cannot be read or written.
        """
        member = Member(name=name, offset=self._file.tell(), size_bytes=size_bytes, crc=0)
        self._file.write(local_header(member))
        digest, crc, read = hashlib.sha256(), 0, 0
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            crc = zlib.crc32(chunk, crc)
            read += len(chunk)
            self._file.write(chunk)
        if read != size_bytes:
            raise DamagedError(f"{name} has {read} bytes, and should have {size_bytes}.")
        member = msgspec.structs.replace(member, crc=crc)
        self._file.seek(member.offset)
        self._file.write(local_header(member))
        self._file.seek(0, 2)
        self._members.append(member)
        return Stored(name=name, size_bytes=size_bytes, digest=digest.hexdigest())

    def finish(self) -> None:
        """Write the directory, after which nothing can be added.

        Raises:
            OSError: It cannot be written.
        """
        self._file.write(directory(self._members))


def read_members(file: BinaryIO) -> tuple[Member, ...]:
    """Read what an archive holds, and see that all but the members' bytes is as `Writer` writes it.

    Raises:
        DamagedError: It is no archive of ours, or not as it was written; says where.
        OSError: It cannot be read.
    """
    file.seek(0)
    members: list[Member] = []
    names: set[str] = set()
    while (member := _next_member(file, members[-1] if members else None)) is not None:
        if member.name in names:
            raise DamagedError(f"{member.name} is there twice.")
        if len(members) >= MAX_MEMBERS:
            raise DamagedError(f"There are more than {MAX_MEMBERS:,} files in it.")
        names.add(member.name)
        members.append(member)
        file.seek(member.end)
    expected = directory(members)
    found = file.read(len(expected) + 1)
    if found != expected:
        raise DamagedError(_difference(members, expected, found))
    return tuple(members)


def read_bytes(file: BinaryIO, member: Member) -> Iterator[bytes]:
    """Yield a member's bytes.

    Raises:
        DamagedError: They are not those that were written.
        OSError: They cannot be read.
    """
    crc, left, position = 0, member.size_bytes, member.start
    while left:
        file.seek(position)  # others may read the same file meanwhile
        chunk = file.read(min(left, CHUNK_BYTES))
        if not chunk:
            raise DamagedError(f"{member.name} is cut off.")
        crc = zlib.crc32(chunk, crc)
        left -= len(chunk)
        position += len(chunk)
        yield chunk
    if crc != member.crc:
        raise DamagedError(f"{member.name} is damaged: its checksum is another.")


def local_header(member: Member) -> bytes:
    """What stands before a member's bytes."""
    name = member.name.encode()
    extra = b""
    size = member.size_bytes
    if size >= _MAX_32:
        extra = struct.pack("<2H2Q", 1, 16, size, size)
        size = _MAX_32
    version = _VERSION_64 if extra else _VERSION
    head = _LOCAL.pack(
        _LOCAL_MARK, version, _UTF8_NAMES, 0, 0, _DATE, member.crc, size, size, len(name), len(extra)
    )
    return head + name + extra


def directory(members: Sequence[Member]) -> bytes:
    """What stands behind all members."""
    start = members[-1].end if members else 0
    entries = b"".join(_central_header(member) for member in members)
    count, size, offset, end_64 = len(members), len(entries), start, b""
    if count >= _MAX_16 or size >= _MAX_32 or start >= _MAX_32:
        end_64 = _END_64.pack(
            b"PK\6\6", _END_64.size - 12, _MADE_BY_UNIX | _VERSION_64, _VERSION_64, 0, 0,
            count, count, size, start,
        )  # fmt: skip
        end_64 += _LOCATOR_64.pack(b"PK\6\7", 0, start + size, 1)
        count, size, offset = min(count, _MAX_16), min(size, _MAX_32), min(start, _MAX_32)
    return entries + end_64 + _END.pack(_END_MARK, 0, 0, count, count, size, offset, 0)


def _central_header(member: Member) -> bytes:
    name = member.name.encode()
    values = []
    size, offset = member.size_bytes, member.offset
    if size >= _MAX_32:
        values += [size, size]
        size = _MAX_32
    if offset >= _MAX_32:
        values.append(offset)
        offset = _MAX_32
    extra = struct.pack(f"<2H{len(values)}Q", 1, 8 * len(values), *values) if values else b""
    version = _VERSION_64 if extra else _VERSION
    head = _CENTRAL.pack(
        _CENTRAL_MARK, _MADE_BY_UNIX | version, version, _UTF8_NAMES, 0, 0, _DATE, member.crc, size, size,
        len(name), len(extra), 0, 0, 0, _MODE, offset,
    )  # fmt: skip
    return head + name + extra


def _difference(members: Sequence[Member], expected: bytes, found: bytes) -> str:
    """Say what is wrong with a directory."""
    position = 0
    for member in members:
        entry = _central_header(member)
        if found[position : position + len(entry)] != entry:
            return f"{member.name!r} is damaged, or cut off: its header and the directory differ."
        position += len(entry)
    what = "is cut off" if expected.startswith(found) else "is damaged, or something follows it"
    return f"The end of the directory {what}."


def _next_member(file: BinaryIO, last: Member | None) -> Member | None:
    """Read the header at the file's position; None where the directory begins."""
    offset = last.end if last else 0
    after = f"after {last.name}" if last else "at the beginning"
    head = file.read(_LOCAL.size)
    if last is not None and head[:4] in (_CENTRAL_MARK, b""):
        file.seek(offset)
        return None
    if head[:4] != _LOCAL_MARK or len(head) < _LOCAL.size:
        maybe = "" if last else " Perhaps it is no run archive at all."
        raise DamagedError(f"What is {after} is no file's header.{maybe}")
    *_, crc, _packed, size, name_length, extra_length = _LOCAL.unpack(head)
    raw = file.read(name_length + extra_length)
    try:
        name = raw[:name_length].decode()
    except UnicodeDecodeError as error:
        raise DamagedError(f"The name of the file {after} is damaged.") from error
    if size == _MAX_32 and extra_length == _EXTRA_64_BYTES:
        size = int.from_bytes(raw[name_length + 4 : name_length + 12], "little")
    member = Member(name=name, offset=offset, size_bytes=size, crc=crc)
    if head + raw != local_header(member):
        raise DamagedError(f"The header of {name!r} is not as it was written.")
    return member
