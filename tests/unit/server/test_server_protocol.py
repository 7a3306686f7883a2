from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from httpkit import Client


def test_somebody_is_there(client: Client) -> None:
    assert client.send("GET", "/health").content == b"OK"
    assert client.send("GET", "/version").content.startswith(b"3.")
    assert client.ok("GET", "/api/3.0/mlflow/server-info")["store_type"]


@pytest.mark.parametrize("prefix", ["/api/2.0", "/ajax-api/2.0", "/api/3.0", "/api/2.0/preview"])
def test_all_prefixes_lead_to_the_same(client: Client, prefix: str) -> None:
    assert client.ok("GET", f"{prefix}/mlflow/experiments/get", experiment_id="0")["experiment"]


def test_a_path_that_is_none(client: Client) -> None:
    for path in ("/", "/api/2.0/mlflow/runs/explode", "/api/2.0/mlflow/runs/get/", "/favicon.ico"):
        answer = client.send("GET", path)
        assert (answer.status, answer.error) == (404, "ENDPOINT_NOT_FOUND")


def test_a_method_that_is_none(client: Client) -> None:
    answer = client.send("DELETE", "runs/create")
    assert (answer.status, answer.error) == (405, "ENDPOINT_NOT_FOUND")
    assert answer.headers["allow"] == "POST"
    answer = client.send("PUT", "logged-models/m-1")
    assert (answer.status, answer.headers["allow"]) == (405, "DELETE, GET, PATCH")


@pytest.mark.parametrize(
    "path", ["traces", "traces/tr-1/info", "webhooks", "gateway/secrets/list", "scorers/list"]
)
def test_what_is_not_supported_says_so_by_name(client: Client, path: str) -> None:
    answer = client.send("GET", path)
    assert (answer.status, answer.error) == (404, "NOT_IMPLEMENTED")
    assert "not supported" in answer.json["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b"[1]",
        b"7",
        b'"text"',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"tags": {"key": 1}}',
        b'{"tags": ["x"]}',
        b'{"start_time": "soon"}',
        b'{"start_time": 1e400}',
        b'{"experiment_id": {"a": 1}}',
    ],
)
def test_a_body_that_cannot_be_read_is_refused(client: Client, body: bytes) -> None:
    answer = client.send("POST", "runs/create", body)
    assert answer.status == 400
    assert answer.error in ("BAD_REQUEST", "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'{"run_name": null}', b'"{}"', b'{"unknown": [1]}'])
def test_a_body_that_protobuf_reads_is_read(client: Client, body: bytes) -> None:
    assert client.send("POST", "runs/create", body).status == 200


def test_a_body_that_is_too_large_is_refused(client: Client) -> None:
    body = json.dumps({"run_name": "x" * (33 << 20)})
    assert client.send("POST", "runs/create", body).status == 413


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_what_a_page_in_a_browser_could_send_is_refused(client: Client, kind: str) -> None:
    made = client.ok("POST", "experiments/create", name="wine")["experiment_id"]
    body = json.dumps({"experiment_id": made})
    for path, content in (
        ("experiments/delete", body),
        (f"experiments/delete?experiment_id={made}", ""),
    ):
        answer = client.send("POST", path, content, {"Content-Type": kind})
        assert (answer.status, answer.error) == (400, "BAD_REQUEST")
    answer = client.send("POST", f"experiments/delete?experiment_id={made}")
    assert answer.error == "INVALID_PARAMETER_VALUE"


def test_a_missing_parameter_is_named(client: Client) -> None:
    message = client.post("experiments/create").json["message"]
    assert message.startswith("Missing value for required parameter 'name'.")
    message = client.get("runs/get").json["message"]
    assert message.startswith("Missing value for required parameter 'run_id'.")


def test_bytes_that_are_no_text_do_no_harm(client: Client) -> None:
    assert client.send("GET", "experiments/get-by-name?experiment_name=%ff%fe").status == 400
    assert client.send("GET", "experiments/get-by-name?experiment_name=%00").status == 404
    assert client.send("GET", "/%ff%fe").status == 404


def test_surrogates_are_kept_as_escapes(client: Client) -> None:
    body = '{"tags": [{"key": "k", "value": "\\ud800"}]}'
    assert client.send("POST", "runs/create", body).status in (200, 400)
