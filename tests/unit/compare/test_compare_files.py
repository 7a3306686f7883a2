from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from typing import TYPE_CHECKING, Literal

import pytest

from proj.compare import files

if TYPE_CHECKING:
    from typing import BinaryIO

NAMES = ("a" * 32, "b" * 32)


def compared(path: str, left: bytes, right: bytes) -> tuple[bool, str | None]:
    def opened(content: bytes, asked: str) -> BinaryIO:
        assert asked == path
        return io.BytesIO(content)

    found = files.compare(
        path,
        lambda asked: opened(left, asked),
        lambda asked: opened(right, asked),
        names=NAMES,
        sizes=(len(left), len(right)),
    )
    return found.same, found.reason


def png(pixels: bytes, **text: str) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        crc = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)

    told = b"".join(chunk(b"tEXt", f"{key}\0{value}".encode()) for key, value in text.items())
    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + told
        + chunk(b"IDAT", zlib.compress(pixels))
        + chunk(b"IEND", b"")
    )


def packed(members: dict[str, bytes], *, year: int = 2024) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), data)
    return content.getvalue()


def tarred(members: dict[str, bytes], *, time_s: int = 0, mode: Literal["w", "w:gz"] = "w") -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), time_s
            archive.addfile(info, io.BytesIO(data))
    return content.getvalue()


def test_equal_bytes_need_no_reason() -> None:
    assert compared("x.pkl", b"1", b"1") == (True, None)


def test_a_picture_is_compared_without_its_metadata() -> None:
    same = compared("plot.png", png(b"\0abc", Software="x", Date="1"), png(b"\0abc", Software="y"))
    assert same == (True, "the same picture, written at another time or by another program")
    assert compared("plot.png", png(b"\0abc"), png(b"\0abd")) == (False, "an image")


@pytest.mark.parametrize("name", ["a.zip", "a.npz", "a.bin"])
def test_archives_are_compared_by_their_members(name: str) -> None:
    one = packed({"a": b"1", "b": b"2"})
    told = "the same members, packed at another time or in another order"
    assert compared(name, one, packed({"b": b"2", "a": b"1"}, year=2025)) == (True, told)
    assert not compared(name, one, packed({"a": b"1", "b": b"3"}))[0]
    assert not compared(name, one, packed({"a": b"1", "c": b"2"}))[0]
    assert not compared(name, one, packed({"a": b"1"}))[0]


def test_so_are_tar_and_gzip() -> None:
    told = "the same content, packed at another time or in another order"
    one = {"a": b"1", "b": b"2"}
    assert compared("a.tar", tarred(one), tarred(one, time_s=7)) == (True, told)
    assert compared("a.tar.gz", tarred(one, mode="w:gz"), tarred(one, time_s=7, mode="w:gz")) == (True, told)
    assert compared("a.csv.gz", gzip.compress(b"1", mtime=1), gzip.compress(b"1", mtime=2)) == (True, told)
    assert compared("a.gz", gzip.compress(b"1"), gzip.compress(b"2")) == (
        False,
        "an archive whose content differs",
    )
    assert not compared("a.tar", tarred(one), tarred({"a": b"1", "b": b"3"}))[0]


@pytest.mark.parametrize(
    "damaged",
    [b"PK\x03\x04rubbish", b"\x1f\x8brubbish", b"\x89PNG\r\n\x1a\n\0\0\xff\xffx", png(b"")],
)
def test_what_cannot_be_read_is_compared_by_its_bytes(damaged: bytes) -> None:
    assert not compared("x", damaged, damaged + b"y")[0]


def test_a_small_archive_of_much_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "READ_BYTES", 1000)
    one, other = packed({"a": b"1" * 2000}), packed({"a": b"1" * 2000}, year=2025)
    assert not compared("a.zip", one, other)[0]
    assert not compared("a.gz", gzip.compress(b"1" * 2000, mtime=1), gzip.compress(b"1" * 2000, mtime=2))[0]


def test_large_files_are_compared_by_their_bytes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "READ_BYTES", 3)
    assert compared("x.pkl", b"12345", b"123456")[0] is False
    assert compared("x", b"12345", b"12345") == (True, None)
    assert compared("x", b"12345", b"12346") == (False, None)


def test_a_models_description_is_compared_without_its_ids() -> None:
    text = "run_id: {0}\nutc_time_created: '{1}'\nmodel_uuid: {0}\nflavors: {{sklearn: {2}}}\n"
    one = text.format("1", "2024-01-01", "a").encode()
    other = text.format("2", "2024-01-02", "a").encode()
    told = "the same model: only its ids and times differ"
    assert compared("model/MLmodel", one, other) == (True, told)
    assert not compared("model/MLmodel", one, text.format("2", "2024-01-02", "b").encode())[0]


def test_a_model_of_skops_is_compared_without_addresses() -> None:
    def model(first: int, second: int, value: bytes = b"1") -> bytes:
        schema = (
            f'{{"a": {{"file": "{first}.npy", "__id__": {first}}}, "b": {{"n": 12, "__id__": {second}}}}}'
        )
        return packed({f"{first}.npy": value, "schema.json": schema.encode()})

    told = "the same model: only addresses in memory differ"
    assert compared("m.skops", model(1001, 1002), model(2001, 2002)) == (True, told)
    assert not compared("m.skops", model(1001, 1002), model(2001, 2002, b"2"))[0]
    # one object in two places is something else than two equal ones
    assert not compared("m.skops", model(1001, 1002), model(2001, 2001))[0]
    assert not compared("m.skops", model(1001, 1002), packed({"a": b"1"}))[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [("true", "1"), ("1", "1.0"), ("0.0", "-0.0"), ("[true]", "[1]"), ("{1: a}", "{true: a}")],
)
def test_values_of_other_types_are_others_in_a_models_description(one: str, other: str) -> None:
    texts = [
        f"run_id: {name}\nvalue: {value}\n".encode() for name, value in zip(NAMES, (one, other), strict=True)
    ]
    assert not compared("model/MLmodel", texts[0], texts[1])[0]
    assert compared("model/MLmodel", texts[0], texts[0].replace(b"a" * 32, b"c" * 32))[0]


def test_a_description_that_holds_itself_is_compared_by_its_bytes() -> None:
    assert not compared("MLmodel", b"a: &a [*a]\n", b"a:  &a [*a]\n")[0]


def zipped(*members: tuple[str, bytes, int], comment: bytes = b"", year: int = 2024) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.comment = comment
        for name, data, mode in members:
            info = zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0))
            info.external_attr = mode << 16
            archive.writestr(info, data)
    return content.getvalue()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_modes_comments_and_duplicates_of_a_zip_count() -> None:
    one = ("a", b"1", 0o644)
    assert compared("a.zip", zipped(one), zipped(one, year=2025))[0]
    assert not compared("a.zip", zipped(one), zipped(("a", b"1", 0o755)))[0]
    assert not compared("a.zip", zipped(one), zipped(one, comment=b"x"))[0]
    twice = one, ("a", b"2", 0o644)
    assert not compared("a.zip", zipped(*twice), zipped(*reversed(twice)))[0]


def twice(*types: bytes) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for kind in types:
            info = tarfile.TarInfo("a")
            info.type = kind
            archive.addfile(info)
    return content.getvalue()


def test_what_follows_a_tar_and_the_order_of_duplicates_count() -> None:
    one, later = tarred({"a": b"1"}), tarred({"a": b"1"}, time_s=7)
    assert compared("a.tar", one, later + b"\0" * 512)[0]
    assert not compared("a.tar", one, later + b"x" * 512)[0]
    assert not compared("a.tar", one, later[:1024] + b"x" * 512 + later[1536:])[0]
    assert not compared("a.tar.gz", gzip.compress(one), gzip.compress(later + b"x" * 512))[0]
    assert not compared(
        "a.tar", twice(tarfile.REGTYPE, tarfile.DIRTYPE), twice(tarfile.DIRTYPE, tarfile.REGTYPE)
    )[0]


def test_large_texts_are_compared_in_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    size_bytes = 4 << 20
    texts = [
        f"run {name} 10:11:1{end}\n".encode() * (size_bytes // 50)
        for name, end in zip(NAMES, "12", strict=True)
    ]
    monkeypatch.setattr(files, "TEXT_BYTES", size_bytes // 2)
    monkeypatch.setattr(files, "_CHUNK_BYTES", 1 << 16)
    tracemalloc.start()
    try:
        assert compared("x.log", texts[0], texts[1]) == (False, None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * size_bytes
    same = texts[0].replace(NAMES[0].encode(), NAMES[1].encode())
    assert compared("x.log", texts[0], same) == (True, "only the run's own id differs")


def test_the_runs_own_ids_do_not_count() -> None:
    one, other = (f"run {name} ok".encode() for name in NAMES)
    assert compared("x.txt", one, other) == (True, "only the run's own id differs")
    assert compared("x.txt", one, one.replace(b"ok", b"no") + NAMES[1].encode()) == (False, None)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (b"at 2024-01-02 03:04:05,678", b"at 2025-11-12 13:14:15,999"),
        (b"at 2024-01-02T03:04:05Z", b"at 2024-01-02T03:04:05.123+01:00"),
        (b"started 1700000000.25", b"started 1700000123.75"),
        (b"10:11:12 done", b"10:11:13 done"),
    ],
)
def test_files_in_which_only_times_differ_are_different_and_say_so(left: bytes, right: bytes) -> None:
    assert compared("x.log", left, right) == (False, "only times differ")


@pytest.mark.parametrize(
    ("name", "says"),
    [("m.pkl", "a pickle"), ("m.joblib", "a pickle"), ("p.jpg", "an image"), ("p.svg", "a drawing"),
     ("P.PDF", "a drawing"), ("p.html", "a page"), ("w.h5", "HDF5"), ("a.db", "a database"),
     ("m.pt", "a model")],
)  # fmt: skip
def test_kinds_of_files_whose_bytes_vary_are_named(name: str, says: str) -> None:
    same, reason = compared(name, pickle.dumps([1]), pickle.dumps([2]))
    assert not same
    assert reason is not None
    assert reason.startswith(says)


def test_other_files_that_differ_have_no_excuse() -> None:
    assert compared("data.csv", b"1,2\n", b"1,3\n") == (False, None)
