from __future__ import annotations

import subprocess  # noqa: TID251  what the tests kill must not be looked after by what they test
import sys
import threading
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from drivers import files_open_in
from proj import paths
from proj.errors import StoreError, UnreachableError
from proj.remote import bodies, delivery
from proj.remote import journal as journals
from proj.remote.delivery import Courier, deliver
from proj.remote.journal import Journal
from proj.remote.journaled import JournalTransport, may_wait
from proj.remote.transport import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import BinaryIO

PLACE = "http://server:5000"
RUN = "a" * 32
API = "/api/2.0/mlflow/"
UPLOAD = "/api/2.0/mlflow-artifacts/artifacts/1/a/artifacts/model.bin"


class Server:
    """Takes requests, or is away."""

    def __init__(self) -> None:
        self.away = False
        self.taken: list[tuple[str, bytes]] = []
        self.answers: dict[bytes, Answer] = {}

    def send(self, request: Request) -> Answer:
        if self.away:
            raise UnreachableError("the server is away")
        body = request.body if isinstance(request.body, bytes) else b""
        if request.body is not None and not isinstance(request.body, bytes):
            body = request.body.read_bytes()
        answer = self.answers.get(body, Answer(status=200, headers={}, body=b"{}"))
        if answer.status == 200:
            self.taken.append((request.path, body))
        return answer

    def open(self, request: Request) -> AbstractContextManager[tuple[Answer, BinaryIO]]:
        raise NotImplementedError(request)

    def close(self) -> None:
        pass

    @property
    def bodies(self) -> list[bytes]:
        return [body for _, body in self.taken]


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def journal() -> Iterator[Journal]:
    opened = Journal(paths.home())
    yield opened
    opened.close()


@pytest.fixture
def transport(server: Server, journal: Journal) -> JournalTransport:
    return JournalTransport(server, journal, place=PLACE, run_id=RUN)


def post(what: str, body: bytes = b"{}") -> Request:
    return Request(method="POST", path=f"{API}runs/{what}", body=body)


def error(status: int, message: str) -> Answer:
    body = msgspec.json.encode({"error_code": "X", "message": message})
    return Answer(status=status, headers={}, body=body)


def files(journal: Journal) -> list[str]:
    return sorted(path.name for path in journal._folder.glob("*/*"))


# --- what waits -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "waits"),
    [
        ("POST", "/api/2.0/mlflow/runs/log-batch", True),
        ("POST", "/ajax-api/2.0/preview/mlflow/runs/set-tag", True),
        ("POST", "/api/2.0/mlflow/runs/outputs", True),
        ("POST", "/api/2.0/mlflow/runs/update", True),
        ("PUT", UPLOAD, True),
        ("DELETE", UPLOAD, False),
        ("GET", UPLOAD, False),
        ("POST", "/api/2.0/mlflow/runs/create", False),
        ("POST", "/api/2.0/mlflow/runs/delete", False),
        ("POST", "/api/2.0/mlflow/runs/search", False),
        ("GET", "/api/2.0/mlflow/runs/update", False),
        ("POST", "/api/2.0/mlflow/registered-models/create", False),
        ("POST", "/x/api/2.0/mlflow/runs/update", False),
    ],
)
def test_what_may_wait_is_what_can_be_repeated_and_tells_nothing(method: str, path: str, waits: bool) -> None:
    assert may_wait(Request(method=method, path=path)) is waits


def test_a_server_that_is_there_gets_everything_at_once(
    server: Server, journal: Journal, transport: JournalTransport
) -> None:
    assert transport.send(post("set-tag", b"1")).status == 200
    assert server.bodies == [b"1"]
    assert journal.queues() == ()


def test_what_a_server_cannot_take_is_done_as_far_as_the_caller_knows(
    server: Server, journal: Journal, transport: JournalTransport
) -> None:
    server.away = True
    assert transport.send(post("log-batch", b"1")) == Answer(
        status=200, headers={"content-type": "application/json"}, body=b"{}"
    )
    (queue,) = journal.queues()
    assert (queue.place, queue.run_id, queue.requests) == (PLACE, RUN, 1)


def test_reads_and_creations_cannot_wait(server: Server, transport: JournalTransport) -> None:
    server.away = True
    with pytest.raises(UnreachableError):
        transport.send(post("create"))
    with pytest.raises(UnreachableError):
        transport.send(Request(method="GET", path=f"{API}experiments/get"))


def test_later_writes_wait_behind_earlier_ones(
    server: Server, journal: Journal, transport: JournalTransport
) -> None:
    server.away = True
    transport.send(post("set-tag", b"1"))
    server.away = False
    transport.send(post("set-tag", b"2"))
    assert server.bodies == []
    # Of another process too, and after this one was killed.
    later = JournalTransport(server, journal, place=PLACE, run_id=RUN)
    later.send(post("set-tag", b"3"))
    assert server.bodies == []
    done = deliver(journal, server, place=PLACE, run_id=RUN)
    assert (done.delivered, done.waiting, done.problem) == (3, 0, None)
    assert server.bodies == [b"1", b"2", b"3"]
    assert transport.caught_up()
    transport.send(post("set-tag", b"4"))
    assert server.bodies[-1] == b"4"


def test_another_run_does_not_wait(server: Server, journal: Journal, transport: JournalTransport) -> None:
    server.away = True
    transport.send(post("set-tag", b"1"))
    server.away = False
    JournalTransport(server, journal, place=PLACE, run_id="b" * 32).send(post("set-tag", b"2"))
    assert server.bodies == [b"2"]


# --- bodies -----------------------------------------------------------------------------------------


def test_large_bodies_and_files_are_kept_beside_and_removed_when_they_are_delivered(
    server: Server, journal: Journal, transport: JournalTransport, tmp_path: Path
) -> None:
    server.away = True
    large = b"x" * 100_000
    upload = tmp_path / "model.bin"
    upload.write_bytes(b"weights")
    spooled = journal.spool()
    spooled.write_bytes(b"more weights")
    transport.send(post("log-batch", large))
    transport.send(Request(method="PUT", path=UPLOAD, body=upload))
    transport.send(Request(method="PUT", path=UPLOAD, body=spooled))
    upload.write_bytes(b"changed since")
    assert len(files(journal)) == 3
    server.away = False
    assert deliver(journal, server, place=PLACE, run_id=RUN).delivered == 3
    assert server.bodies == [large, b"weights", b"more weights"]
    assert files(journal) == []


def test_no_credentials_are_kept(server: Server, journal: Journal, transport: JournalTransport) -> None:
    server.away = True
    headers = {"Authorization": "Bearer canary-1", "Cookie": "canary-2", "Content-Type": "text/plain"}
    transport.send(Request(method="PUT", path=UPLOAD, body=b"", headers=headers))
    item = journal.first(PLACE, RUN)
    assert item is not None
    assert item.request.headers == {"Content-Type": "text/plain"}
    for path in paths.home().rglob("*"):
        assert not path.is_file() or b"canary" not in path.read_bytes()


def test_a_body_that_is_gone_holds_nothing_up(
    server: Server, journal: Journal, transport: JournalTransport
) -> None:
    server.away = True
    transport.send(post("log-batch", b"x" * 100_000))
    transport.send(post("set-tag", b"2"))
    server.away = False
    for path in journal._bodies.path("").iterdir():
        path.unlink()
    done = deliver(journal, server, place=PLACE, run_id=RUN)
    assert (done.delivered, done.refused, done.waiting) == (1, 1, 0)
    assert "gone" in journal.refused()[0].message


def test_orphans_are_swept(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.spool().write_bytes(b"its maker died")
    journal.sweep()
    assert len(files(journal)) == 1
    later_ms = int(time.time() * 1000) + 2 * 24 * 3600 * 1000
    monkeypatch.setattr(bodies, "now_ms", lambda: later_ms)
    journal.sweep()
    assert files(journal) == []


# --- delivery ---------------------------------------------------------------------------------------


def test_what_a_server_refuses_is_set_aside_and_nothing_waits_for_it(
    server: Server, journal: Journal, transport: JournalTransport
) -> None:
    server.away = True
    for body in (b"1", b"2", b"3"):
        transport.send(post("log-parameter", body))
    server.away = False
    server.answers[b"2"] = error(400, "Changing param values is not allowed.")
    done = deliver(journal, server, place=PLACE, run_id=RUN)
    assert (done.delivered, done.refused, done.waiting) == (2, 1, 0)
    assert server.bodies == [b"1", b"3"]
    (refused,) = journal.refused()
    assert (refused.status, refused.message) == (400, "Changing param values is not allowed.")
    assert refused.what == f"POST {API}runs/log-parameter"
    assert journal.retry() == 1
    server.answers.clear()
    assert deliver(journal, server, place=PLACE, run_id=RUN).delivered == 1
    assert server.bodies == [b"1", b"3", b"2"]
    assert journal.refused() == ()


def test_what_was_refused_can_be_dropped(
    server: Server, journal: Journal, transport: JournalTransport
) -> None:
    server.away = True
    large = b"x" * 100_000
    transport.send(post("log-batch", large))
    server.away = False
    server.answers[large] = error(413, "too large")
    deliver(journal, server, place=PLACE, run_id=RUN)
    assert journal.drop_refused() == 1
    assert (journal.refused(), files(journal)) == ((), [])


@pytest.mark.parametrize("status", [401, 403, 500])
def test_who_was_not_let_in_or_failed_is_left_alone_for_a_while(
    status: int, server: Server, journal: Journal
) -> None:
    journal.add(PLACE, RUN, post("set-tag", b"1"))
    server.answers[b"1"] = error(status, "not now")
    deliver(journal, server, place=PLACE, run_id=RUN)
    assert journal.failed_ms(PLACE) is not None


def test_what_is_large_is_left_to_those_who_have_the_time(server: Server, journal: Journal) -> None:
    journal.add(PLACE, RUN, post("log-batch", b"x" * 2_000_000))
    done = deliver(journal, server, place=PLACE, run_id=RUN, large=False)
    assert (done.delivered, done.waiting) == (0, 1)
    assert server.taken == []
    assert deliver(journal, server, place=PLACE, run_id=RUN).delivered == 1


def test_an_id_that_leads_elsewhere_is_none(server: Server, journal: Journal) -> None:
    journal.add(PLACE, "../../victim", post("set-tag", b"1"))
    with pytest.raises(StoreError, match="no id of a run"):
        deliver(journal, server, place=PLACE, run_id="../../victim")


@pytest.mark.parametrize("status", [401, 403])
def test_who_is_not_let_in_keeps_everything(
    status: int, server: Server, journal: Journal, transport: JournalTransport
) -> None:
    server.away = True
    transport.send(post("set-tag", b"1"))
    server.away = False
    server.answers[b"1"] = error(status, "who are you?")
    done = deliver(journal, server, place=PLACE, run_id=RUN)
    assert (done.delivered, done.refused, done.waiting) == (0, 0, 1)
    assert done.problem is not None
    assert "who are you?" in done.problem


def test_a_failing_server_is_asked_again_but_not_for_ever(
    server: Server, journal: Journal, transport: JournalTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.away = True
    transport.send(post("set-tag", b"1"))
    transport.send(post("set-tag", b"2"))
    server.away = False
    server.answers[b"1"] = error(500, "a defect")
    for _ in range(20):  # many commands within a moment are no reason to give up
        assert deliver(journal, server, place=PLACE, run_id=RUN).waiting == 2
    now_ms = int(time.time() * 1000)
    for number in range(20):
        monkeypatch.setattr(journals, "now_ms", lambda at_ms=now_ms + number * 31_000: at_ms)
        deliver(journal, server, place=PLACE, run_id=RUN)
    assert server.bodies == [b"2"]
    assert [refused.message for refused in journal.refused()] == ["a defect"]


def test_a_tag_that_is_gone_was_removed_before(
    server: Server, journal: Journal, transport: JournalTransport
) -> None:
    server.away = True
    transport.send(post("delete-tag", b"1"))
    server.away = False
    server.answers[b"1"] = error(404, "No tag with that name")
    done = deliver(journal, server, place=PLACE, run_id=RUN)
    assert (done.delivered, done.refused) == (1, 0)


def test_a_server_that_is_away_is_remembered(
    server: Server, journal: Journal, transport: JournalTransport
) -> None:
    assert journal.failed_ms(PLACE) is None
    server.away = True
    transport.send(post("set-tag", b"1"))
    assert journal.failed_ms(PLACE) is not None
    journal.answered(PLACE)
    assert journal.failed_ms(PLACE) is None


def test_no_request_is_begun_after_the_deadline(
    server: Server, journal: Journal, transport: JournalTransport
) -> None:
    server.away = True
    transport.send(post("set-tag", b"1"))
    server.away = False
    done = deliver(journal, server, place=PLACE, run_id=RUN, deadline_s=time.monotonic() - 1)
    assert (done.delivered, done.waiting) == (0, 1)
    assert server.taken == []


def test_the_courier_delivers_while_the_run_goes_on(
    server: Server, journal: Journal, transport: JournalTransport
) -> None:
    with Courier(transport):
        server.away = True
        for number in range(5):
            transport.send(post("set-tag", b"%d" % number))
        server.away = False
        deadline = time.monotonic() + 60
        while transport.behind.is_set():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        transport.send(post("set-tag", b"5"))
    assert server.bodies == [b"%d" % number for number in range(6)]
    assert journal.queues() == ()


def test_a_server_that_hangs_does_not_keep_the_courier(
    server: Server, journal: Journal, transport: JournalTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_FIRST_PAUSE_S", 0.01)
    asked, go_on = threading.Event(), threading.Event()

    def hang(request: Request) -> Answer:
        asked.set()
        assert go_on.wait(60)
        raise UnreachableError(request.path)

    with Courier(transport) as courier:
        monkeypatch.setattr(server, "send", hang)
        journal.add(PLACE, RUN, post("set-tag"))
        transport.behind.set()
        assert asked.wait(60)
    go_on.set()
    courier._thread.join()
    assert journal.waits(PLACE, RUN) == 1


# --- several processes, and death -------------------------------------------------------------------

KILLED = """
import os, sys
from pathlib import Path
from proj.remote.delivery import deliver
from proj.remote.journal import Journal
from proj.remote.transport import Answer

class Server:
    def __init__(self, log, last, taken):
        self.log, self.left, self.taken = log, last, taken
    def send(self, request):
        self.left -= 1
        if self.left < 0 and not self.taken:
            os.kill(os.getpid(), 9)
        with open(self.log, "ab") as file:
            file.write(request.body + b"\\n")
        if self.left < 0:
            os.kill(os.getpid(), 9)
        return Answer(status=200, headers={}, body=b"{}")

home, log, last, taken = sys.argv[1:]
deliver(Journal(Path(home)), Server(log, int(last), taken == "taken"), place="P", run_id="R")
"""


@pytest.mark.parametrize("taken", ["taken", "lost"])
def test_a_deliverer_that_is_killed_loses_nothing_and_sends_at_most_one_again(
    taken: str, journal: Journal, tmp_path: Path
) -> None:
    bodies = [b"%d" % number for number in range(12)]
    for body in bodies:
        journal.add("P", "R", post("set-tag", body))
    log = tmp_path / "log"
    log.touch()
    argv = [sys.executable, "-c", KILLED, str(paths.home()), str(log)]
    for last in (0, 3, 1, 100):
        subprocess.run([*argv, str(last), taken], check=False)
    got = log.read_bytes().split()
    assert journal.queues() == ()
    assert sorted(set(got), key=int) == bodies
    assert got == sorted(got, key=int)
    assert len(got) == len(bodies) + (3 if taken == "taken" else 0)


WRITER = """
import os, sys
from pathlib import Path
from proj.remote.journal import Journal
from proj.remote.transport import Request

journal = Journal(Path(sys.argv[1]))
for number in range(1000):
    body = (b"%d " % number) * (30000 if number % 7 == 0 else 1)
    journal.add("P", "R", Request(method="PUT", path="/x", body=body))
    print(number, flush=True)
"""


def test_what_a_killed_writer_was_told_is_kept_is_kept(journal: Journal) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(paths.home())], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if line.strip() == "40":
                writer.kill()
                break
        told = max([40, *map(int, writer.stdout.read().split())])
    server = Server()
    deliver(journal, server, place="P", run_id="R")
    numbers = [int(body.split()[0]) for body in server.bodies]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) in (told + 1, told + 2)


def test_two_deliverers_send_each_request_once_and_in_order(journal: Journal) -> None:
    bodies = [b"%d" % number for number in range(60)]
    for body in bodies:
        journal.add(PLACE, RUN, post("set-tag", body))
    server = Server()
    other = Journal(paths.home())
    threads = [
        threading.Thread(target=deliver, args=(each, server), kwargs={"place": PLACE, "run_id": RUN})
        for each in (journal, other, journal, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deliver(journal, server, place=PLACE, run_id=RUN)
    other.close()
    assert server.bodies == bodies
    assert list(journal._folder.glob("*.lock")) == []


def test_who_comes_second_says_so(journal: Journal, server: Server) -> None:
    journal.add(PLACE, RUN, post("set-tag"))
    other = Journal(paths.home())
    with journal.delivering(RUN) as first:
        assert first
        done = deliver(other, server, place=PLACE, run_id=RUN)
    other.close()
    assert (done.delivered, done.waiting, done.problem) == (0, 1, "another process is delivering it")


def test_a_journal_of_a_newer_proj_is_refused_and_let_go_of(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal._connection.execute("PRAGMA user_version = 99")
    journal.close()
    with pytest.raises(StoreError, match="newer proj"):
        Journal(tmp_path)
    assert not files_open_in(tmp_path)


def test_a_mark_says_that_something_waits(tmp_path: Path) -> None:
    opened = Journal(tmp_path)
    mark = paths.journal(tmp_path) / "waiting"
    assert not mark.exists()
    opened.add(PLACE, RUN, post("set-tag"))
    assert mark.exists()
    deliver(opened, Server(), place=PLACE, run_id=RUN)
    assert not mark.exists()
    opened.close()


# --- the run as it was last seen ----------------------------------------------------------------------


def test_the_own_run_is_shown_while_the_server_is_away(server: Server, transport: JournalTransport) -> None:
    get = Request(method="GET", path=f"{API}runs/get", query=(("run_id", RUN),))
    run = {"info": {"run_id": RUN, "status": "RUNNING"}, "data": {"params": [{"key": "a", "value": "1"}]}}
    shown = Answer(status=200, headers={}, body=msgspec.json.encode({"run": run}))

    def send(request: Request) -> Answer:
        if server.away:
            raise UnreachableError("away")
        return shown if request == get else Answer(status=200, headers={}, body=b"{}")

    server.send = send  # type: ignore[method-assign]  # the server of this one test knows a run
    server.away = True
    with pytest.raises(UnreachableError):
        transport.send(get)
    server.away = False
    transport.send(get)
    server.away = True
    assert msgspec.json.decode(transport.send(get).body) == {"run": run}
    update = {"run_id": RUN, "status": "FINISHED", "end_time": 7}
    answer = transport.send(post("update", msgspec.json.encode(update)))
    expected = {"run_id": RUN, "status": "FINISHED", "end_time": 7}
    assert msgspec.json.decode(answer.body) == {"run_info": expected}
    assert msgspec.json.decode(transport.send(get).body)["run"]["info"] == expected
    with pytest.raises(UnreachableError):
        transport.send(Request(method="GET", path=get.path, query=(("run_id", "b" * 32),)))


def test_another_run_that_is_updated_is_told_back(server: Server, transport: JournalTransport) -> None:
    server.away = True
    update = {"run_id": "b" * 32, "status": "FINISHED"}
    answer = transport.send(post("update", msgspec.json.encode(update)))
    assert msgspec.json.decode(answer.body)["run_info"]["status"] == "FINISHED"


def test_a_run_that_was_never_shown_is_shown_as_it_was_made(server: Server, journal: Journal) -> None:
    seen = {"info": {"run_id": RUN, "status": "RUNNING"}, "data": {}}
    made = JournalTransport(server, journal, place=PLACE, run_id=RUN, seen=seen)
    server.away = True
    get = Request(method="GET", path=f"{API}runs/get", query=(("run_id", RUN),))
    assert msgspec.json.decode(made.send(get).body) == {"run": seen}
