"""What a store of runs and artifacts guarantees, over mlflow's own servers."""

from __future__ import annotations

import contextlib
import functools
import math
from typing import TYPE_CHECKING, ClassVar

import pytest

from proj.remote.store import check, open_remote
from proj.testing.stores import ArtifactStoreContract, RunStoreContract, point
from remotekit import MLFLOW_RUNS_DIFFER, OLD_MLFLOW_RUNS_DIFFER, MlflowServer, mlflow_servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from proj.model import Metric, RunRecord
    from proj.tracking import Tracking
    from proj.tracking.store import ArtifactStore, RunStore

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300), pytest.mark.xdist_group("mlflow server")]


@pytest.fixture(scope="module")
def servers(
    client: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], MlflowServer]]:
    """Start a version's server when it is asked for."""
    with contextlib.ExitStack() as stack:

        @functools.cache
        def start(version: str) -> MlflowServer:
            folder = tmp_path_factory.mktemp("mlflow") / "server"
            server = stack.enter_context(mlflow_servers(client(version), folder))
            check(server.url)
            return server

        yield start


class _OnServer:
    version: ClassVar[str]

    @pytest.fixture
    def remote(self, servers: Callable[[str], MlflowServer]) -> Iterator[Tracking]:
        server = servers(self.version)
        server.empty()
        with open_remote(server.url) as tracking:
            yield tracking


class _Runs(_OnServer, RunStoreContract):
    @pytest.fixture
    def store(self, remote: Tracking) -> RunStore:
        return remote.runs

    @pytest.mark.parametrize("limit", [1, 3, 100])
    def test_a_history_that_goes_on_comes_in_pages(self, store: RunStore, run: RunRecord, limit: int) -> None:
        points = [point("m", 0.5 * step, step=step, timestamp_ms=step) for step in range(7)]
        points.append(point("m", math.nan, step=7, timestamp_ms=7))
        store.log(run.run_id, metrics=points)
        found: list[Metric] = []
        token: str | None = None
        while len(found) < len(points):
            page = store.metric_page(run.run_id, "m", limit=limit, page_token=token)
            found += page.points
            token = page.next_page_token
        assert token is None
        assert math.isnan(found.pop().value)
        assert found == points[:-1]
        assert store.metric_sample(run.run_id, "m", limit=2)[0] == points[0]


class _Artifacts(_OnServer, ArtifactStoreContract):
    differences: ClassVar = {"test_content_comes_back": "mlflow refuses % in the paths of artifacts"}

    @pytest.fixture
    def store(self, remote: Tracking) -> ArtifactStore:
        return remote.artifacts

    @pytest.fixture
    def uri(self, tmp_path: Path) -> str:
        return f"mlflow-artifacts:/1/{tmp_path.name}/artifacts"


class TestRunsOldest(_Runs):
    version = "mlflow-2.9"
    differences = OLD_MLFLOW_RUNS_DIFFER


class TestRunsNewest(_Runs):
    version = "mlflow-3.17"
    differences = MLFLOW_RUNS_DIFFER


class TestArtifactsOldest(_Artifacts):
    version = "mlflow-2.9"
    differences: ClassVar = {
        **_Artifacts.differences,
        "test_deletion": "mlflow 2.9 deletes folders only",
    }


class TestArtifactsNewest(_Artifacts):
    version = "mlflow-3.17"
