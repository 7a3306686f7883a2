"""The contract suite of `ArtifactStore`: subclass it in a test module, as `proj.testing.stores` shows."""
# ruff: noqa: S101, D102  asserts as in tests; a test's name says what it shows

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from proj.errors import NotFoundError, StoreError
from proj.model import ArtifactInfo
from proj.testing.differences import Contract
from proj.testing.threads import in_threads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from proj.tracking.store import ArtifactStore


def read(store: ArtifactStore, uri: str, path: str) -> bytes:
    """Read one artifact."""
    with store.open(uri, path) as file:
        return file.read()


class ArtifactStoreContract(Contract):
    """What every `ArtifactStore` guarantees. Subclasses give `store` and `uri`, an empty root."""

    @pytest.fixture
    def store(self) -> ArtifactStore:
        raise NotImplementedError

    @pytest.fixture
    def uri(self) -> str:
        raise NotImplementedError

    def test_content_comes_back(self, store: ArtifactStore, uri: str) -> None:
        content = bytes(range(256)) * 1000
        for path in ("a.bin", "deep/er/b.bin", "odd/é 😀 %41?#&.txt"):
            store.write(uri, path, content)
            assert read(store, uri, path) == content

    def test_writing_replaces(self, store: ArtifactStore, uri: str) -> None:
        store.write(uri, "a", b"a long first version")
        store.write(uri, "a", b"short")
        assert read(store, uri, "a") == b"short"

    def test_what_is_written_piecemeal_appears_at_the_end(self, store: ArtifactStore, uri: str) -> None:
        with store.create(uri, "deep/a.bin") as file:
            file.write(b"one ")
            assert store.list(uri, "deep") == ()
            file.write(b"two")
        assert read(store, uri, "deep/a.bin") == b"one two"

    def test_what_is_broken_off_never_appears(self, store: ArtifactStore, uri: str) -> None:
        def broken_off() -> None:
            with store.create(uri, "a.bin") as file:
                file.write(b"one ")
                raise ValueError("enough")

        with pytest.raises(ValueError, match="enough"):
            broken_off()
        assert store.list(uri) == ()

    def test_a_file_is_put(self, store: ArtifactStore, uri: str, tmp_path: Path) -> None:
        source = tmp_path / "model.bin"
        source.write_bytes(os.urandom(3_000_000))
        store.put(uri, "models/m.bin", source)
        assert read(store, uri, "models/m.bin") == source.read_bytes()

    def test_a_folder_is_put(self, store: ArtifactStore, uri: str, tmp_path: Path) -> None:
        (tmp_path / "out" / "sub").mkdir(parents=True)
        (tmp_path / "out" / "a.txt").write_text("a")
        (tmp_path / "out" / "sub" / "b.txt").write_text("b")
        store.put(uri, "results", tmp_path / "out")
        assert [entry.path for entry in store.walk(uri)] == ["results/a.txt", "results/sub/b.txt"]
        store.put(uri, "", tmp_path / "out")
        assert read(store, uri, "sub/b.txt") == b"b"

    def test_entries_are_listed_by_name(self, store: ArtifactStore, uri: str) -> None:
        for path in ("b.txt", "a/x.txt", "c.txt"):
            store.write(uri, path, b"12345")
        assert store.list(uri) == (
            ArtifactInfo(path="a", is_dir=True),
            ArtifactInfo(path="b.txt", is_dir=False, size_bytes=5),
            ArtifactInfo(path="c.txt", is_dir=False, size_bytes=5),
        )
        assert store.list(uri, "a") == (ArtifactInfo(path="a/x.txt", is_dir=False, size_bytes=5),)

    def test_nothing_is_an_empty_list(self, store: ArtifactStore, uri: str) -> None:
        assert store.list(uri) == ()
        assert list(store.walk(uri)) == []
        store.write(uri, "a.txt", b"")
        assert store.list(uri, "none") == store.list(uri, "a.txt") == ()

    def test_what_is_no_file_is_not_found(self, store: ArtifactStore, uri: str) -> None:
        store.write(uri, "folder/a.txt", b"")
        for path in ("none.txt", "folder", "folder/a.txt/b"):
            with pytest.raises(NotFoundError):
                store.open(uri, path)

    def test_deletion(self, store: ArtifactStore, uri: str) -> None:
        for path in ("a/x", "a/y", "b", "c"):
            store.write(uri, path, b"")
        store.delete(uri, "b")
        store.delete(uri, "a")
        store.delete(uri, "none")
        assert [entry.path for entry in store.list(uri)] == ["c"]
        store.delete(uri)
        store.delete(uri)
        assert store.list(uri) == ()

    @pytest.mark.parametrize(
        "path",
        ["../x", "a/../../x", "/etc/passwd", "a//b", ".", "..", "a/./b", "a\0b", "x/", "/".join("a" * 1200)],
    )
    def test_a_path_that_leaves_the_root_is_refused(
        self, store: ArtifactStore, uri: str, path: str, tmp_path: Path
    ) -> None:
        source = tmp_path / "file"
        source.write_bytes(b"x")
        attempts: list[Callable[[], object]] = [
            lambda: store.write(uri, path, b"x"),
            lambda: store.put(uri, path, source),
            lambda: store.open(uri, path),
            lambda: store.list(uri, path),
            lambda: store.delete(uri, path),
        ]
        for attempt in attempts:
            with pytest.raises(StoreError):
                attempt()

    def test_a_reader_never_sees_half_a_file(self, store: ArtifactStore, uri: str) -> None:
        versions = [bytes([number]) * 300_000 for number in range(5)]
        store.write(uri, "f", versions[0])
        seen: set[bytes] = set()

        def write() -> None:
            for content in versions * 3:
                store.write(uri, "f", content)

        def look() -> None:
            for _ in range(30):
                seen.add(read(store, uri, "f"))
                seen.update(b"" for entry in store.list(uri) if entry.path != "f")

        in_threads([write, look])
        assert seen <= set(versions)
