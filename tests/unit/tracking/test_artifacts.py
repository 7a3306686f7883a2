from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proj.errors import NotFoundError, StoreError
from proj.testing.artifact_stores import ArtifactStoreContract, read
from proj.tracking.artifacts import FolderArtifactStore, local_path

if TYPE_CHECKING:
    from proj.tracking.store import ArtifactStore

STORE = FolderArtifactStore()


class TestContract(ArtifactStoreContract):
    @pytest.fixture
    def store(self) -> ArtifactStore:
        return FolderArtifactStore()

    @pytest.fixture
    def uri(self, tmp_path: Path) -> str:
        return (tmp_path / "ro ot %é" / "run").as_uri()


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///a/b", "/a/b"),
        ("file:/a/b", "/a/b"),
        ("file://localhost/a/b", "/a/b"),
        ("/a/b", "/a/b"),
        ("file:///a%20b/%C3%A9%25", "/a b/é%"),
    ],
)
def test_a_uri_names_a_folder(uri: str, path: str) -> None:
    assert local_path(uri) == Path(path)


@pytest.mark.parametrize("uri", ["s3://bucket/a", "https://host/a", "file://host/a"])
def test_a_uri_of_another_place_is_refused(uri: str) -> None:
    with pytest.raises(StoreError):
        STORE.list(uri)


def test_a_link_that_leads_out_is_refused_for_reading_and_writing(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("s")
    (root / "file").symlink_to(outside / "secret")
    (root / "folder").symlink_to(outside)
    (root / "above").symlink_to("..")
    uri = root.as_uri()
    for path in ("file", "folder/secret", "above/outside/secret"):
        with pytest.raises(StoreError, match="leads out"):
            STORE.open(uri, path)
        with pytest.raises(StoreError, match="leads out"):
            STORE.write(uri, path, b"changed")
    with pytest.raises(StoreError, match="leads out"):
        STORE.list(uri, "folder")
    with pytest.raises(StoreError, match="leads out"):
        STORE.delete(uri, "folder/secret")
    assert STORE.list(uri) == ()
    assert (outside / "secret").read_text() == "s"


def test_a_link_within_the_root_is_read(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("r")
    (tmp_path / "link").symlink_to("real")
    assert read(STORE, tmp_path.as_uri(), "link") == b"r"
    assert [entry.path for entry in STORE.walk(tmp_path.as_uri())] == ["link", "real"]


def test_removing_a_run_removes_links_and_not_what_they_lead_to(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(outside)
    STORE.delete((tmp_path / "root").as_uri())
    assert not (tmp_path / "root").exists()
    assert (outside / "kept").exists()


def test_a_folder_of_outputs_may_hold_anything(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "a.txt").write_text("a")
    (source / "link.txt").symlink_to("a.txt")
    (source / "dangling").symlink_to("nothing")
    (source / "sub" / "loop").symlink_to(source)
    os.mkfifo(source / "pipe")
    uri = (tmp_path / "root").as_uri()
    STORE.put(uri, "out", source)
    assert [entry.path for entry in STORE.walk(uri)] == ["out/a.txt", "out/link.txt"]


def test_a_pipe_among_the_artifacts_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotFoundError):
        STORE.open(tmp_path.as_uri(), "pipe")


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    uri = tmp_path.as_uri()
    STORE.write(uri, "folder/file", b"")
    with pytest.raises(StoreError, match="folder"):
        STORE.write(uri, "folder", b"x")
    with pytest.raises(StoreError, match="missing"):
        STORE.put(uri, "x", tmp_path / "missing")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_file_that_is_being_written_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / ".proj-partial-0123").write_text("half")
    assert STORE.list(tmp_path.as_uri()) == ()
