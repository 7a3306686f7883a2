"""Paths that no file system takes: the path's fault, and no reason to try again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proj.errors import ConflictError
from proj.tracking.artifacts import FolderArtifactStore

if TYPE_CHECKING:
    from pathlib import Path

LONG = "ä" * 200
DEEP = "/".join(["folder"] * 1000)


@pytest.mark.parametrize("path", [LONG, f"a/{LONG}/b", DEEP])
def test_names_that_are_too_long(tmp_path: Path, path: str) -> None:
    store = FolderArtifactStore()
    uri = tmp_path.as_uri()
    with pytest.raises(ConflictError, match="too long"):
        store.write(uri, path, b"")
    with pytest.raises(ConflictError, match="too long"):
        store.open(uri, path)
    with pytest.raises(ConflictError, match="too long"):
        store.list(uri, path)


def test_a_file_is_no_folder_and_a_folder_no_file(tmp_path: Path) -> None:
    store = FolderArtifactStore()
    uri = tmp_path.as_uri()
    store.write(uri, "a/b", b"1")
    with pytest.raises(ConflictError):
        store.write(uri, "a/b/c", b"2")
    with pytest.raises(ConflictError):
        store.write(uri, "a", b"2")
    with store.open(uri, "a/b") as file:
        assert file.read() == b"1"
