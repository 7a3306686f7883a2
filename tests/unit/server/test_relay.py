"""The endpoint of a run that is recorded on a server: what it hands on, and what it looks into."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import threading
import urllib.parse
from typing import TYPE_CHECKING, Any

import pytest

from httpkit import Client, serving
from proj import events, paths
from proj.model import NewRun, Outcome, RunStatus
from proj.remote.delivery import deliver
from proj.remote.http import HttpTransport, Patience
from proj.remote.journal import Journal
from proj.remote.journaled import JournalTransport
from proj.remote.store import open_remote
from proj.remote.transport import Answer as RemoteAnswer
from proj.remote.transport import UncertainError
from proj.server.endpoint import Endpoint, EndpointSettings
from proj.server.routes import Site
from proj.tracking.store import RunQuery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.remote.transport import Request, Transport
    from proj.tracking import Tracking

HASTY = Patience(connect_s=60.0, read_s=60.0, retries=0)
FAILED = Outcome(status=RunStatus.FAILED, exit_code=3, started_ms=1, ended_ms=9)
OWN = "a" * 32


# --- a server that tells what reached it ----------------------------------------------------------------


class _Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length)
        told = {
            "method": self.command,
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "size": len(content),
            "body": content[:200].decode("latin-1"),
        }
        body = json.dumps(told).encode()
        if "/large" in self.path:
            body = b"x" * 5_000_000
        self.send_response(207 if "/odd" in self.path else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Answer", "kept")
        self.send_header("Set-Cookie", "canary=1")
        self.send_header("Keep-Alive", "timeout=99")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_PROPFIND = _answer  # noqa: N815  http.server's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server's names
        pass


@pytest.fixture
def echo() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@contextlib.contextmanager
def relay_to(url: str, settings: EndpointSettings) -> Iterator[tuple[Client, JournalTransport, Endpoint]]:
    journal = Journal(paths.home())
    way = HttpTransport(url, patience=HASTY)
    transport = JournalTransport(way, journal, place=url, run_id=settings.run_id)
    try:
        records = open_remote(url, transport=transport.insisting())
        with Endpoint(records, settings, transport) as endpoint:
            token = endpoint.variables["MLFLOW_TRACKING_TOKEN"]
            address = endpoint.variables["MLFLOW_TRACKING_URI"]
            yield Client(address, {"Authorization": f"Bearer {token}"}), transport, endpoint
    finally:
        way.close()
        journal.close()


@pytest.fixture
def echoing(echo: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "of-the-user")
    with relay_to(f"{echo}/below", EndpointSettings(run_id=OWN, experiment_id="0")) as found:
        yield found[0]


def test_every_path_and_method_is_handed_on(echoing: Client) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
        told = echoing.send(method, "/api/3.0/mlflow/traces/a%2Fb%20c?x=1&x=2&e=", b"{}").json
        assert told["method"] == method
        assert told["path"] == "/below/api/3.0/mlflow/traces/a%2Fb%20c?x=1&x=2&e="
    answer = echoing.send("GET", "/odd")
    assert (answer.status, answer.headers["x-answer"]) == (207, "kept")
    head = echoing.send("HEAD", "/large")
    assert (head.status, head.headers["content-length"], head.content) == (200, "5000000", b"")


def test_the_users_credentials_replace_the_runs_token(echoing: Client) -> None:
    given = {"Cookie": "a=1", "X-Forwarded-For": "1.2.3.4", "X-MLflow-Workspace": "w", "TE": "trailers"}
    answer = echoing.send("POST", "/api/x", b"{}", {**given, "Content-Type": "text/plain"})
    headers = answer.json["headers"]
    assert headers["authorization"] == "Bearer of-the-user"
    assert headers["x-mlflow-workspace"] == "w"
    assert headers["content-type"] == "text/plain"
    assert not headers.keys() & {"cookie", "x-forwarded-for", "te"}
    assert not answer.headers.keys() & {"set-cookie", "keep-alive"}


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Bearer of-the-user", "Basic eA=="])
def test_without_the_runs_token_nothing_is_handed_on(echoing: Client, authorization: str | None) -> None:
    stranger = Client(echoing.url, {"Authorization": authorization} if authorization else {})
    answer = stranger.send("GET", "/api/x")
    assert (answer.status, answer.error) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    "path", ["/../admin", "/a/%2e%2E/admin", "/a/./b", "/a/..%2Fadmin", "/a%5C..%5Cb", "http://evil/x", "*"]
)
def test_paths_that_lead_elsewhere_are_refused(echoing: Client, path: str) -> None:
    parsed = urllib.parse.urlsplit(echoing.url)
    connection = http.client.HTTPConnection(parsed.hostname or "", parsed.port, timeout=30)
    with contextlib.closing(connection):
        connection.putrequest("GET", path, skip_host=False)
        connection.putheader("Authorization", echoing._headers["Authorization"])
        connection.endheaders()
        assert connection.getresponse().status == 400


def test_large_bodies_go_through_both_ways(echoing: Client) -> None:
    place = "/api/2.0/mlflow-artifacts/artifacts/1/a/artifacts/model.bin"
    assert echoing.send("PUT", place, b"w" * 5_000_000).json["size"] == 5_000_000
    assert echoing.send("POST", "/api/x", b"w" * 3_000_000).json["size"] == 3_000_000
    assert len(echoing.send("GET", "/large").content) == 5_000_000
    assert list((paths.journal(paths.home()) / "spool").iterdir()) == []


# --- a server that keeps records ------------------------------------------------------------------------


class Program:
    """The program of a run on a server, and what stands between them."""

    def __init__(self, client: Client, transport: JournalTransport, endpoint: Endpoint) -> None:
        self.client = client
        self.transport = transport
        self.endpoint = endpoint

    def leave(self) -> None:
        """Let the server be away from now on."""
        self.transport.transport = HttpTransport("http://127.0.0.1:9", patience=HASTY)


@pytest.fixture
def own(tracking: Tracking) -> str:
    new = NewRun(experiment_id="0", run_name="own", started_ms=1, status=RunStatus.RUNNING)
    run_id = tracking.runs.create_run(new).run_id
    tracking.runs.log(run_id, params={"alpha": "050", "data": "x.csv"})
    return run_id


@pytest.fixture
def program(tracking: Tracking, own: str) -> Iterator[Program]:
    settings = EndpointSettings(
        run_id=own,
        experiment_id="0",
        values={"data": "/here/x.csv"},
        recorded={"alpha": "050", "data": "x.csv"},
    )
    artifacts = (paths.home() / "proxied").as_uri()
    with (
        serving(tracking, site=Site(artifact_base=artifacts, proxied=True)) as server,
        relay_to(server.url, settings) as found,
    ):
        yield Program(*found)


def status_of(tracking: Tracking, run_id: str) -> str:
    return tracking.runs.run(run_id).status.value


def shown(program: Program, run_id: str) -> Any:
    return program.client.ok("GET", "runs/get", run_id=run_id)["run"]["info"]


def test_the_own_run_is_closed_by_proj_and_looks_closed_to_its_program(
    tracking: Tracking, program: Program, own: str
) -> None:
    told = program.client.ok("POST", "runs/update", run_id=own, status="FINISHED", end_time=7)["run_info"]
    assert (told["status"], told["end_time"], told["run_id"]) == ("FINISHED", 7, own)
    assert shown(program, own)["status"] == "FINISHED"
    assert status_of(tracking, own) == "RUNNING"
    program.client.ok("POST", "runs/update", run_uuid=own, status="RUNNING", run_name="renamed")
    assert shown(program, own)["status"] == "RUNNING"
    assert tracking.runs.run(own).run_name == "renamed"


def test_what_the_program_left_open_is_closed_with_it(tracking: Tracking, program: Program, own: str) -> None:
    made = [program.client.ok("POST", "runs/create", experiment_id="0")["run"]["info"] for _ in range(3)]
    ended, left, gone = (run["run_id"] for run in made)
    program.client.ok("POST", "runs/update", run_id=ended, status="FINISHED", end_time=5)
    assert tracking.runs.run(left).tags["proj.owner"] == own
    assert program.endpoint.settle(FAILED) == FAILED
    assert [status_of(tracking, run_id) for run_id in (ended, left, gone)] == ["FINISHED", "FAILED", "FAILED"]
    assert tracking.runs.run(left).ended_ms == 9


def test_a_script_that_sets_an_experiment_goes_on(tracking: Tracking, program: Program, own: str) -> None:
    made = program.client.ok("POST", "experiments/create", name="X")["experiment_id"]
    assert shown(program, own)["experiment_id"] == made
    program.client.ok("GET", "experiments/get-by-name", experiment_name="Default")
    assert shown(program, own)["experiment_id"] == "0"
    assert tracking.runs.run(own).experiment_id == "0"


def test_a_parameter_may_be_logged_again_in_other_writing(
    tracking: Tracking, program: Program, own: str
) -> None:
    program.client.ok("POST", "runs/log-parameter", run_id=own, key="alpha", value="50")
    params = [{"key": "data", "value": "/here/x.csv"}, {"key": "beta", "value": "1"}]
    program.client.ok("POST", "runs/log-batch", run_id=own, params=params)
    assert tracking.runs.run(own).params == {"alpha": "050", "data": "x.csv", "beta": "1"}
    refused = program.client.post("runs/log-parameter", run_id=own, key="alpha", value="51")
    assert (refused.status, refused.error) == (400, "INVALID_PARAMETER_VALUE")


def test_the_own_run_is_not_deleted(program: Program, own: str) -> None:
    assert program.client.post("runs/delete", run_id=own).error == "PERMISSION_DENIED"
    other = program.client.ok("POST", "runs/create", experiment_id="0")["run"]["info"]["run_id"]
    program.client.ok("POST", "runs/delete", run_id=other)


def test_without_the_server_writes_are_done_and_the_rest_is_told_to_come_back(
    tracking: Tracking, program: Program, own: str
) -> None:
    uri = urllib.parse.urlsplit(shown(program, own)["artifact_uri"]).path
    upload = f"/api/2.0/mlflow-artifacts/artifacts{uri}/model.bin"
    there = program.transport.transport
    program.leave()
    for step in range(3):
        program.client.ok(
            "POST", "runs/log-metric", run_id=own, key="loss", value=step, timestamp=1, step=step
        )
    program.client.ok("POST", "runs/set-tag", run_id=own, key="k", value="v")
    assert program.client.send("PUT", upload, b"w" * 3_000_000).status == 200
    for answer in (
        program.client.get("experiments/get", experiment_id="0"),
        program.client.post("runs/create", experiment_id="0"),
        program.client.send("GET", upload),
    ):
        assert (answer.status, answer.error) == (503, "TEMPORARILY_UNAVAILABLE")
    assert shown(program, own)["run_id"] == own
    told = program.client.ok("POST", "runs/update", run_id=own, status="FINISHED", end_time=7)
    assert told["run_info"]["status"] == "FINISHED"
    assert tracking.runs.metric_history(own, "loss") == ()
    place, journal = program.transport.place, program.transport.journal
    done = deliver(journal, there, place=place, run_id=own)
    assert (done.delivered, done.refused, done.waiting) == (5, 0, 0)
    assert [point.step for point in tracking.runs.metric_history(own, "loss")] == [0, 1, 2]
    with tracking.artifacts.open((paths.home() / "proxied").as_uri() + uri, "model.bin") as file:
        assert len(file.read()) == 3_000_000
    assert status_of(tracking, own) == "RUNNING"


def test_what_was_left_open_is_closed_even_without_the_server(
    tracking: Tracking, program: Program, own: str
) -> None:
    left = program.client.ok("POST", "runs/create", experiment_id="0")["run"]["info"]["run_id"]
    there = program.transport.transport
    program.leave()
    program.endpoint.settle(FAILED)
    deliver(program.transport.journal, there, place=program.transport.place, run_id=own)
    assert status_of(tracking, left) == "FAILED"


class Failing:
    """A way to the server on which some requests fail, once."""

    def __init__(self, there: Transport, part: str, answer: RemoteAnswer | None) -> None:
        self._there = there
        self._part = part
        self._answer = answer
        self.failed = False

    def send(self, request: Request) -> RemoteAnswer:
        if self._part in request.path and not self.failed:
            self.failed = True
            if self._answer is not None:
                return self._answer
            self._there.send(request)
            raise UncertainError("The answer was lost.")
        return self._there.send(request)

    def open(self, request: Request) -> Any:
        return self._there.open(request)

    def close(self) -> None:
        pass


def failing(program: Program, part: str, status: int | None) -> None:
    body = b'{"error_code": "INTERNAL_ERROR", "message": "database is locked"}'
    answer = None if status is None else RemoteAnswer(status=status, headers={}, body=body)
    program.transport.transport = Failing(program.transport.transport, part, answer)


def test_a_run_that_the_server_did_not_close_is_closed_at_the_end(
    tracking: Tracking, program: Program
) -> None:
    made = program.client.ok("POST", "runs/create", experiment_id="0")["run"]["info"]["run_id"]
    failing(program, "runs/update", 500)
    assert program.client.post("runs/update", run_id=made, status="FINISHED").status == 500
    program.endpoint.settle(FAILED)
    assert status_of(tracking, made) == "FAILED"


def test_an_end_that_the_server_fails_at_waits(tracking: Tracking, program: Program, own: str) -> None:
    made = program.client.ok("POST", "runs/create", experiment_id="0")["run"]["info"]["run_id"]
    failing(program, "runs/update", 500)
    there = program.transport.transport
    program.endpoint.settle(FAILED)
    assert status_of(tracking, made) == "RUNNING"
    deliver(program.transport.journal, there, place=program.transport.place, run_id=own)
    assert status_of(tracking, made) == "FAILED"


def test_an_end_that_the_server_refuses_is_told(program: Program) -> None:
    program.client.ok("POST", "runs/create", experiment_id="0")
    failing(program, "runs/update", 400)
    told: list[str] = []
    with events.listening(lambda event: told.append(event.message)):
        assert program.endpoint.settle(FAILED) == FAILED
    assert [message for message in told if "stays open: database is locked" in message]


def test_a_run_whose_making_had_no_answer_is_closed_too(tracking: Tracking, program: Program) -> None:
    failing(program, "runs/create", None)
    assert program.client.post("runs/create", experiment_id="0").status == 503
    second = program.client.ok("POST", "runs/create", experiment_id="0")["run"]["info"]["run_id"]
    program.endpoint.settle(FAILED)
    found = tracking.runs.search_runs(RunQuery(filter="tags.`proj.owner` != ''")).runs
    assert len(found) == 2
    assert second in {run.run_id for run in found}
    assert {run.status.value for run in found} == {"FAILED"}


def test_a_run_whose_making_had_no_answer_is_told_of_where_it_cannot_be_looked_for(program: Program) -> None:
    failing(program, "runs/create", None)
    program.client.post("runs/create", experiment_id="0")
    program.leave()
    told: list[str] = []
    with events.listening(lambda event: told.append(event.message)):
        assert program.endpoint.settle(FAILED) == FAILED
    assert [message for message in told if "may stay open" in message]


def test_the_own_run_is_not_closed_by_a_path_in_other_writing(
    tracking: Tracking, program: Program, own: str
) -> None:
    body = json.dumps({"run_id": own, "status": "FINISHED"}).encode()
    assert program.client.send("POST", "/api/2.0/mlflow/runs/%75pdate", body).status == 200
    assert status_of(tracking, own) == "RUNNING"


def test_bare_numbers_that_are_none_reach_the_server_as_words(echoing: Client) -> None:
    point = b'{"run_id": "x", "key": "a", "value": NaN, "timestamp": 1}'
    sent = echoing.send("POST", "/api/2.0/mlflow/runs/log-metric", point).json["body"]
    assert json.loads(sent) == {"run_id": "x", "key": "a", "value": "NaN", "timestamp": 1}
    batch = (
        b'{"run_id": "x", "metrics": [{"key": "a", "value": -Infinity}, {"key": "b", "value": Infinity}, '
        b'{"key": "NaN", "value": 1.5}], "tags": [{"key": "t", "value": "v"}]}'
    )
    sent = json.loads(echoing.send("POST", "/api/2.0/mlflow/runs/log-batch", batch).json["body"])
    assert [point["value"] for point in sent["metrics"]] == ["-Infinity", "Infinity", 1.5]
    assert sent["tags"] == [{"key": "t", "value": "v"}]


@pytest.mark.parametrize(
    "body", [b"[]", b"{", b'"x"', b'{"run_id": 7, "params": 3}', b"\xff", b"[" * 100_000]
)
@pytest.mark.parametrize("path", ["runs/update", "runs/log-batch", "runs/create", "runs/log-parameter"])
def test_the_server_says_what_is_wrong_with_odd_bodies(program: Program, path: str, body: bytes) -> None:
    assert program.client.send("POST", path, body).status in (200, 400, 404)
