"""Answers that are none of a tracking server, and refusals of what is there already."""

from __future__ import annotations

import contextlib
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from faultykit import faulty, reply
from proj import paths
from proj.errors import UnreachableError
from proj.recording.uploads import Uploads
from proj.remote.delivery import deliver
from proj.remote.http import HttpTransport, Patience
from proj.remote.journal import Journal
from proj.remote.journaled import JournalTransport
from proj.remote.latest import Latest
from proj.remote.store import open_remote
from proj.remote.transport import Answer, Request
from proj.remote.verdicts import Verdict, verdict

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faultykit import FaultyServer, Step

RUN = "a" * 32
API = "/api/2.0/mlflow/"
UPLOAD = "/api/2.0/mlflow-artifacts/artifacts/1/a/artifacts/model.bin"
HASTY = Patience(connect_s=60.0, read_s=60.0, retries=0)
SIGN_IN = reply(200, b"<html>Sign in</html>", content_type="text/html")
NO_PAGE = reply(404, b"<html>Not Found</html>", content_type="text/html")
AWAY = {
    "a page to log in": SIGN_IN,
    "a way to log in": reply(302, b"", location="https://login.example.org/"),
    "a token that has expired": reply(401, b"expired", content_type="text/plain"),
    "a page of a proxy": NO_PAGE,
}


def refused(status: int = 400, code: str = "INVALID_PARAMETER_VALUE") -> Step:
    return reply(status, json.dumps({"error_code": code, "message": "in its words"}).encode())


def post(what: str, **content: object) -> Request:
    body = json.dumps({"run_id": RUN, **content}).encode()
    return Request(method="POST", path=f"{API}runs/{what}", body=body)


TAG = post("set-tag", key="k", value="v")


@pytest.fixture
def journal() -> Iterator[Journal]:
    opened = Journal(paths.home())
    yield opened
    opened.close()


@contextlib.contextmanager
def way_to(*steps: Step) -> Iterator[tuple[FaultyServer, HttpTransport]]:
    with faulty(*steps) as server, contextlib.closing(HttpTransport(server.url, patience=HASTY)) as way:
        yield server, way


@pytest.mark.parametrize("step", AWAY.values(), ids=AWAY)
@pytest.mark.parametrize("request_", [TAG, Request(method="PUT", path=UPLOAD, body=b"w")])
def test_what_is_no_answer_of_a_tracking_server_lets_writes_wait(
    step: Step, request_: Request, journal: Journal
) -> None:
    with way_to(step) as (server, way):
        transport = JournalTransport(way, journal, place=server.url, run_id=RUN)
        assert transport.send(request_).status == 200
        assert journal.waits(server.url, RUN) == 1
        assert journal.failed_ms(server.url) is not None
        done = deliver(journal, way, place=server.url, run_id=RUN)
    assert (done.delivered, done.refused, done.waiting) == (0, 0, 1)
    assert done.problem is not None


@pytest.mark.parametrize("body", [b"", b"{}", b'{"a": [1]}'])
def test_a_success_is_empty_or_an_object(body: bytes) -> None:
    assert verdict(Answer(status=200, headers={}, body=body)) is Verdict.TAKEN


@pytest.mark.parametrize("body", [b"[]", b"ok", b"{", b"\xff", b"[" * 100_000])
def test_anything_else_is_no_success(body: bytes) -> None:
    assert verdict(Answer(status=200, headers={}, body=body)) is Verdict.STRANGE


def test_a_call_that_an_old_server_does_not_know_is_refused_and_holds_nothing_up(journal: Journal) -> None:
    run = reply(200, b'{"run": {}}')
    with way_to(NO_PAGE, run, reply()) as (server, way):
        journal.add(server.url, RUN, post("outputs"))
        journal.add(server.url, RUN, TAG)
        done = deliver(journal, way, place=server.url, run_id=RUN)
    assert (done.delivered, done.refused, done.waiting) == (1, 1, 0)


def test_too_large_is_refused_by_a_proxy_too(journal: Journal) -> None:
    with way_to(reply(413, b"<html>", content_type="text/html")) as (server, way):
        journal.add(server.url, RUN, TAG)
        assert deliver(journal, way, place=server.url, run_id=RUN).refused == 1


def test_what_the_server_forbids_in_its_words_is_told(journal: Journal) -> None:
    with way_to(refused(403, "PERMISSION_DENIED")) as (server, way):
        transport = JournalTransport(way, journal, place=server.url, run_id=RUN)
        assert transport.send(TAG).status == 403
    assert journal.queues() == ()


def test_what_the_server_fails_at_waits_for_those_who_insist(journal: Journal) -> None:
    with way_to(refused(500, "INTERNAL_ERROR")) as (server, way):
        transport = JournalTransport(way, journal, place=server.url, run_id=RUN)
        assert transport.send(TAG).status == 500
        assert journal.waits(server.url, RUN) == 0
        assert transport.insisting().send(TAG).status == 200
        assert journal.waits(server.url, RUN) == 1


@pytest.mark.parametrize("step", AWAY.values(), ids=AWAY)
def test_the_own_run_is_shown_whatever_answers(step: Step, journal: Journal) -> None:
    get = Request(method="GET", path=f"{API}runs/get", query=(("run_id", RUN),))
    with way_to(step) as (server, way):
        seen = {"info": {"run_id": RUN}}
        transport = JournalTransport(way, journal, place=server.url, run_id=RUN, seen=seen)
        assert json.loads(transport.send(get).body) == {"run": seen}


def test_a_question_that_a_page_answers_has_no_answer(journal: Journal) -> None:
    with way_to(SIGN_IN) as (server, way):
        transport = JournalTransport(way, journal, place=server.url, run_id=RUN)
        with pytest.raises(UnreachableError, match="web page"):
            transport.send(Request(method="POST", path=f"{API}runs/create", body=b"{}"))


def test_while_something_waits_the_own_run_is_shown_without_asking(journal: Journal) -> None:
    get = Request(method="GET", path=f"{API}runs/get", query=(("run_id", RUN),))
    with way_to(reply()) as (server, way):
        journal.add(server.url, RUN, TAG)
        seen = {"info": {"run_id": RUN}}
        transport = JournalTransport(way, journal, place=server.url, run_id=RUN, seen=seen)
        assert json.loads(transport.send(get).body) == {"run": seen}
        assert server.heard == []


def test_when_there_is_no_time_writes_wait_without_asking(journal: Journal) -> None:
    with way_to(reply()) as (server, way):
        transport = JournalTransport(way, journal, place=server.url, run_id=RUN)
        transport.hurried.set()
        transport.send(TAG)
        assert server.heard == []
        assert journal.waits(server.url, RUN) == 1


@pytest.mark.parametrize("step", AWAY.values(), ids=AWAY)
def test_a_file_is_not_where_it_belongs_when_no_tracking_server_has_taken_it(
    step: Step, tmp_path: Path
) -> None:
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "model.bin").write_bytes(b"w")
    with way_to(step) as (server, way), open_remote(server.url, transport=way) as tracking:
        uploads = Uploads(RUN, "mlflow-artifacts:/1/a/artifacts", tmp_path / "workspace")
        (problem,) = uploads.upload(tracking.artifacts)
        uploads.discard()
    assert "model.bin cannot be stored" in problem
    assert (tmp_path / "workspace" / "model.bin").exists()


# --- quoted paths ---------------------------------------------------------------------------------------


def test_a_path_is_known_however_it_is_written(journal: Journal) -> None:
    with way_to(reply(503)) as (server, way):
        transport = JournalTransport(way, journal, place=server.url, run_id=RUN)
        quoted = Request(method="POST", path=f"{API}runs/%75pdate", body=b"{}")
        assert transport.send(quoted).status == 200
        assert journal.waits(server.url, RUN) == 1


# --- what is there already ------------------------------------------------------------------------------


def answering(run: Any, points: Any, heard: list[Any]) -> Callable[[Request], Answer]:
    """MLflow's server, where it refuses what it has."""

    def send(request: Request) -> Answer:
        if request.method == "GET":
            found = {"run": run} if request.path.endswith("runs/get") else {"metrics": points}
            return Answer(status=200, headers={}, body=json.dumps(found).encode())
        assert isinstance(request.body, bytes)
        content = json.loads(request.body)
        heard.append(content)
        text = json.dumps(content)
        status = 400 if "NaN" in text or '"old"' in text else 200
        body = b'{"error_code": "BAD_REQUEST", "message": "UNIQUE"}' if status > 200 else b"{}"
        return Answer(status=status, headers={}, body=body)

    return send


class Refusing:
    """A way to such a server."""

    def __init__(self, run: Any = None, points: Any = ()) -> None:
        self.heard: list[Any] = []
        self.send = answering(run or {}, points, self.heard)

    def open(self, request: Request) -> Any:
        raise NotImplementedError(request)

    def close(self) -> None:
        pass


NAN = {"key": "loss", "value": float("nan"), "timestamp": 5, "step": 1}
THERE = {**NAN, "value": "NaN", "timestamp": "5", "step": "1"}
ONE = {"key": "loss", "value": 1.0, "timestamp": 5, "step": 0}
OLD, NEW = {"model_id": "old", "step": "0"}, {"model_id": "new", "step": 0}
OUTPUTS = {"outputs": {"model_outputs": [OLD]}}
INPUTS = {"inputs": {"model_inputs": [{"model_id": "old"}]}}
AGAIN: list[tuple[Request, Any, Any, Any]] = [
    (post("log-metric", **NAN), {}, [THERE], None),
    (post("log-batch", metrics=[NAN]), {}, [THERE], None),
    (post("log-batch", metrics=[NAN, ONE]), {}, [THERE], {"metrics": [ONE]}),
    (
        post("log-batch", metrics=[NAN], tags=[{"key": "a", "value": "1"}]),
        {},
        [THERE],
        {"metrics": [], "tags": [{"key": "a", "value": "1"}]},
    ),
    (post("outputs", models=[{**OLD, "step": 0}]), OUTPUTS, [], None),
    (post("outputs", models=[{**OLD, "step": 0}, NEW]), OUTPUTS, [], {"models": [NEW]}),
    (post("log-inputs", models=[{"model_id": "old"}]), INPUTS, [], None),
    (
        post("log-inputs", models=[{"model_id": "old"}], datasets=[{"d": 1}]),
        INPUTS,
        [],
        {"models": [], "datasets": [{"d": 1}]},
    ),
]


@pytest.mark.parametrize(("request_", "run", "points", "rest"), AGAIN)
@pytest.mark.parametrize("live", [True, False])
def test_what_is_there_already_is_taken(
    request_: Request, run: Any, points: Any, rest: Any, live: bool, journal: Journal
) -> None:
    server = Refusing(run, points)
    if live:
        assert JournalTransport(server, journal, place="P", run_id=RUN).send(request_).status == 200
    else:
        journal.add("P", RUN, request_)
        done = deliver(journal, server, place="P", run_id=RUN)
        assert (done.delivered, done.refused) == (1, 0)
    assert server.heard[1:] == ([] if rest is None else [{"run_id": RUN, **rest}])


@pytest.mark.parametrize(("request_", "run", "points", "rest"), AGAIN)
def test_what_is_not_there_stays_refused(
    request_: Request, run: Any, points: Any, rest: Any, journal: Journal
) -> None:
    del run, points, rest
    server = Refusing()
    journal.add("P", RUN, request_)
    assert deliver(journal, server, place="P", run_id=RUN).refused == 1
    assert len(server.heard) == 1


# --- what comes late ------------------------------------------------------------------------------------


def test_a_write_that_fails_late_does_not_come_after_a_newer_one(journal: Journal) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def hang(connection: socket.socket) -> None:
        asked.set()
        go_on.wait(60)
        reply(503)(connection)

    with way_to(hang, reply(503)) as (server, way):
        transport = JournalTransport(way, journal, place=server.url, run_id=RUN)
        older = threading.Thread(target=transport.send, args=(post("set-tag", key="x", value="1"),))
        older.start()
        assert asked.wait(60)
        transport.send(post("set-tag", key="x", value="2"))
        go_on.set()
        older.join()
    item = journal.first(server.url, RUN)
    assert journal.waits(server.url, RUN) == 1
    assert item is not None
    assert isinstance(item.request.body, bytes)
    assert json.loads(item.request.body)["value"] == "2"


def test_only_what_was_replaced_is_dropped() -> None:
    latest = Latest()
    tags = [{"key": "a", "value": "1"}, {"key": "b", "value": "1"}]
    older = post("log-batch", metrics=[ONE], tags=tags)
    update = post("update", status="FINISHED", end_time=1, run_name="n")
    upload = Request(method="PUT", path=UPLOAD, body=b"1")
    numbers = [latest.arrive() for _ in range(3)]
    assert latest.left(older, numbers[0]) is older
    latest.accept(post("delete-tag", key="a"), latest.arrive())
    latest.accept(post("update", status="FAILED"), latest.arrive())
    latest.accept(upload, latest.arrive())
    found = latest.left(older, numbers[0])
    assert found is not None
    assert isinstance(found.body, bytes)
    assert json.loads(found.body) == {"run_id": RUN, "metrics": [ONE], "tags": tags[1:]}
    renamed = latest.left(update, numbers[1])
    assert renamed is not None
    assert isinstance(renamed.body, bytes)
    assert json.loads(renamed.body) == {"run_id": RUN, "run_name": "n"}
    assert latest.left(upload, numbers[2]) is None
    other = post("set-tag", key="a", value="1").body
    assert isinstance(other, bytes)
    of_another_run = Request(method="POST", path=TAG.path, body=other.replace(b"aaaa", b"bbbb"))
    assert latest.left(of_another_run, numbers[0]) is of_another_run
