from __future__ import annotations

import gzip
import os
import stat
import tarfile
from pathlib import Path

import pytest

from archive_kit import FILE, HARD, LINK, make_tar, make_zip
from proj import paths, source
from proj.errors import SourceError
from proj.source.archive import Limits, unpack


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_archives(tmp_path: Path, mode: str) -> None:
    name = "iris.tar" + ("." + mode[2:] if ":" in mode else "")
    make_tar(
        tmp_path / name,
        ("iris-1.0/MLproject", b"name: x\n", FILE),
        ("iris-1.0/sub.d/train.py", b"print(1)\n" * 70_000, FILE),
        ("iris-1.0/link", "sub.d/train.py", LINK),
        ("iris-1.0/hard", "iris-1.0/MLproject", HARD),
        mode=mode,
    )
    checkout = source.fetch(f"{name}#sub.d", cwd=tmp_path)
    assert (checkout.kind, checkout.private, checkout.git) == ("archive", True, None)
    assert checkout.root.name == "iris-1.0"
    assert checkout.project_dir == checkout.root / "sub.d"
    assert (checkout.root / "link").read_bytes() == b"print(1)\n" * 70_000
    assert (checkout.root / "hard").read_bytes() == b"name: x\n"
    source.release(checkout)
    assert not list((paths.cache() / "checkouts").iterdir())


def test_zip_archives(tmp_path: Path) -> None:
    make_zip(
        tmp_path / "iris.zip",
        ("MLproject", b"name: x\n", 0o100644),
        ("run.sh", b"#!/bin/sh\n", 0o104755),
        ("sub/", b"", 0o40755),
        ("to", b"run.sh", 0o120777),
    )
    checkout = source.fetch("iris.zip", cwd=tmp_path)
    assert checkout.root.name == "iris"
    assert stat.S_IMODE((checkout.root / "run.sh").stat().st_mode) == 0o755
    assert stat.S_IMODE((checkout.root / "MLproject").stat().st_mode) == 0o644
    assert (checkout.root / "to").readlink() == Path("run.sh")
    assert (checkout.root / "sub").is_dir()
    source.release(checkout)


def test_a_subdir_may_name_the_single_top_folder(tmp_path: Path) -> None:
    make_zip(tmp_path / "a.zip", ("top/sub/MLproject", b"", 0o100644), ("__MACOSX/x", b"", 0o100644))
    for uri in ("a.zip#sub", "a.zip#top/sub"):
        checkout = source.fetch(uri, cwd=tmp_path)
        assert (checkout.project_dir / "MLproject").is_file()
        source.release(checkout)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("../x", b"", FILE)], "leads out"),
        ([("a/../../x", b"", FILE)], "leads out"),
        ([("/etc/x", b"", FILE)], "absolute path"),
        ([("C:\\x", b"", FILE)], "absolute path"),
        ([("a", "../x", LINK)], "leads out"),
        ([("a", "/etc/passwd", LINK)], "leads out"),
        ([("a", "b/..", LINK), ("b", "c/d", LINK), ("c", "..", LINK)], "leads out"),
        ([("a", ".", LINK), ("a/x", b"", FILE)], "is there twice"),
        ([("a", "..", LINK), ("a/x", b"", FILE)], "is there twice"),
        ([("a", "/etc/passwd", HARD)], "absolute path"),
        ([("a", "../x", HARD)], "leads out"),
        ([("a", "nothing", HARD)], "not there"),
        ([("a", "b", LINK), ("c", "a", HARD)], "not there"),
        ([("a", "", tarfile.FIFOTYPE)], "a device"),
        ([("a", "", tarfile.CHRTYPE)], "a device"),
        ([("a/b", b"", FILE), ("a", b"", FILE)], "is there twice"),
    ],
)
def test_hostile_entries_are_refused_and_nothing_stays(
    tmp_path: Path, members: list[tuple[str, bytes | str, bytes]], message: str
) -> None:
    make_tar(tmp_path / "evil.tar.gz", *members)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SourceError, match=message):
        source.fetch("evil.tar.gz", cwd=tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    assert not list((paths.cache() / "checkouts").iterdir())


@pytest.mark.parametrize(
    ("name", "content", "mode"),
    [("../x", b"", 0o100644), ("/x", b"", 0o100644), ("l", b"../..", 0o120777), ("p", b"", 0o010644)],
)
def test_hostile_zip_entries(tmp_path: Path, name: str, content: bytes, mode: int) -> None:
    make_zip(tmp_path / "evil.zip", (name, content, mode))
    with pytest.raises(SourceError, match="is refused"):
        source.fetch("evil.zip", cwd=tmp_path)


def test_a_later_entry_never_writes_into_a_hard_link(tmp_path: Path) -> None:
    make_tar(tmp_path / "a.tar.gz", ("d/a", b"one", FILE), ("d/b", "d/a", HARD), ("d/b", b"two", FILE))
    checkout = source.fetch("a.tar.gz", cwd=tmp_path)
    assert (checkout.root / "a").read_bytes() == b"one"
    assert (checkout.root / "b").read_bytes() == b"two"
    source.release(checkout)


@pytest.mark.parametrize("name", ["bomb.zip", "bomb.tar.gz"])
def test_bombs_are_stopped(tmp_path: Path, name: str) -> None:
    zeros = bytes(80 * 1024**2)
    if name.endswith("zip"):
        make_zip(tmp_path / name, ("zeros", zeros, 0o100644))
    else:
        make_tar(tmp_path / name, ("zeros", zeros, FILE))
    with pytest.raises(SourceError, match="as bombs do"):
        source.fetch(name, cwd=tmp_path)
    with pytest.raises(SourceError, match="more than 1000 bytes"):
        unpack(tmp_path / name, tmp_path, shown=name, limits=Limits(max_bytes=1000))


def test_a_header_that_is_a_bomb(tmp_path: Path) -> None:
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 7 * 1024**3
    with gzip.open(tmp_path / "bomb.tar.gz", "wb") as file:
        file.write(header.tobuf(tarfile.USTAR_FORMAT) + bytes(1024**2))
    with pytest.raises(SourceError, match="cannot be read: a header is too large"):
        source.fetch("bomb.tar.gz", cwd=tmp_path)


def test_limits_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_zip(tmp_path / "a.zip", *((f"f{n}", b"x" * 10, 0o100644) for n in range(5)))
    for variable, message in (("MAX_FILES", "more than 4 entries"), ("MAX_BYTES", "more than 4 bytes")):
        monkeypatch.setenv(f"PROJ_ARCHIVE_{variable}", "4")
        with pytest.raises(SourceError, match=message) as caught:
            source.fetch("a.zip", cwd=tmp_path)
        assert f"PROJ_ARCHIVE_{variable}" in str(caught.value.hint)
        monkeypatch.setenv(f"PROJ_ARCHIVE_{variable}", "many")
        with pytest.raises(SourceError, match="not a whole number"):
            source.fetch("a.zip", cwd=tmp_path)
        monkeypatch.delenv(f"PROJ_ARCHIVE_{variable}")


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz"])
def test_damaged_archives(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("zip"):
        make_zip(path, ("x", os.urandom(5000), 0o100644))
    else:
        make_tar(path, ("x", os.urandom(5000), FILE), mode="w:" + name[6:])
    whole = path.read_bytes()
    damaged = [b"", b"not an archive", whole[: len(whole) // 2]]
    if name != "a.tar":  # whose content has no checksum
        damaged.append(whole[:600] + bytes(300) + whole[900:])
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(SourceError, match="cannot be read"):
            source.fetch(name, cwd=tmp_path)


def test_an_archive_has_no_version(tmp_path: Path) -> None:
    make_zip(tmp_path / "a.zip", ("x", b"", 0o100644))
    with pytest.raises(SourceError, match="has no versions"):
        source.fetch("a.zip", version="v1", cwd=tmp_path)
