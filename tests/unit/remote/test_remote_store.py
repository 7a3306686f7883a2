"""What a store guarantees holds over HTTP, against `proj server`'s application."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from faultykit import broken_off, faulty, reply
from httpkit import serving
from proj import events
from proj.errors import (
    ConflictError,
    ParameterConflictError,
    StoreError,
    UnreachableError,
    UsageError,
)
from proj.model import NewRun, RunStatus
from proj.record import TAG_CLAIM
from proj.remote.artifacts import is_here
from proj.remote.http import HttpTransport
from proj.remote.store import open_remote
from proj.remote.transport import UncertainError
from proj.server.routes import Site
from proj.testing.stores import ArtifactStoreContract, RunStoreContract, new_run, point
from proj.tracking import open_tracking
from proj.tracking.store import RunQuery
from remotekit import RUNS_DIFFER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import BinaryIO

    from proj.remote.transport import Answer, Request, Transport
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


# --- what one call is, and what several are -----------------------------------------------------------


class Lossy:
    """A transport that does what it is asked, and loses some answers.

    Args:
        inner: The way to the server.
        path: How the paths of requests end whose answers are lost.
    """

    def __init__(self, inner: Transport, path: str) -> None:
        self._inner = inner
        self._path = path
        self.sent: list[Request] = []

    def send(self, request: Request) -> Answer:
        self.sent.append(request)
        answer = self._inner.send(request)
        if request.path.endswith(self._path):
            raise UncertainError("The answer was lost.")
        return answer

    def open(self, request: Request) -> AbstractContextManager[tuple[Answer, BinaryIO]]:
        return self._inner.open(request)

    def close(self) -> None:
        self._inner.close()


class Counting(Lossy):
    """A transport that knows what it was asked."""

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner, "\0")

    def bodies(self, path: str) -> list[Any]:
        return [json.loads(bytes(each.body or b"")) for each in self.sent if each.path.endswith(path)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Tracking]:
    """The records that the server keeps."""
    with open_tracking(tmp_path / "home") as kept:
        yield kept


@pytest.fixture
def url(server: Tracking) -> Iterator[str]:
    with serving(server) as client:
        yield client.url


@pytest.fixture
def counting(url: str) -> Iterator[Counting]:
    transport = Counting(HttpTransport(url))
    yield transport
    transport.close()


def claimed(claim: str | None = "c-1") -> NewRun:
    tags = {} if claim is None else {TAG_CLAIM: claim}
    return NewRun(experiment_id="0", run_name="r", started_ms=1, params={"a": "1"}, tags=tags)


def test_a_run_whose_creation_had_no_answer_is_found_by_its_claim(server: Tracking, url: str) -> None:
    with open_remote(url, transport=Lossy(HttpTransport(url), "runs/create")) as tracking:
        made = tracking.runs.create_run(claimed())
        assert (made.status, made.params) == (RunStatus.SCHEDULED, {"a": "1"})
        with pytest.raises(UncertainError):
            tracking.runs.create_run(claimed(None))
    found = server.runs.search_runs(RunQuery(filter=f"tags.`{TAG_CLAIM}` = 'c-1'")).runs
    assert [run.run_id for run in found] == [made.run_id]


class Late(Lossy):
    """A transport that loses the answer to a creation, which the server is done with a little later."""

    def __init__(self, inner: Transport, looks: int) -> None:
        super().__init__(inner, "\0")
        self._looks = looks
        self._creation: Request | None = None

    def send(self, request: Request) -> Answer:
        if request.path.endswith("runs/create"):
            self._creation = request
            raise UncertainError("The answer was lost.")
        if request.path.endswith("runs/search") and self._creation is not None:
            self._looks -= 1
            if self._looks == 0:
                super().send(self._creation)
        return super().send(request)


def test_a_run_that_is_made_late_is_waited_for(
    server: Tracking, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("proj.remote.runs.time.sleep", pauses.append)
    with open_remote(url, transport=Late(HttpTransport(url), looks=3)) as tracking:
        made = tracking.runs.create_run(claimed())
    assert server.runs.run(made.run_id).params == {"a": "1"}
    assert pauses == [0.0, 0.5, 1.0]
    with (
        open_remote(url, transport=Late(HttpTransport(url), looks=99)) as tracking,
        pytest.raises(UncertainError, match="was lost"),
    ):
        tracking.runs.create_run(claimed("c-2"))
    assert 5 < sum(pauses) < 15


def test_an_experiment_whose_creation_had_no_answer_is_there(url: str) -> None:
    with open_remote(url, transport=Lossy(HttpTransport(url), "experiments/create")) as tracking:
        assert tracking.runs.create_experiment("wine").name == "wine"


def test_a_run_that_cannot_be_filled_is_not_left_behind(server: Tracking, url: str) -> None:
    new = NewRun(experiment_id="0", run_name="r", started_ms=1, params={"it's": "1"})
    with open_remote(url) as tracking, pytest.raises(UsageError, match="it's"):
        tracking.runs.create_run(new)
    assert server.runs.search_runs(RunQuery()).runs == ()


def test_much_is_logged_in_as_few_requests_as_fit(url: str, counting: Counting) -> None:
    params = {f"p{number}": "v" for number in range(150)}
    tags = {f"t{number}": "v" for number in range(120)}
    metrics = [point(f"m{number % 7}", number, step=number) for number in range(2500)]
    with open_remote(url, transport=counting) as tracking:
        run = new_run(tracking.runs)
        counting.sent.clear()
        tracking.runs.log(run.run_id, params=params, metrics=metrics, tags=tags)
        sizes = [
            tuple(len(batch.get(kind, ())) for kind in ("params", "metrics", "tags"))
            for batch in counting.bodies("log-batch")
        ]
        found = tracking.runs.run(run.run_id)
        assert (found.params, found.metrics["m0"].step) == (params, 2499 - 2499 % 7)
        assert {key: found.tags[key] for key in tags} == tags
        assert len(tracking.runs.metric_history(run.run_id, "m1")) == 2500 // 7
    assert sizes == [(100, 0, 0), (50, 950, 0), (0, 1000, 0), (0, 550, 100), (0, 0, 20)]


def test_a_request_stays_below_a_megabyte(url: str, counting: Counting) -> None:
    params = {f"p{number}": "é\n\0" * 1900 for number in range(100)}
    with open_remote(url, transport=counting) as tracking:
        run = new_run(tracking.runs)
        tracking.runs.log(run.run_id, params=params)
        assert tracking.runs.run(run.run_id).params == params
    assert max(len(bytes(request.body or b"")) for request in counting.sent) < 1_000_000


def test_nothing_of_many_parameters_is_written_if_one_would_change(url: str) -> None:
    with open_remote(url) as tracking:
        run = new_run(tracking.runs)
        tracking.runs.log(run.run_id, params={"p249": "there"})
        with pytest.raises(ParameterConflictError, match="p249"):
            tracking.runs.log(run.run_id, params={f"p{number}": "v" for number in range(250)})
        assert tracking.runs.run(run.run_id).params == {"p249": "there"}


@pytest.mark.parametrize(("kind", "limit"), [("params", 6000), ("tags", 8000)])
def test_a_value_that_a_server_would_cut_is_refused(url: str, kind: str, limit: int) -> None:
    with open_remote(url) as tracking:
        run = new_run(tracking.runs)
        tracking.runs.log(run.run_id, params={"p": "x" * 6000}, tags={"t": "x" * 8000})
        with pytest.raises(UsageError, match=str(limit)):
            tracking.runs.log(run.run_id, **{kind: {"long": "x" * (limit + 1)}})  # type: ignore[arg-type]
        new = NewRun(experiment_id="0", run_name="r", started_ms=1, **{kind: {"long": "x" * (limit + 1)}})  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="long"):
            tracking.runs.create_run(new)


def test_a_run_is_closed_though_what_is_told_of_its_end_is_long(url: str) -> None:
    with open_remote(url) as tracking:
        run = new_run(tracking.runs)
        tracking.runs.update_run(run.run_id, status=RunStatus.FAILED, tags={"why": "x" * 9000})
        closed = tracking.runs.run(run.run_id)
    assert (closed.status, closed.tags["why"]) == (RunStatus.FAILED, "x" * 8000)


def test_texts_that_are_no_utf8_are_kept_as_the_local_store_does(url: str) -> None:
    with open_remote(url) as tracking:
        run = new_run(tracking.runs, "odd \udcff name")
        tracking.runs.log(run.run_id, params={"path": "a\udcffb"}, tags={"t": "\udcff"})
        found = tracking.runs.run(run.run_id)
    assert (found.params["path"], found.tags["t"]) == ("a\\udcffb", "\\udcff")
    assert found.run_name == "odd \\udcff name"


def test_a_deleted_run_says_so_whatever_is_done_to_it(url: str) -> None:
    with open_remote(url) as tracking:
        run = new_run(tracking.runs)
        tracking.runs.delete_runs([run.run_id])
        for attempt in (
            lambda: tracking.runs.log(run.run_id, tags={"a": "b"}),
            lambda: tracking.runs.update_run(run.run_id, status=RunStatus.FAILED),
            lambda: tracking.runs.remove_tags(run.run_id, ["a"]),
            lambda: tracking.runs.reopen_run(run.run_id, params={}, tags={}),
        ):
            with pytest.raises(ConflictError, match="is deleted"):
                attempt()


def test_pages_go_on_though_an_experiment_is_made_meanwhile(url: str) -> None:
    with open_remote(url) as tracking:
        for number in range(4):
            new_run(tracking.runs, str(number), started_ms=number)
        first = tracking.runs.search_runs(RunQuery(limit=2))
        tracking.runs.create_experiment("newcomer")
        second = tracking.runs.search_runs(RunQuery(limit=2, page_token=first.next_page_token))
    assert [run.run_name for run in first.runs + second.runs] == ["3", "2", "1", "0"]


def test_children_take_a_search_for_each_generation(url: str, counting: Counting) -> None:
    with open_remote(url, transport=counting) as tracking:
        parent = new_run(tracking.runs)
        below = [new_run(tracking.runs) for _ in range(5)]
        for child in below:
            tracking.runs.log(child.run_id, tags={"mlflow.parentRunId": parent.run_id})
        counting.sent.clear()
        assert tracking.runs.children(parent.run_id) == tuple(sorted(child.run_id for child in below))
    assert len(counting.bodies("runs/search")) == 2


def test_what_a_server_cannot_do_says_where_to_do_it(url: str) -> None:
    with open_remote(url) as tracking:
        for attempt, words in (
            (lambda: tracking.runs.move_run("a", "1"), "--experiment-name"),
            (lambda: tracking.runs.purge_runs(["a"]), "proj gc"),
            (lambda: tracking.runs.search_runs(RunQuery(deleted_before_ms=1)), "proj gc"),
        ):
            with pytest.raises(UsageError) as caught:
                attempt()
            assert words in (caught.value.hint or "")


# --- artifacts ----------------------------------------------------------------------------------------

URI = "mlflow-artifacts:/1/run/artifacts"


def test_an_upload_carries_its_length_and_digest(tmp_path: Path) -> None:
    content = b"0123456789" * 1000
    (tmp_path / "f").write_bytes(content)
    with faulty(reply()) as server, open_remote(server.url) as tracking:
        tracking.artifacts.put(URI, "a b/é.bin", tmp_path / "f")
        tracking.artifacts.write(URI, "c", content)
    for heard in server.heard:
        assert (heard.method, heard.body) == ("PUT", content)
        assert heard.headers["content-length"] == "10000"
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        assert heard.headers["repr-digest"] == f"sha-256=:{digest}:"
    assert server.heard[0].target == "/api/2.0/mlflow-artifacts/artifacts/1/run/artifacts/a%20b/%C3%A9.bin"


def test_a_download_that_breaks_off_never_looks_whole() -> None:
    with faulty(broken_off(body=b"half")) as server, open_remote(server.url) as tracking:
        file = tracking.artifacts.open(URI, "f")
        with file, pytest.raises(UnreachableError):
            file.read()


def test_a_download_with_another_digest_is_an_error() -> None:
    digest = base64.b64encode(hashlib.sha256(b"right").digest()).decode()
    right, wrong = (reply(body=body, repr_digest=f"sha-256=:{digest}:") for body in (b"right", b"wrong"))
    with faulty(right, wrong) as server, open_remote(server.url) as tracking:
        with tracking.artifacts.open(URI, "f") as file:
            assert file.read() == b"right"
        with tracking.artifacts.open(URI, "f") as file, pytest.raises(StoreError, match="digest"):
            file.read()


def test_lines_of_a_download_come_as_they_are_asked_for() -> None:
    with faulty(reply(body=b"one\ntwo\n" * 10_000)) as server, open_remote(server.url) as tracking:
        with tracking.artifacts.open(URI, "stdout.log") as file:
            assert [file.readline(), file.readline()] == [b"one\n", b"two\n"]
        assert len(list(tracking.artifacts.open(URI, "stdout.log"))) == 20_000


def test_names_that_a_server_lists_lead_nowhere_else() -> None:
    names = ["../../etc/passwd", "..", ".", "", "good.txt", "sub/dir/x"]
    body = json.dumps({"files": [{"path": name, "is_dir": False, "file_size": "3"} for name in names]})
    with faulty(reply(body=body.encode())) as server, open_remote(server.url) as tracking:
        found = [entry.path for entry in tracking.artifacts.list(URI, "out")]
    assert found == ["out/good.txt", "out/passwd", "out/x"]


@pytest.mark.parametrize(
    "uri", ["mlflow-artifacts://elsewhere:5000/1/a", "mlflow-artifacts:/../x", "mlflow-artifacts:/"]
)
def test_a_uri_of_another_server_or_of_everything_is_refused(uri: str) -> None:
    with faulty(reply()) as server, open_remote(server.url) as tracking:
        with pytest.raises(StoreError):
            tracking.artifacts.delete(uri)
        assert server.heard == []


def test_the_name_of_the_server_may_stand_in_the_uri() -> None:
    with faulty(reply(body=b"x")) as server, open_remote(server.url) as tracking:
        host = server.url.removeprefix("http://")
        with tracking.artifacts.open(f"mlflow-artifacts://{host}/1/a", "f") as file:
            assert file.read() == b"x"
    assert server.heard[0].target.endswith("/artifacts/1/a/f")


def test_folders_of_the_servers_machine_are_used_where_they_are_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = (tmp_path / "mlruns" / "1" / "run" / "artifacts").as_uri()
    with open_remote("http://127.0.0.1:1") as tracking:
        tracking.artifacts.write(uri, "a.txt", b"here")
    told: list[str] = []
    with (
        events.listening(lambda each: told.append(each.message)),
        open_remote("http://tracking.example") as tracking,
    ):
        for _ in range(2):
            assert [entry.path for entry in tracking.artifacts.list(uri)] == ["a.txt"]
        assert len(told) == 1
        assert str(tmp_path / "mlruns") in told[0]
        for gone in ("file:///srv/no-such/mlruns/1/run/artifacts", "./mlruns/1/run/artifacts", "/x"):
            with pytest.raises(StoreError, match="folder that is not here") as caught:
                tracking.artifacts.write(gone, "a.txt", b"lost")
            assert "--serve-artifacts" in (caught.value.hint or "")
    monkeypatch.setattr(socket, "gethostname", lambda: "Tracking.example")
    with open_remote("http://tracking.example") as tracking:
        new = (tmp_path / "new" / "1" / "run" / "artifacts").as_uri()
        tracking.artifacts.write(new, "a.txt", b"here")


def test_what_a_server_refuses_of_artifacts_it_says() -> None:
    refused = reply(400, b'{"error_code": "INVALID_PARAMETER_VALUE", "message": "Invalid path"}')
    with faulty(refused) as server, open_remote(server.url) as tracking:
        with pytest.raises(StoreError, match="Invalid path"):
            tracking.artifacts.write(URI, "a\\b", b"")
        with pytest.raises(StoreError, match="Invalid path"):
            tracking.artifacts.list(URI, "a")


# --- what a server says that is not so ----------------------------------------------------------------


@pytest.mark.parametrize("run_id", ["../../x", "a b", "ä" * 32, "", "x" * 257])
def test_an_id_that_can_be_none_is_taken_from_no_answer(run_id: str) -> None:
    run = {"info": {"run_id": run_id, "experiment_id": "1", "status": "RUNNING"}}
    with (
        faulty(reply(body=json.dumps({"runs": [run]}).encode())) as server,
        open_remote(server.url) as tracking,
        pytest.raises(StoreError, match="cannot be the id of a run"),
    ):
        tracking.runs.search_runs(RunQuery(experiment_ids=("1",)))


def test_a_server_that_answers_with_another_run_is_not_believed() -> None:
    run = {"info": {"run_id": "b" * 32, "experiment_id": "1", "status": "RUNNING"}}
    with faulty(reply(body=json.dumps({"run": run}).encode())) as server, open_remote(server.url) as tracking:
        with pytest.raises(StoreError, match=f"answers with {'b' * 32}"):
            tracking.runs.run("a" * 32)
        assert tracking.runs.run("b" * 32).run_id == "b" * 32


def test_no_workspace_lies_outside_of_their_folder(remote: Tracking) -> None:
    run = remote.runs.create_run(claimed())
    assert remote.workspace(run).name == run.run_id
    for other in ("..", "../../x", "/no/such/folder", ""):
        with pytest.raises(StoreError, match="cannot be the id of a run"):
            remote.workspace(msgspec.structs.replace(run, run_id=other))


@pytest.mark.parametrize(
    ("host", "here"),
    [("127.0.0.1", True), ("127.0.0.2", True), ("localhost", True), ("::1", True), ("192.0.2.1", False),
     ("a" * 70, False), ("", False)],
)  # fmt: skip
def test_a_server_of_this_machine_is_known_by_any_of_its_addresses(host: str, here: bool) -> None:
    assert is_here(host) is here
