"""What a server's answers mean, whatever they are."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest

from faultykit import faulty, reply
from proj.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    ProjError,
    StoreError,
    UnreachableError,
    UsageError,
)
from proj.remote.client import Client, NoTrackingServerError, UnknownCallError
from proj.remote.credentials import Credentials
from proj.remote.http import QUICK, HttpTransport
from proj.remote.store import check, open_remote
from proj.wire.codec import Empty, encode_query, encode_request
from proj.wire.entities import KeyValue, MetricIn, OfRun
from proj.wire.registry import DescribeVersion
from proj.wire.runs import LogBatch, RunAnswer, SearchRuns

if TYPE_CHECKING:
    from faultykit import Step

LOGIN = reply(body=b"<!doctype html><title>Sign in</title>", content_type="text/html; charset=utf-8")


def refuse(status: int, code: str, message: str = "because") -> Step:
    return reply(status, json.dumps({"error_code": code, "message": message}).encode())


def asked(step: Step, kind: type[Any] = Empty, credentials: Credentials | None = None) -> Any:
    """The answer of a server that says this."""
    with faulty(step) as server:
        transport = HttpTransport(server.url, credentials=credentials or Credentials(), patience=QUICK)
        try:
            return Client(transport, server.url).get("runs/get", OfRun(run_id="1"), kind)
        finally:
            transport.close()


@pytest.mark.parametrize(
    ("step", "kind", "words"),
    [
        (refuse(404, "RESOURCE_DOES_NOT_EXIST"), NotFoundError, "because"),
        (refuse(400, "RESOURCE_ALREADY_EXISTS"), AlreadyExistsError, "because"),
        (refuse(500, "INVALID_STATE"), ConflictError, "because"),
        (refuse(409, "RESOURCE_CONFLICT"), ConflictError, "because"),
        (refuse(400, "INVALID_PARAMETER_VALUE"), UsageError, "because"),
        (refuse(400, "BAD_REQUEST"), UsageError, "because"),
        (refuse(500, "INTERNAL_ERROR"), StoreError, "because"),
        (refuse(500, "INTERNAL_ERROR", "x" * 9000), StoreError, "x …"),
        (refuse(400, "SOMETHING_NEW", ""), StoreError, "SOMETHING_NEW"),
        (refuse(501, "NOT_IMPLEMENTED"), UnknownCallError, "because"),
        (refuse(404, "ENDPOINT_NOT_FOUND"), UnknownCallError, "because"),
        (reply(404, b"<h1>Not Found</h1>"), NoTrackingServerError, "no tracking server"),
        (reply(405, b""), NoTrackingServerError, "no tracking server"),
        (reply(401, b"who are you?"), StoreError, "PROJ_TRACKING_TOKEN"),
        (refuse(401, "UNAUTHENTICATED"), StoreError, "PROJ_TRACKING_TOKEN"),
        (reply(403, b"Permission denied"), StoreError, "does not allow"),
        (reply(407, b""), StoreError, "credentials"),
        (reply(409, b""), ConflictError, "contradicts"),
        (reply(413, b"<html>"), StoreError, "more than it takes"),
        (reply(418, b"teapot", content_type="text/plain"), StoreError, "text/plain"),
        (reply(400, b"[]"), StoreError, "status 400"),
        (reply(500, b"\xff\xfe"), StoreError, "does not say why"),
        (reply(503, b""), UnreachableError, "503"),
        (LOGIN, StoreError, "a web page"),
        (reply(204, b""), StoreError, "status 204"),
        (reply(body=b'{"run": '), StoreError, "no tracking server"),
        (reply(body=b"[1, 2]"), StoreError, "no tracking server"),
        (reply(body=b"{}"), StoreError, "no tracking server"),
        (reply(body=b'{"run": {"info": {"status": 7}}}'), StoreError, "no tracking server"),
        (
            reply(body=b'{"run": {"info": {"status": "ODD", "experiment_id": "1"}}}'),
            StoreError,
            "no tracking",
        ),
    ],
)
def test_an_answer_that_is_none(step: Step, kind: type[ProjError], words: str) -> None:
    with pytest.raises(ProjError) as caught:
        asked(step, RunAnswer)
    assert type(caught.value) is kind or (kind is UnreachableError and isinstance(caught.value, kind))
    assert words in f"{caught.value.message} {caught.value.hint}"
    assert len(caught.value.message) < 600


@pytest.mark.parametrize(
    "info",
    [
        {"run_id": "a", "experiment_id": "1", "status": "FINISHED", "start_time": "5", "end_time": "9"},
        {"run_uuid": "a", "experiment_id": "1", "status": "FINISHED", "start_time": 5, "end_time": 9},
    ],
)
def test_a_run_of_which_little_is_said(info: dict[str, object]) -> None:
    metrics = [
        {"key": "m", "value": value, "timestamp": "3", "step": "2"} for value in ("NaN", "Infinity", 1)
    ]
    body = json.dumps({"run": {"info": info, "data": {"metrics": metrics}, "more": 1}}).encode()
    run = asked(reply(body=body), RunAnswer).run.to_model()
    assert (run.run_id, run.started_ms, run.ended_ms, run.run_name) == ("a", 5, 9, "")
    assert run.metrics["m"].value == 1.0
    assert run.metrics["m"].step == 2


def test_bare_nan_is_read() -> None:
    info = '{"run_id": "a", "experiment_id": "1", "status": "RUNNING", "end_time": 0}'
    metric = '{"key": "m", "value": NaN, "timestamp": 1}'
    body = f'{{"run": {{"info": {info}, "data": {{"metrics": [{metric}]}}}}}}'
    run = asked(reply(body=body.encode()), RunAnswer).run.to_model()
    assert math.isnan(run.metrics["m"].value)
    assert run.ended_ms is None


def test_what_says_nothing_is_not_sent() -> None:
    metrics = (
        MetricIn(key="m", value=float("inf"), timestamp=1),
        MetricIn(key="n", value=0.0, timestamp=0, model_id="x"),
    )
    batch = LogBatch(run_id="a", metrics=metrics, params=(KeyValue(key="p"),))
    assert json.loads(encode_request(batch)) == {
        "run_id": "a",
        "metrics": [
            {"key": "m", "value": "Infinity", "timestamp": 1, "step": 0},
            {"key": "n", "value": 0.0, "timestamp": 0, "step": 0, "model_id": "x"},
        ],
        "params": [{"key": "p"}],
    }
    cleared = DescribeVersion(name="m", version="1", description="")
    assert json.loads(encode_request(cleared))["description"] == "", (
        "it is not what is sent when none is given"
    )


def test_lists_are_repeated_in_a_query() -> None:
    asked_for = SearchRuns(experiment_ids=("1", "2"), max_results=5)
    assert encode_query(asked_for) == (("experiment_ids", "1"), ("experiment_ids", "2"), ("max_results", "5"))


def test_a_check_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with faulty(reply(body=b'{"experiments": []}')) as server:
        check(server.url)
    for step in (LOGIN, reply(401), reply(404, b"nothing"), refuse(400, "BAD_REQUEST")):
        with faulty(step) as server, pytest.raises(StoreError):
            check(server.url)
    with pytest.raises(UnreachableError):
        check(server.url)


def test_opening_asks_nothing_and_closing_twice_is_no_error() -> None:
    with faulty(reply()) as server:
        tracking = open_remote(server.url.replace("://", "://ada:secret@"))
        assert tracking.uri == server.url
        tracking.close()
        tracking.close()
    assert server.heard == []


@pytest.mark.parametrize(
    ("credentials", "variables", "words"),
    [
        (Credentials(), {}, "wants credentials."),
        (
            Credentials(),
            {"PROJ_TRACKING_USERNAME": "ada"},
            "wants credentials, and PROJ_TRACKING_USERNAME is set without PROJ_TRACKING_PASSWORD.",
        ),
        (
            Credentials(authorization="Bearer x", origin="MLFLOW_TRACKING_TOKEN"),
            {},
            "does not take the credentials in MLFLOW_TRACKING_TOKEN.",
        ),
    ],
)
def test_why_nobody_is_let_in(
    credentials: Credentials, variables: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError) as caught:
        asked(refuse(401, "UNAUTHENTICATED", "Set MLFLOW_TRACKING_TOKEN."), credentials=credentials)
    assert caught.value.message.endswith(words)
    assert "MLFLOW_TRACKING_TOKEN." not in words or caught.value.message.count("MLFLOW_TRACKING_TOKEN") == 1


@pytest.mark.parametrize(
    "step", [reply(404, b"nothing"), reply(405), reply(501, b"<h1>Unsupported method ('POST')</h1>")]
)
def test_what_is_no_tracking_server_is_the_same_error_for_every_command(step: Step) -> None:
    with faulty(step) as server, pytest.raises(ProjError, match="is no tracking server") as first:
        check(server.url, transport=HttpTransport(server.url, credentials=Credentials(), patience=QUICK))
    with pytest.raises(ProjError, match="is no tracking server") as later:
        asked(step)
    for caught in (first, later):
        assert (caught.value.code, caught.value.exit_code) == ("store_failed", 125)
