from __future__ import annotations

import base64
import hashlib
import os
import socket
import subprocess  # noqa: TID251  what a test kills must not be looked after by what it tests
import sys
from typing import TYPE_CHECKING, Any

import pytest

import s3kit
from proj.errors import ConflictError, NotFoundError, ProjError, StoreError, UnreachableError
from proj.testing.artifact_stores import ArtifactStoreContract
from proj.tracking.object_places import PART_BYTES, find_place
from proj.tracking.object_store import FsspecArtifactStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from proj.tracking.store import ArtifactStore


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    with s3kit.s3_server() as url:
        yield url


@pytest.fixture
def s3(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    s3kit.use(monkeypatch, s3_url)
    return s3_url


@pytest.fixture
def bucket(s3: str) -> str:
    return s3kit.new_bucket(s3)


class TestMemory(ArtifactStoreContract):
    @pytest.fixture
    def store(self) -> ArtifactStore:
        return FsspecArtifactStore()

    @pytest.fixture
    def uri(self) -> Iterator[str]:
        uri = "memory://bucket/ro ot %é/run"
        yield uri
        FsspecArtifactStore().delete(uri)


class TestS3(ArtifactStoreContract):
    @pytest.fixture
    def store(self) -> ArtifactStore:
        return FsspecArtifactStore()

    @pytest.fixture
    def uri(self, bucket: str) -> str:
        return f"s3://{bucket}/ro ot %é/run"


STORE_PARTS = 40_000_000
"""Bytes: two parts and a half."""


def test_a_large_file_is_sent_and_fetched_in_parts(s3: str, bucket: str, tmp_path: Path) -> None:
    store, uri = FsspecArtifactStore(), f"s3://{bucket}/run"
    content = os.urandom(STORE_PARTS)
    (tmp_path / "model.bin").write_bytes(content)
    store.put(uri, "model.bin", tmp_path / "model.bin")
    with store.open(uri, "model.bin") as file:
        assert hashlib.sha256(file.read()).digest() == hashlib.sha256(content).digest()
        file.seek(-1000, os.SEEK_END)
        assert file.read(10) == content[-1000:-990]
    head = s3kit.client(s3).head_object(Bucket=bucket, Key="run/model.bin", ChecksumMode="ENABLED")
    parts = [content[start : start + PART_BYTES] for start in range(0, len(content), PART_BYTES)]
    assert head["ETag"].endswith(f'-{len(parts)}"')
    digests = b"".join(hashlib.sha256(part).digest() for part in parts)
    expected = base64.b64encode(hashlib.sha256(digests).digest()).decode()
    assert head["ChecksumSHA256"].removesuffix(f"-{len(parts)}") == expected  # what S3 was told to verify


def test_s3_is_told_the_digest_of_a_small_file(s3: str, bucket: str) -> None:
    FsspecArtifactStore().write(f"s3://{bucket}", "a", b"content")
    head = s3kit.client(s3).head_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(b"content").digest()).decode()


def test_a_large_file_that_is_broken_off_leaves_nothing(s3: str, bucket: str) -> None:
    store, uri = FsspecArtifactStore(), f"s3://{bucket}/run"

    def break_off() -> None:
        with store.create(uri, "a") as file:
            file.write(bytes(STORE_PARTS))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    client = s3kit.client(s3)
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket)
    assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


UPLOAD = """
import sys
from proj.tracking.object_store import FsspecArtifactStore
with FsspecArtifactStore().create(sys.argv[1], "model.bin") as file:
    file.write(bytes(40_000_000))
    print("half", flush=True)
    sys.stdin.read()
"""


def test_an_upload_that_is_killed_is_not_visible(s3: str, bucket: str) -> None:
    store, uri = FsspecArtifactStore(), f"s3://{bucket}/run"
    store.write(uri, "other", b"x")
    argv = [sys.executable, "-c", UPLOAD, uri]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as upload:
        assert upload.stdout is not None
        assert upload.stdout.readline() == "half\n"
        assert len(s3kit.client(s3).list_multipart_uploads(Bucket=bucket)["Uploads"]) == 1
        upload.kill()
    assert [entry.path for entry in store.walk(uri)] == ["other"]
    with pytest.raises(NotFoundError):
        store.open(uri, "model.bin")


@pytest.mark.usefixtures("s3")
def test_more_than_a_page_is_listed_walked_and_removed(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store, uri = FsspecArtifactStore(), f"s3://{bucket}/run"
    for number in range(7):
        store.write(uri, f"many/{number}", b"x")
    store.write(uri, "many.txt", b"x")
    system = store._systems.of(find_place(uri))
    ask = system.call_s3

    def small_pages(method: str, **given: Any) -> Any:
        return ask(method, **given, **({"MaxKeys": 3} if method == "list_objects_v2" else {}))

    monkeypatch.setattr(system, "call_s3", small_pages)
    names = [f"many/{number}" for number in range(7)]
    assert [entry.path for entry in store.list(uri, "many")] == names
    assert [entry.path for entry in store.walk(uri)] == [*names, "many.txt"]
    store.delete(uri, "many")
    assert [entry.path for entry in store.walk(uri)] == ["many.txt"]


@pytest.mark.usefixtures("s3")
def test_names_are_no_patterns(bucket: str) -> None:
    store, uri = FsspecArtifactStore(), f"s3://{bucket}/run"
    for path in ("*", "ab", "[ab]/x", "a/x"):
        store.write(uri, path, b"x")
    store.delete(uri, "*")
    store.delete(uri, "[ab]")
    assert [entry.path for entry in store.walk(uri)] == ["a/x", "ab"]


def test_a_listing_keeps_to_its_folder(s3: str, bucket: str) -> None:
    store = FsspecArtifactStore()
    client = s3kit.client(s3)
    for key in ("run/", "run/a", "run//odd", "run/../up", "run-2/b", "runner"):
        client.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert [entry.path for entry in store.list(f"s3://{bucket}/run")] == ["a"]
    assert [entry.path for entry in store.walk(f"s3://{bucket}/run")] == ["a"]
    store.delete(f"s3://{bucket}/run", "a")
    store.delete(f"s3://{bucket}/run-2")
    assert store.list(f"s3://{bucket}/run") == ()
    assert client.head_object(Bucket=bucket, Key="runner")["ContentLength"] == 1


def test_a_file_that_is_replaced_while_it_is_read_is_an_error(s3: str, bucket: str) -> None:
    store, uri = FsspecArtifactStore(), f"s3://{bucket}/run"
    store.write(uri, "a", bytes(STORE_PARTS))
    with store.open(uri, "a") as file:
        file.read(10)
        s3kit.client(s3).put_object(Bucket=bucket, Key="run/a", Body=b"other" * 10_000_000)
        with pytest.raises(ConflictError, match="replaced"):
            file.read()


def attempts(uri: str) -> list[ProjError]:
    """What each kind of call raises."""
    store = FsspecArtifactStore()
    calls: list[Callable[[], object]] = [
        lambda: store.write(uri, "a", b"x"),
        lambda: store.open(uri, "a"),
        lambda: store.list(uri),
        lambda: store.walk(uri),
        lambda: store.delete(uri),
    ]
    found = []
    for call in calls:
        with pytest.raises(ProjError) as caught:
            call()
        found.append(caught.value)
    return found


def test_a_bucket_that_is_not_there_is_named(s3: str) -> None:
    for error in attempts("s3://no-such-bucket/run"):
        assert "there is no bucket 'no-such-bucket'" in error.message
        assert isinstance(error, StoreError)
        assert not isinstance(error, (NotFoundError, UnreachableError))


def test_who_is_refused_is_told_what_to_check(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0)
    monkeypatch.setattr("moto.core.responses.ActionAuthenticatorMixin.request_count", 0)
    for error in attempts(f"s3://{bucket}/run"):
        assert "refuses it" in error.message
        assert "AWS_ACCESS_KEY_ID" in (error.hint or "")
        assert s3kit.SECRET not in f"{error.message} {error.hint} {error.details}"


def test_without_credentials_it_says_which(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(StoreError, match="locate credentials") as caught:
        FsspecArtifactStore().list(f"s3://{bucket}/run")
    assert "AWS_ACCESS_KEY_ID" in (caught.value.hint or "")


@pytest.mark.usefixtures("s3")
def test_a_store_that_cannot_be_reached_may_be_tried_later(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        monkeypatch.setenv(
            "MLFLOW_S3_ENDPOINT_URL", f"http://ada:{s3kit.SECRET}@127.0.0.1:{taken.getsockname()[1]}"
        )
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        with pytest.raises(UnreachableError) as caught:
            FsspecArtifactStore().write("s3://bucket/run", "a", b"x")
    assert s3kit.SECRET not in f"{caught.value.message} {caught.value.hint} {caught.value.details}"
