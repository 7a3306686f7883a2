"""The contracts of the stores of models, over mlflow's own servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clients import NEWEST
from proj.errors import StoreError
from proj.model import NewRun
from proj.remote.store import open_remote
from proj.testing.inputs import InputContract
from proj.testing.logged_models import LoggedModelContract
from proj.testing.registry import ModelRegistryContract
from proj.tracking.inputs import Dataset, DatasetInput, RunInputs
from proj.tracking.logged_models import LoggedModelQuery, NewLoggedModel
from proj.tracking.registry import NewModelVersion, RegistryQuery, Stage
from remotekit import INPUTS_DIFFER, MODELS_DIFFER, REGISTRY_DIFFERS, MlflowServer, mlflow_servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from proj.tracking import Tracking

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300), pytest.mark.xdist_group("mlflow server")]


@pytest.fixture(scope="module")
def mlflow(client: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    folder = tmp_path_factory.mktemp("mlflow") / "server"
    with mlflow_servers(client(NEWEST), folder) as server:
        yield server


@pytest.fixture(name="tracking")
def _tracking(mlflow: MlflowServer) -> Iterator[Tracking]:
    mlflow.empty()
    with open_remote(mlflow.url) as tracking:
        yield tracking


MLFLOW_REGISTRY_DIFFERS = {
    **REGISTRY_DIFFERS,
    "test_a_version_knows_its_logged_model": "mlflow does not tell which logged model became a version",
}
BY_NUMBER = "mlflow compares a status with a number"
NAN_IS_LEAST = "mlflow takes NaN for less than all numbers"
ANY_DIGEST = "mlflow finds no metrics of a dataset of any digest"
FAILS = "mlflow fails on it"
MLFLOW_MODELS_DIFFER = {
    **MODELS_DIFFER,
    "test_nothing_is_written_to_a_deleted_model": "mlflow writes to deleted models",
    "test_a_filter_chooses[status = 'PENDING' and creation_timestamp > 0-abc]": BY_NUMBER,
    "test_a_filter_chooses[status != 'PENDING'-]": BY_NUMBER,
    "test_a_filter_chooses[metrics.loss < 0.3-a]": NAN_IS_LEAST,
    "test_metrics_on_a_dataset_choose[-dataset0-ab]": ANY_DIGEST,
    "test_metrics_on_a_dataset_choose[metrics.loss > 0.3-dataset4-ab]": ANY_DIGEST,
    "test_an_order_sorts_and_what_is_missing_comes_last[order2-bac]": NAN_IS_LEAST,
    "test_an_order_sorts_and_what_is_missing_comes_last[order6-a]": "mlflow keeps no type as an empty text",
    "test_what_cannot_be_understood_is_a_usage_error[query0]": FAILS,
    "test_what_cannot_be_understood_is_a_usage_error[query4]": FAILS,
}
NO_NULLS = "mlflow knows IS NULL for parameters and tags alone"
MLFLOW_INPUTS_DIFFER = {
    **INPUTS_DIFFER,
    "test_runs_are_searched_by_dataset[dataset.context IS NULL-False]": NO_NULLS,
}


class TestRegistry(ModelRegistryContract):
    differences = MLFLOW_REGISTRY_DIFFERS

    @pytest.fixture
    def tracking(self, tracking: Tracking) -> Tracking:
        return tracking


class TestLoggedModels(LoggedModelContract):
    differences = MLFLOW_MODELS_DIFFER

    @pytest.fixture
    def tracking(self, tracking: Tracking) -> Tracking:
        return tracking


class TestInputs(InputContract):
    differences = MLFLOW_INPUTS_DIFFER

    @pytest.fixture
    def tracking(self, tracking: Tracking) -> Tracking:
        return tracking


def test_a_server_before_logged_models(client: Callable[[str], Path], tmp_path: Path) -> None:
    with (
        mlflow_servers(client("mlflow-2.9"), tmp_path / "server") as server,
        open_remote(server.url) as tracking,
    ):
        made = tracking.runs.create_run(NewRun(experiment_id="0", run_name="r", started_ms=1))
        assert tracking.inputs.of_runs([made.run_id]) == {}
        dataset = Dataset(name="wine", digest="d1", source_type="http", source="{}")
        inputs = RunInputs(datasets=(DatasetInput(dataset=dataset, tags={"mlflow.data.context": "test"}),))
        tracking.inputs.log_inputs(made.run_id, datasets=inputs.datasets)
        assert tracking.inputs.of_runs([made.run_id]) == {made.run_id: inputs}
        assert [each.name for each in tracking.inputs.search_datasets(["0"])] == ["wine"]
        for call in (
            lambda: tracking.logged_models.create_logged_model(NewLoggedModel(experiment_id="0")),
            lambda: tracking.logged_models.logged_model("m-1"),
            lambda: tracking.logged_models.search_logged_models(LoggedModelQuery()),
        ):
            with pytest.raises(StoreError, match="keeps no logged models"):
                call()
        registry = tracking.registry
        assert registry.create_model("wine", description="of grapes", tags={"a": ""}).tags == {"a": ""}
        for _ in range(3):
            registry.create_version("wine", NewModelVersion(source="s3://bucket/x", run_id=made.run_id))
        assert registry.transition_stage("wine", 1, Stage.STAGING).stage is Stage.STAGING
        registry.set_alias("wine", "best", 2)
        found = [registry.version_by_alias("wine", alias) for alias in ("best", "latest")]
        assert [(each.version, each.run_id) for each in found] == [(2, made.run_id), (3, made.run_id)]
        page = registry.search_versions(RegistryQuery(filter="name = 'wine'", limit=2))
        assert [each.version for each in page.versions] == [3, 2]
        assert page.next_page_token
