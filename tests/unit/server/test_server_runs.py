from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from proj.model import RunStatus

if TYPE_CHECKING:
    from httpkit import Client
    from proj.tracking import Tracking


@pytest.fixture
def run_id(client: Client) -> str:
    return new_run(client)


def new_run(client: Client, **fields: Any) -> str:
    return str(client.ok("POST", "runs/create", **fields)["run"]["info"]["run_id"])


def values(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {item["key"]: item["value"] for item in items}


def data(client: Client, run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = client.ok("GET", "runs/get", run_id=run_id)["run"]["data"]
    return found


def test_a_run_is_created(client: Client, tracking: Tracking) -> None:
    tags = [{"key": "a", "value": "1"}]
    run = client.ok("POST", "runs/create", user_id="ada", start_time="12", tags=tags)["run"]
    assert run["info"]["status"] == "RUNNING"
    assert run["info"]["start_time"] == 12
    stored = tracking.runs.run(run["info"]["run_id"])
    assert stored.user == "ada"
    assert stored.tags["a"] == "1"
    assert stored.artifact_uri == run["info"]["artifact_uri"]


def test_two_names_for_a_run_contradict_each_other(client: Client) -> None:
    answer = client.post("runs/create", run_name="a", tags=[{"key": "mlflow.runName", "value": "b"}])
    assert (answer.status, answer.error) == (400, "INVALID_PARAMETER_VALUE")


def test_an_experiment_that_is_not_there(client: Client) -> None:
    answer = client.post("runs/create", experiment_id="77")
    assert (answer.status, answer.error) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_a_run_ends(client: Client, tracking: Tracking, run_id: str) -> None:
    answer = client.ok("POST", "runs/update", run_id=run_id, status="FINISHED", end_time=99, run_name="new")
    assert answer["run_info"]["end_time"] == 99
    stored = tracking.runs.run(run_id)
    assert (stored.status, stored.ended_ms, stored.run_name) == (RunStatus.FINISHED, 99, "new")


def test_a_status_may_be_protobufs_number(client: Client, tracking: Tracking, run_id: str) -> None:
    client.ok("POST", "runs/update", run_id=run_id, status=4)
    assert tracking.runs.run(run_id).status is RunStatus.FAILED


def test_a_status_that_is_none_is_refused(client: Client, run_id: str) -> None:
    assert client.post("runs/update", run_id=run_id, status="DONE").status == 400


def test_the_oldest_clients_say_run_uuid(client: Client, run_id: str) -> None:
    client.ok("POST", "runs/set-tag", run_uuid=run_id, key="k", value="v")
    assert values(client.ok("GET", "runs/get", run_uuid=run_id)["run"]["data"]["tags"])["k"] == "v"


def test_what_is_logged_comes_back(client: Client, run_id: str) -> None:
    client.ok("POST", "runs/log-parameter", run_id=run_id, key="p", value="1")
    client.ok("POST", "runs/log-metric", run_id=run_id, key="m", value=0.5, timestamp="7", step="3")
    client.ok("POST", "runs/set-tag", run_id=run_id, key="t", value="red")
    found = data(client, run_id)
    assert values(found["params"]) == {"p": "1"}
    assert found["metrics"] == [{"key": "m", "value": 0.5, "timestamp": 7, "step": 3}]
    assert values(found["tags"])["t"] == "red"


def test_a_batch_comes_back(client: Client, run_id: str) -> None:
    metrics = [{"key": "m", "value": number, "timestamp": number, "step": number} for number in range(1000)]
    client.ok("POST", "runs/log-batch", run_id=run_id, metrics=metrics)
    params = [{"key": f"p{number}", "value": str(number)} for number in range(100)]
    client.ok("POST", "runs/log-batch", run_id=run_id, params=params, tags=[{"key": "t", "value": "1"}])
    found = data(client, run_id)
    assert values(found["metrics"]) == {"m": 999.0}
    assert len(found["params"]) == 100


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_what_json_has_no_number_for_is_text_both_ways(client: Client, run_id: str, value: str) -> None:
    client.ok("POST", "runs/log-metric", run_id=run_id, key="m", value=value, timestamp=1)
    assert values(data(client, run_id)["metrics"]) == {"m": value}


def test_a_parameter_never_changes(client: Client, run_id: str) -> None:
    client.ok("POST", "runs/log-parameter", run_id=run_id, key="p", value="1")
    client.ok("POST", "runs/log-parameter", run_id=run_id, key="p", value="1")
    answer = client.post("runs/log-parameter", run_id=run_id, key="p", value="01")
    assert (answer.status, answer.error) == (400, "INVALID_PARAMETER_VALUE")
    assert "Changing param values is not allowed" in answer.json["message"]


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("runs/log-metric", {"key": "a\nb", "value": 1, "timestamp": 1}),
        ("runs/log-metric", {"key": "../up", "value": 1, "timestamp": 1}),
        ("runs/log-metric", {"key": "k" * 251, "value": 1, "timestamp": 1}),
        ("runs/log-metric", {"key": "k", "value": "much", "timestamp": 1}),
        ("runs/log-metric", {"key": "k", "value": 1, "timestamp": -1}),
        ("runs/log-metric", {"key": "k", "value": 1}),
        ("runs/log-metric", {"key": "k", "value": 1, "timestamp": 1, "step": 2**63}),
        ("runs/log-parameter", {"key": ""}),
        ("runs/log-parameter", {"key": "a/../b", "value": "1"}),
        ("runs/set-tag", {"value": "v"}),
        ("runs/log-batch", {"metrics": [{"key": "m", "value": 1, "timestamp": 1}] * 1001}),
        ("runs/log-batch", {"params": [{"key": f"p{n}", "value": ""} for n in range(101)]}),
        ("runs/log-batch", {"params": [{"key": "p", "value": "1"}, {"key": "p", "value": "1"}]}),
        ("runs/log-batch", {"tags": [{"value": "1"}]}),
        ("runs/log-model", {"model_json": "{"}),
        ("runs/log-model", {"model_json": "{}"}),
        ("runs/log-inputs", {"datasets": [{"dataset": {"name": "d"}}]}),
        ("runs/search", {"filter": "metrics.m <"}),
        ("runs/search", {"max_results": 50_001}),
        ("runs/search", {"page_token": "nonsense"}),
        ("runs/search", {"run_view_type": "MINE"}),
    ],
)
def test_what_mlflow_refuses_is_refused(
    client: Client, run_id: str, path: str, fields: dict[str, Any]
) -> None:
    answer = client.post(path, run_id=run_id, **fields)
    assert (answer.status, answer.error) == (400, "INVALID_PARAMETER_VALUE")


def test_values_that_are_too_long_lose_their_end(client: Client, run_id: str) -> None:
    client.ok("POST", "runs/log-parameter", run_id=run_id, key="p", value="x" * 6001)
    client.ok("POST", "runs/set-tag", run_id=run_id, key="t", value="x" * 8001)
    found = data(client, run_id)
    assert len(values(found["params"])["p"]) == 6000
    assert len(values(found["tags"])["t"]) == 8000


def test_tags_go(client: Client, run_id: str) -> None:
    client.ok("POST", "runs/set-tag", run_id=run_id, key="t", value="1")
    client.ok("POST", "runs/delete-tag", run_id=run_id, key="t")
    answer = client.post("runs/delete-tag", run_id=run_id, key="t")
    assert (answer.status, answer.error) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_a_deleted_run_takes_nothing_until_it_is_restored(client: Client, run_id: str) -> None:
    client.ok("POST", "runs/delete", run_id=run_id)
    assert client.ok("GET", "runs/get", run_id=run_id)["run"]["info"]["lifecycle_stage"] == "deleted"
    for path, fields in (
        ("runs/set-tag", {"key": "t", "value": "1"}),
        ("runs/update", {"status": "FINISHED"}),
        ("runs/log-parameter", {"key": "p", "value": "1"}),
    ):
        assert client.post(path, run_id=run_id, **fields).error == "INVALID_PARAMETER_VALUE"
    client.ok("POST", "runs/restore", run_id=run_id)
    client.ok("POST", "runs/set-tag", run_id=run_id, key="t", value="1")


def test_a_run_that_is_not_there(client: Client) -> None:
    for path in ("runs/update", "runs/log-batch", "runs/delete", "runs/log-inputs"):
        assert client.post(path, run_id="0" * 32).status == 404
    assert client.get("runs/get", run_id="0" * 32).error == "RESOURCE_DOES_NOT_EXIST"


def test_models_of_old_clients_are_kept_in_a_tag(client: Client, run_id: str) -> None:
    flavors: dict[str, Any] = {"sklearn": {"code": None, "config": {}}}
    model = {"artifact_path": "m", "flavors": flavors, "utc_time_created": "now", "run_id": run_id, "x": 1}
    for _ in range(2):  # a request that is tried again
        client.ok("POST", "runs/log-model", run_id=run_id, model_json=json.dumps(model))
    history = json.loads(values(data(client, run_id)["tags"])["mlflow.log-model.history"])
    assert history == [
        {
            "run_id": run_id,
            "utc_time_created": "now",
            "artifact_path": "m",
            "flavors": {"sklearn": {"code": None}},
        }
    ]


def test_datasets_come_back(client: Client, run_id: str) -> None:
    dataset = {"name": "wine", "digest": "1234", "source_type": "local", "source": "{}", "schema": "[]"}
    tags = [{"key": "mlflow.data.context", "value": "training"}]
    client.ok("POST", "runs/log-inputs", run_id=run_id, datasets=[{"dataset": dataset, "tags": tags}])
    run = client.ok("GET", "runs/get", run_id=run_id)["run"]
    assert run["inputs"]["dataset_inputs"] == [{"dataset": dataset, "tags": tags}]
    found = client.ok("POST", "experiments/search-datasets", experiment_ids=["0"])["dataset_summaries"]
    assert found == [{"experiment_id": "0", "name": "wine", "digest": "1234", "context": "training"}]


def test_runs_are_searched_in_pages(client: Client) -> None:
    runs = [new_run(client, start_time=number) for number in range(5)]
    found: list[str] = []
    token = ""
    while True:
        page = client.ok("POST", "runs/search", experiment_ids=["0"], max_results=2, page_token=token)
        found += [run["info"]["run_id"] for run in page["runs"]]
        token = page.get("next_page_token", "")
        if not token:
            break
    assert found == runs[::-1]


def test_a_search_in_no_experiment_finds_nothing(client: Client, run_id: str) -> None:
    assert client.ok("POST", "runs/search")["runs"] == []


def test_deleted_runs_are_searched_by_view(client: Client, run_id: str) -> None:
    kept = new_run(client)
    client.ok("POST", "runs/delete", run_id=run_id)
    for view, expected in (("DELETED_ONLY", {run_id}), (2, {run_id}), (1, {kept}), ("ALL", {kept, run_id})):
        page = client.ok("POST", "runs/search", experiment_ids=["0"], run_view_type=view)
        assert {run["info"]["run_id"] for run in page["runs"]} == expected
