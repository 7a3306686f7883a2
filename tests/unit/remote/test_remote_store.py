"""What a store guarantees holds over HTTP, against `proj server`'s application."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from httpkit import serving
from proj.remote.store import open_remote
from proj.server.routes import Site
from proj.testing.stores import ArtifactStoreContract, RunStoreContract
from proj.tracking import open_tracking
from remotekit import RUNS_DIFFER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proj.tracking import Tracking
    from proj.tracking.store import ArtifactStore, RunStore


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Tracking]:
    """The records of a server, artifacts through it."""
    home = tmp_path / "home"
    site = Site(artifact_base=(home / "artifacts").as_uri(), proxied=True)
    with open_tracking(home) as kept, serving(kept, site=site) as client, open_remote(client.url) as tracking:
        yield tracking


class TestRuns(RunStoreContract):
    differences = RUNS_DIFFER

    @pytest.fixture
    def store(self, remote: Tracking) -> RunStore:
        return remote.runs


class TestArtifacts(ArtifactStoreContract):
    @pytest.fixture
    def store(self, remote: Tracking) -> ArtifactStore:
        return remote.artifacts

    @pytest.fixture
    def uri(self) -> str:
        return "mlflow-artifacts:/1/run/artifacts"
