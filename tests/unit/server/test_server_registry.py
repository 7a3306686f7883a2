from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from httpkit import Client, serving
from proj.server.routes import Site

if TYPE_CHECKING:
    from pathlib import Path

    from proj.tracking import Tracking


def a_model(client: Client, name: str = "ridge", **fields: Any) -> Any:
    return client.ok("POST", "registered-models/create", name=name, **fields)["registered_model"]


def a_run(client: Client) -> Any:
    return client.ok("POST", "runs/create", experiment_id="0")["run"]["info"]


def a_version(client: Client, name: str = "ridge", **fields: Any) -> Any:
    fields = {"source": "s3://bucket/model", **fields}
    return client.ok("POST", "model-versions/create", name=name, **fields)["model_version"]


def refused(client: Client, source: str, **fields: str) -> str:
    answer = client.post("model-versions/create", name="ridge", source=source, **fields)
    assert answer.status == 400, answer.content
    return answer.error


def test_a_registered_model_from_cradle_to_grave(client: Client) -> None:
    made = a_model(client, tags=[{"key": "team", "value": "red"}], description="One.")
    assert (made["name"], made["description"]) == ("ridge", "One.")
    assert made["tags"] == [{"key": "team", "value": "red"}]
    assert isinstance(made["creation_timestamp"], int)
    assert client.post("registered-models/create", name="ridge").error == "RESOURCE_ALREADY_EXISTS"
    client.ok("PATCH", "registered-models/update", name="ridge", description="Two.")
    client.ok("POST", "registered-models/set-tag", name="ridge", key="owner", value="Ada")
    client.ok("DELETE", "registered-models/delete-tag", name="ridge", key="team")
    renamed = client.ok("POST", "registered-models/rename", name="ridge", new_name="lasso")
    assert renamed["registered_model"]["name"] == "lasso"
    found = client.ok("GET", "registered-models/get", name="lasso")["registered_model"]
    assert (found["description"], found["tags"]) == ("Two.", [{"key": "owner", "value": "Ada"}])
    client.ok("DELETE", "registered-models/delete", name="lasso")
    answer = client.get("registered-models/get", name="lasso")
    assert (answer.status, answer.error) == (404, "RESOURCE_DOES_NOT_EXIST")


@pytest.mark.parametrize("name", ["", " ", "a/b", "a:b", ".", ".."])
def test_names_that_are_none(client: Client, name: str) -> None:
    assert client.post("registered-models/create", name=name).error == "INVALID_PARAMETER_VALUE"


def test_a_version_with_stages_tags_and_aliases(client: Client) -> None:
    a_model(client)
    made = a_version(client, tags=[{"key": "n", "value": "1"}], run_link="http://x/y")
    assert (made["version"], made["current_stage"], made["status"]) == ("1", "None", "READY")
    a_version(client)
    move = {"name": "ridge", "stage": "staging"}
    client.ok("POST", "model-versions/transition-stage", version="1", **move)
    moved = client.ok(
        "POST", "model-versions/transition-stage", version="2", archive_existing_versions=True, **move
    )
    assert moved["model_version"]["current_stage"] == "Staging"
    latest = client.ok("GET", "registered-models/get-latest-versions", name="ridge")["model_versions"]
    assert [(each["version"], each["current_stage"]) for each in latest] == [
        ("1", "Archived"),
        ("2", "Staging"),
    ]
    client.ok("POST", "registered-models/alias", name="ridge", alias="champion", version="1")
    found = client.ok("GET", "registered-models/alias", name="ridge", alias="champion")["model_version"]
    assert (found["version"], found["aliases"]) == ("1", ["champion"])
    model = client.ok("GET", "registered-models/get", name="ridge")["registered_model"]
    assert model["aliases"] == [{"alias": "champion", "version": "1"}]
    client.ok("DELETE", "model-versions/delete", name="ridge", version="1")
    gone = client.get("registered-models/alias", name="ridge", alias="champion")
    assert gone.error == "INVALID_PARAMETER_VALUE"
    assert client.get("model-versions/get", name="ridge", version="1").status == 404


@pytest.mark.parametrize("alias", ["", "v1", "V12", "latest", "Latest", "a b", "a/b", "x" * 256])
def test_aliases_that_are_none(client: Client, alias: str) -> None:
    a_model(client)
    a_version(client)
    answer = client.post("registered-models/alias", name="ridge", alias=alias, version="1")
    assert answer.error == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize(
    ("version", "error"),
    [
        ("one", "INVALID_PARAMETER_VALUE"),
        ("1.5", "INVALID_PARAMETER_VALUE"),
        ("9" * 5000, "INVALID_PARAMETER_VALUE"),
        ("0", "RESOURCE_DOES_NOT_EXIST"),
        ("-1", "RESOURCE_DOES_NOT_EXIST"),
        ("9" * 30, "RESOURCE_DOES_NOT_EXIST"),
    ],
)
def test_versions_that_are_none(client: Client, version: str, error: str) -> None:
    a_model(client)
    assert client.get("model-versions/get", name="ridge", version=version).error == error


def test_search_by_pages(client: Client) -> None:
    for name in ("a", "b", "c"):
        a_model(client, name)
        a_version(client, name)
    page = client.ok("GET", "registered-models/search", max_results=2, order_by=["name DESC"])
    assert [each["name"] for each in page["registered_models"]] == ["c", "b"]
    query = {"max_results": 2, "order_by": ["name DESC"], "page_token": page["next_page_token"]}
    page = client.ok("GET", "registered-models/search", **query)
    assert [each["name"] for each in page["registered_models"]] == ["a"]
    assert "next_page_token" not in page
    found = client.ok("GET", "model-versions/search", filter="name = 'b'")["model_versions"]
    assert [(each["name"], each["version"]) for each in found] == [("b", "1")]
    for path in ("registered-models/search", "model-versions/search"):
        assert client.get(path, max_results=0).error == "INVALID_PARAMETER_VALUE"
        assert client.get(path, filter="colour = 'red'").error == "INVALID_PARAMETER_VALUE"


def test_the_oldest_clients_list_models(client: Client) -> None:
    a_model(client)
    answer = client.ok("GET", "/api/2.0/preview/mlflow/registered-models/list")
    assert [each["name"] for each in answer["registered_models"]] == ["ridge"]


# --- where a version's files may be -------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "/etc",
        "etc",
        "file:///etc",
        "FILE:///etc",
        "file://localhost/etc",
        "s3://bucket/../x",
        "s3://bucket/%2e%2e/x",
        "s3://bucket/%252e%252e/x",
        "http://host/api/2.0/mlflow-artifacts/artifacts/x",
        "mlflow-artifacts:/x",
        "mlflow-artifacts://host/x",
        "models://host/ridge/1",
        "models:/ridge/1/2",
        "models:/",
        "models:/ridge/Moon",
        "runs:/0123/model",
        "http://[host/x",
        f"s3://bucket/%{'25' * 200_000}2e",  # to unquote it to its end would take days
        "\ud800",
        "",
    ],
)
def test_a_source_that_belongs_to_nobody_is_refused(client: Client, source: str) -> None:
    a_model(client)
    assert refused(client, source) == "INVALID_PARAMETER_VALUE"


def test_a_source_has_to_be_among_the_artifacts_of_its_run(client: Client) -> None:
    a_model(client)
    run, other = a_run(client), a_run(client)
    inside = run["artifact_uri"] + "/model"
    made = a_version(client, source=inside, run_id=run["run_id"])
    assert (made["source"], made["run_id"]) == (inside, run["run_id"])
    got = client.ok("GET", "model-versions/get-download-uri", name="ridge", version="1")
    assert got == {"artifact_uri": inside}
    refused(client, inside)
    refused(client, inside, run_id=other["run_id"])
    refused(client, inside, run_id="0" * 32)
    refused(client, run["artifact_uri"] + "-more/model", run_id=run["run_id"])
    refused(client, run["artifact_uri"] + "/../../x", run_id=run["run_id"])
    refused(client, f"runs:/{run['run_id']}/model", run_id=other["run_id"])
    by_run = a_version(client, source=f"runs:/{run['run_id']}/model", run_id=run["run_id"])
    assert by_run["version"] == "2"


def test_a_copy_of_a_version_leads_to_the_same_files(client: Client) -> None:
    run = a_run(client)
    a_model(client)
    a_model(client, "copy")
    source = run["artifact_uri"] + "/model"
    a_version(client, source=source, run_id=run["run_id"])
    client.ok("POST", "registered-models/alias", name="ridge", alias="best", version="1")
    for given in ("models:/ridge/1", "models:/ridge/latest", "models:/ridge/None", "models:/ridge@best"):
        made = a_version(client, "copy", source=given)
        assert (made["source"], made["run_id"]) == ("models:/ridge/1", run["run_id"])
        got = client.ok("GET", "model-versions/get-download-uri", name="copy", version=made["version"])
        assert got["artifact_uri"] == source
    answer = client.post("model-versions/create", name="copy", source="models:/ridge/7")
    assert answer.error == "RESOURCE_DOES_NOT_EXIST"
    other = client.post("model-versions/create", name="copy", source="models:/ridge/1", run_id="other")
    assert other.error == "INVALID_PARAMETER_VALUE"


def test_a_logged_model_becomes_a_version_and_knows_it(client: Client) -> None:
    a_model(client)
    run = a_run(client)
    logged = client.ok("POST", "logged-models", experiment_id="0", name="m", source_run_id=run["run_id"])
    model_id = logged["model"]["info"]["model_id"]
    refused(client, f"models:/{model_id}")
    refused(client, f"models:/{model_id}", model_id="m-" + "0" * 32)
    made = a_version(client, source=f"models:/{model_id}", model_id=model_id)
    assert (made["model_id"], made["run_id"]) == (model_id, run["run_id"])
    got = client.ok("GET", "model-versions/get-download-uri", name="ridge", version="1")
    assert got["artifact_uri"] == logged["model"]["info"]["artifact_uri"]
    info = client.ok("GET", f"logged-models/{model_id}")["model"]["info"]
    assert info["tags"] == [{"key": "mlflow.modelVersions", "value": '[{"name": "ridge", "version": 1}]'}]


def test_a_prompt_is_a_version_without_files(client: Client) -> None:
    tag = {"key": "mlflow.prompt.is_prompt", "value": "true"}
    a_model(client, tags=[tag])
    assert a_version(client, source="dummy-source", tags=[tag])["source"] == "dummy-source"
    answer = client.post("model-versions/create", name="ridge", source="file:///etc", tags=[tag])
    assert answer.error == "INVALID_PARAMETER_VALUE"
    assert client.ok("GET", "registered-models/search")["registered_models"] == []


def test_a_file_of_a_version(client: Client, tracking: Tracking) -> None:
    a_model(client)
    run = a_run(client)
    tracking.artifacts.write(tracking.runs.run(run["run_id"]).artifact_uri, "model/MLmodel", b"flavors: {}")
    a_version(client, source=run["artifact_uri"] + "/model", run_id=run["run_id"])
    place = {"name": "ridge", "version": "1"}
    answer = client.get("/model-versions/get-artifact", path="MLmodel", **place)
    assert (answer.status, answer.content) == (200, b"flavors: {}")
    assert client.get("/model-versions/get-artifact", path="nothing", **place).status == 404
    assert client.get("/model-versions/get-artifact", path="../../x", **place).status == 400
    assert client.get("/model-versions/get-artifact", **place).error == "INVALID_PARAMETER_VALUE"


def test_where_artifacts_are_handed_on_sources_are_kept_as_the_store_has_them(
    tracking: Tracking, tmp_path: Path
) -> None:
    """So that the same records can be served in either way."""
    base = (tmp_path / "home" / "artifacts").as_uri()
    with serving(tracking, site=Site(artifact_base=base, proxied=True)) as client:
        run = a_run(client)
        assert run["artifact_uri"].startswith("mlflow-artifacts:/")
        a_model(client)
        source = run["artifact_uri"] + "/model"
        made = a_version(client, source=source, run_id=run["run_id"])
        assert made["source"] == source
        got = client.ok("GET", "model-versions/get-download-uri", name="ridge", version="1")
        assert got["artifact_uri"] == source
        refused(client, source)
        refused(client, f"{base}/elsewhere", run_id=run["run_id"])
    stored = tracking.registry.version("ridge", 1)
    assert stored.source == tracking.runs.run(run["run_id"]).artifact_uri + "/model"
