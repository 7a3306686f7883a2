"""Which store a URI leads to."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

from proj.errors import ConflictError, NotFoundError, StoreError, UsageError
from proj.model import NewRun
from proj.testing.artifact_stores import ArtifactStoreContract, read
from proj.tracking import open_tracking
from proj.tracking.artifact_stores import ArtifactStores, registry, root_uri
from proj.tracking.artifacts import FolderArtifactStore
from proj.tracking.logged_models import NewLoggedModel
from proj.tracking.object_places import find_place

if TYPE_CHECKING:
    from pathlib import Path

    from proj.tracking.store import ArtifactStore


class TestFolder(ArtifactStoreContract):
    @pytest.fixture
    def store(self) -> ArtifactStore:
        return ArtifactStores()

    @pytest.fixture
    def uri(self, tmp_path: Path) -> str:
        return (tmp_path / "run").as_uri()


def test_each_scheme_has_its_store(tmp_path: Path) -> None:
    stores = ArtifactStores({"theirs": FolderArtifactStore})
    stores.write(str(tmp_path / "a"), "x", b"path")
    stores.write((tmp_path / "b").as_uri(), "x", b"uri")
    stores.write("MEMORY://bucket/c", "x", b"memory")
    assert (tmp_path / "a" / "x").read_bytes() == b"path"
    assert (tmp_path / "b" / "x").read_bytes() == b"uri"
    assert read(stores, "memory://bucket/c", "x") == b"memory"
    with pytest.raises(StoreError, match="theirs: URIs"):  # it got there
        stores.list("theirs://bucket/c")


def test_an_unknown_scheme_lists_the_known_ones() -> None:
    with pytest.raises(StoreError, match="no artifact store for ftp:") as caught:
        ArtifactStores({"mlflow-artifacts": FolderArtifactStore}).list("ftp://host/a")
    assert caught.value.hint is not None
    assert all(f"{name}:" in caught.value.hint for name in ("file", "s3", "gs", "mlflow-artifacts"))


def test_others_register_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        name, value, group = "broken", "theirs:Store", "proj.artifact_stores"

        def load(self) -> None:
            raise ImportError("no module named theirs")

    monkeypatch.setattr(registry, "_entry_points", lambda: (Entry(),))
    with pytest.raises(StoreError, match=r"'broken' .* cannot be loaded: no module named theirs"):
        ArtifactStores().list("broken://bucket/a")


@pytest.mark.parametrize(
    ("uri", "extra"),
    [("s3://b/a", "s3"), ("gs://b/a", "gcs"), ("abfss://c@a.dfs.core.windows.net/a", "azure")],
)
def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, uri: str, extra: str) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(StoreError, match="not installed") as caught:
        ArtifactStores().list(uri)
    assert caught.value.hint == f"pip install 'proj[{extra}]'"
    with pytest.raises(UsageError):
        root_uri(uri)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://b", ("b", "", "")),
        ("S3://b/x y/é%41#?/", ("b", "x y/é%41#?/", "")),
        ("gs://b.c/x", ("b.c", "x/", "")),
        ("az://c/x", ("c", "x/", "")),
        ("wasbs://c@acc.blob.core.windows.net/x/y", ("c", "x/y/", "acc")),
        ("abfss://c@acc.dfs.core.chinacloudapi.cn/x", ("c", "x/", "acc acc.blob.core.chinacloudapi.cn")),
    ],
)
def test_a_uri_names_a_place(uri: str, expected: tuple[str, str, str]) -> None:
    place = find_place(uri)
    assert (place.bucket, place.prefix, place.account) == expected


@pytest.mark.parametrize(
    "uri",
    [
        *("s3:", "s3://", "s3:b/x", "s3:///x", "s3://b/../x", "s3://b/x//y", "s3://b/x\0", "s3://../x"),
        *("s3://user@b/x", "s3://b?x/y", "abfss://c@evil.example/x", "abfss://c@a@b.blob.core.windows.net/x"),
        *("memory:x", "s3://b/x?versionId=1"),
    ],
)
def test_what_names_no_place_is_refused(uri: str) -> None:
    with pytest.raises(StoreError):
        find_place(uri)


def test_names_that_a_driver_would_read_as_something_else_are_refused() -> None:
    with pytest.raises(ConflictError, match="versionId"):
        find_place("s3://b/run").name("a?versionId=1")
    with pytest.raises(ConflictError, match="too long"):
        find_place("gs://b/run").name("é" * 600)
    with pytest.raises(StoreError, match="no path"):
        find_place("s3://b/run").name("a\udc80")


def test_new_runs_and_models_go_where_the_root_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    with open_tracking(home) as tracking:
        before = tracking.runs.create_run(NewRun(experiment_id="0", run_name="before", started_ms=1))
    monkeypatch.setenv("PROJ_ARTIFACT_ROOT", "memory://bucket/root/")
    with open_tracking(home) as tracking:
        far = tracking.runs.create_run(NewRun(experiment_id="0", run_name="far", started_ms=2))
        model = tracking.logged_models.create_logged_model(NewLoggedModel(experiment_id="0"))
        tracking.artifacts.write(far.artifact_uri, "a", b"far")
        assert tracking.runs.experiment("0").artifact_location == "memory://bucket/root"
        assert tracking.workspace(far).parent != home / "artifacts"
    assert far.artifact_uri == f"memory://bucket/root/{far.run_id}"
    assert model.artifact_location == f"memory://bucket/root/models/{model.model_id}/artifacts"
    monkeypatch.delenv("PROJ_ARTIFACT_ROOT")
    with open_tracking(home) as tracking:  # each stays where it is
        assert tracking.runs.run(before.run_id).artifact_uri == before.artifact_uri
        assert tracking.runs.run(far.run_id).artifact_uri == far.artifact_uri
        assert read(tracking.artifacts, far.artifact_uri, "a") == b"far"
        tracking.artifacts.delete(far.artifact_uri)


def test_a_root_is_a_uri_or_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert root_uri("~/a b") == (tmp_path / "a b").as_uri()
    assert root_uri("file:///a/") == "file:///a"
    assert root_uri("memory://bucket/a/") == "memory://bucket/a"
    for wrong in ("ftp://host/a", "memory:x", "mlflow-artifacts:/"):
        with pytest.raises(UsageError, match="No artifacts can be kept in"):
            root_uri(wrong)


def test_a_file_in_memory_is_no_folder() -> None:
    stores = ArtifactStores()
    uri = "memory://bucket/conflict"
    stores.write(uri, "a", b"1")
    with pytest.raises(ConflictError):
        stores.write(uri, "a/b", b"2")
    with pytest.raises(NotFoundError):
        stores.open(uri, "a/b")
    stores.delete(uri)


def test_all_of_a_bucket_is_not_removed() -> None:
    with pytest.raises(StoreError, match="whole bucket"):
        ArtifactStores().delete("memory://bucket")
