from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import s3kit
from proj.testing.artifact_stores import ArtifactStoreContract
from proj.tracking.object_store import FsspecArtifactStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.tracking.store import ArtifactStore


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    with s3kit.s3_server() as url:
        yield url


@pytest.fixture
def s3(s3_url: str) -> Iterator[str]:
    with s3kit.environment(s3_url):
        yield s3_url


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
