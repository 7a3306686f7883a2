from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from httpkit import Client
    from proj.tracking import Tracking

MISSING = "m-" + "0" * 32


def a_model(client: Client, **fields: Any) -> Any:
    return client.ok("POST", "logged-models", **{"experiment_id": "0", "name": "ridge", **fields})["model"]


def test_a_model_from_cradle_to_grave(client: Client) -> None:
    made = a_model(client, params=[{"key": "alpha", "value": "1"}], model_type="linear")
    info, model = made["info"], f"logged-models/{made['info']['model_id']}"
    assert (info["name"], info["status"], info["model_type"]) == ("ridge", "LOGGED_MODEL_PENDING", "linear")
    assert made["data"]["params"] == [{"key": "alpha", "value": "1"}]
    done = client.ok("PATCH", model, model_id="ignored", status="LOGGED_MODEL_READY")["model"]
    assert done["info"]["status"] == "LOGGED_MODEL_READY"
    assert client.ok("PATCH", model, status=3)["model"]["info"]["status"] == "LOGGED_MODEL_UPLOAD_FAILED"
    client.ok("PATCH", f"{model}/tags", tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
    client.ok("DELETE", f"{model}/tags/a")
    client.ok("POST", f"{model}/params", params=[{"key": "beta", "value": "2"}])
    found = client.ok("GET", model)["model"]
    assert found["info"]["tags"] == [{"key": "b", "value": "2"}]
    assert [each["key"] for each in found["data"]["params"]] == ["alpha", "beta"]
    client.ok("DELETE", model)
    client.ok("DELETE", model)
    assert client.send("GET", model).error == "RESOURCE_DOES_NOT_EXIST"
    assert client.ok("GET", model, allow_deleted="true")["model"]["info"]["name"] == "ridge"


@pytest.mark.parametrize("name", ["a/b", "a:b", "a.b", "a%b", "a'b", 'a"b'])
def test_names_that_are_none(client: Client, name: str) -> None:
    assert client.post("logged-models", experiment_id="0", name=name).error == "INVALID_PARAMETER_VALUE"


def test_a_model_that_is_not_there(client: Client) -> None:
    model = f"logged-models/{MISSING}"
    answers = (
        client.send("GET", model),
        client.send("DELETE", model),
        client.send("PATCH", model, '{"status": "LOGGED_MODEL_READY"}'),
        client.send("PATCH", f"{model}/tags", '{"tags": [{"key": "a", "value": "b"}]}'),
        client.send("DELETE", f"{model}/tags/a"),
        client.send("GET", f"{model}/artifacts/directories"),
    )
    assert {(answer.status, answer.error) for answer in answers} == {(404, "RESOURCE_DOES_NOT_EXIST")}


def test_what_cannot_be_meant(client: Client) -> None:
    made = a_model(client, params=[{"key": "alpha", "value": "1"}])
    model = f"logged-models/{made['info']['model_id']}"
    assert client.send("PATCH", model, '{"status": "DONE"}').error == "INVALID_PARAMETER_VALUE"
    assert client.send("PATCH", model, "{}").error == "INVALID_PARAMETER_VALUE"
    assert client.send("DELETE", f"{model}/tags/none").error == "RESOURCE_DOES_NOT_EXIST"
    conflict = client.post(f"{model}/params", params=[{"key": "alpha", "value": "2"}])
    assert conflict.error == "INVALID_PARAMETER_VALUE"
    assert client.post("logged-models", experiment_id="77").error == "RESOURCE_DOES_NOT_EXIST"


def test_metrics_of_a_model_come_with_those_of_runs(client: Client) -> None:
    model_id = a_model(client)["info"]["model_id"]
    run_id = client.ok("POST", "runs/create", experiment_id="0")["run"]["info"]["run_id"]
    point = {"key": "rmse", "value": 0.5, "timestamp": 7, "step": 1, "dataset_name": "d"}
    client.ok("POST", "runs/log-metric", run_id=run_id, model_id=model_id, **point)
    (metric,) = client.ok("GET", f"logged-models/{model_id}")["model"]["data"]["metrics"]
    assert metric == {**point, "model_id": model_id, "run_id": run_id}


def test_search(client: Client) -> None:
    for number in range(3):
        a_model(client, name=f"m{number}", params=[{"key": "n", "value": str(number)}])
    by_name = [{"field_name": "name", "ascending": False}]
    query = {"experiment_ids": ["0"], "max_results": 2, "order_by": by_name}
    page = client.ok("POST", "logged-models/search", **query)
    assert [each["info"]["name"] for each in page["models"]] == ["m2", "m1"]
    rest = client.ok("POST", "logged-models/search", **query, page_token=page["next_page_token"])
    assert [each["info"]["name"] for each in rest["models"]] == ["m0"]
    found = client.ok("POST", "logged-models/search", experiment_ids=["0"], filter="params.n = '1'")
    assert [each["info"]["name"] for each in found["models"]] == ["m1"]
    assert client.post("logged-models/search").error == "INVALID_PARAMETER_VALUE"
    wrong = client.post("logged-models/search", experiment_ids=["0"], filter="colour = 'red'")
    assert wrong.error == "INVALID_PARAMETER_VALUE"


def test_files_of_a_model(client: Client, tracking: Tracking) -> None:
    model_id = a_model(client)["info"]["model_id"]
    place = tracking.logged_models.logged_model(model_id).artifact_location
    tracking.artifacts.write(place, "data/weights", b"12345")
    files = f"logged-models/{model_id}/artifacts/directories"
    assert client.ok("GET", files)["files"] == [{"path": "data", "is_dir": True}]
    below = client.ok("GET", files, artifact_directory_path="data")["files"]
    assert below == [{"path": "data/weights", "is_dir": False, "file_size": 5}]
    assert client.get(files, artifact_directory_path="../..").error == "INVALID_PARAMETER_VALUE"
