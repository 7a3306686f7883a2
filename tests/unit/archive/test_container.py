from __future__ import annotations

import io
import random
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proj.archive.container import Member, Writer, directory, local_header, read_bytes, read_members
from proj.archive.failures import DamagedError

if TYPE_CHECKING:
    from pathlib import Path

FILES = {"a.txt": b"hello", "empty": b"", "folder/Größe": bytes(range(200))}


def written(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    writer = Writer(file)
    for name, content in files.items():
        writer.add(name, io.BytesIO(content), len(content))
    writer.finish()
    return file.getvalue()


def read(content: bytes) -> dict[str, bytes]:
    file = io.BytesIO(content)
    return {member.name: b"".join(read_bytes(file, member)) for member in read_members(file)}


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(st.dictionaries(NAMES, st.binary(max_size=100), min_size=1, max_size=5))
def test_what_is_written_is_read(files: dict[str, bytes]) -> None:
    content = written(files)
    assert read(content) == files
    assert written(files) == content


def test_other_programs_read_it() -> None:
    with zipfile.ZipFile(io.BytesIO(written(FILES))) as file:
        assert file.testzip() is None
        assert {name: file.read(name) for name in file.namelist()} == FILES


def test_every_flipped_bit_is_found() -> None:
    whole = written(FILES)
    for position in range(len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[position] ^= 1 << bit
            with pytest.raises(DamagedError):
                read(bytes(flipped))


def test_a_file_that_is_cut_off_anywhere_is_found() -> None:
    whole = written(FILES)
    for length in range(len(whole)):
        with pytest.raises(DamagedError):
            read(whole[:length])


@pytest.mark.parametrize("extra", [b"\0", b"PK\5\6" + bytes(18)])
def test_nothing_may_follow(extra: bytes) -> None:
    with pytest.raises(DamagedError, match="follows it"):
        read(written(FILES) + extra)


def test_the_damaged_file_is_named() -> None:
    whole = bytearray(written(FILES))
    whole[whole.index(b"hello")] ^= 1
    with pytest.raises(DamagedError, match=r"a\.txt is damaged"):
        read(bytes(whole))


def test_a_name_that_differs_in_the_directory_is_named() -> None:
    whole = bytearray(written(FILES))
    whole[whole.rindex(b"a.txt")] ^= 1
    with pytest.raises(DamagedError, match=r"'a\.txt' is damaged"):
        read(bytes(whole))


def test_a_name_cannot_be_there_twice() -> None:
    file = io.BytesIO()
    writer = Writer(file)
    for content in (b"1", b"2"):
        writer.add("a", io.BytesIO(content), 1)
    writer.finish()
    with pytest.raises(DamagedError, match="twice"):
        read(file.getvalue())


def test_archives_of_other_programs_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.txt", b"0" * 1_000_000)
    with pytest.raises(DamagedError):
        read(path.read_bytes())
    with pytest.raises(DamagedError, match="no file's header"):
        read(b"not an archive at all, but long enough for a header")


def test_a_size_that_was_promised_has_to_be_kept() -> None:
    for size in (4, 6):
        with pytest.raises(DamagedError, match="has 5 bytes"):
            Writer(io.BytesIO()).add("a", io.BytesIO(b"hello"), size)


def test_files_beyond_4_gib_are_read_by_other_programs(tmp_path: Path) -> None:
    """The bytes themselves are a hole in the file."""
    first = Member(name="large", offset=0, size_bytes=5 << 30, crc=0)
    second = Member(name="behind", offset=first.end, size_bytes=3, crc=0)
    path = tmp_path / "large.zip"
    with path.open("w+b") as file:
        for member in (first, second):
            file.seek(member.offset)
            file.write(local_header(member))
        file.seek(second.end)
        file.write(directory([first, second]))
        assert read_members(file) == (first, second)
    with zipfile.ZipFile(path) as other:
        found = [(info.filename, info.file_size, info.header_offset) for info in other.infolist()]
    assert found == [("large", 5 << 30, 0), ("behind", 3, first.end)]


def test_more_files_than_16_bits_can_count() -> None:
    members: list[Member] = []
    for number in range(70_000):
        offset = members[-1].end if members else 0
        members.append(Member(name=str(number), offset=offset, size_bytes=0, crc=0))
    content = b"".join(map(local_header, members)) + directory(members)
    assert len(read_members(io.BytesIO(content))) == 70_000
    with zipfile.ZipFile(io.BytesIO(content)) as other:
        assert len(other.infolist()) == 70_000


def test_random_bytes_are_no_archive() -> None:
    chance = random.Random(1)  # noqa: S311  no secret
    for _ in range(200):
        with pytest.raises(DamagedError):
            read(b"PK\3\4" + chance.randbytes(chance.randrange(200)))
