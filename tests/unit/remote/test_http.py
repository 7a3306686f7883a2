from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

import tlskit
from faultykit import FaultyServer, Heard, broken_off, drop, faulty, reply
from ports import refusing_port
from proj import events
from proj.errors import StoreError, UnreachableError, UsageError
from proj.remote.credentials import Credentials
from proj.remote.http import QUICK, HttpTransport, Patience, first_look, usual_patience
from proj.remote.store import check
from proj.remote.transport import Request, UncertainError
from proj.testing.threads import in_threads
from projkit import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from faultykit import Step

GET = Request(method="GET", path="/thing")
LOG = Request(method="POST", path="/api/2.0/mlflow/runs/log-batch", body=b"{}")
CREATE = Request(method="POST", path="/api/2.0/mlflow/runs/create", body=b"{}")
SOON = Patience(connect_s=5, read_s=20, retries=3, first_pause_s=0.001)
PLAIN = Credentials()


def over(url: str, patience: Patience = SOON, credentials: Credentials = PLAIN) -> HttpTransport:
    return HttpTransport(url, patience=patience, credentials=credentials)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited between two tries; nobody waits really."""
    found: list[float] = []
    monkeypatch.setattr("proj.remote.http.time.sleep", found.append)
    return found


def told(caught: pytest.ExceptionInfo[StoreError]) -> str:
    return f"{caught.value.message} {caught.value.hint}"


# --- patience -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_", [GET, LOG, CREATE], ids=["get", "log", "create"])
def test_what_is_not_available_now_is_asked_again(request_: Request, pauses: list[float]) -> None:
    away = reply(503, b'{"error_code": "TEMPORARILY_UNAVAILABLE", "message": "busy"}')
    with faulty(away, away, away, reply(body=b"at last")) as server:
        answer = over(server.url).send(request_)
    assert (answer.status, answer.body) == (200, b"at last")
    assert len(server.heard) == 4
    assert {heard.body for heard in server.heard} == {request_.body or b""}
    assert pauses == sorted(pauses), "each pause is longer than the one before"


def test_a_server_that_stays_away_is_unreachable(pauses: list[float]) -> None:
    away = reply(503, b'{"error_code": "TEMPORARILY_UNAVAILABLE", "message": "the disk is full"}')
    with faulty(away) as server, pytest.raises(UnreachableError, match="the disk is full") as caught:
        over(server.url).send(LOG)
    assert server.url in told(caught)
    assert len(pauses) == 3


def test_it_comes_back_when_the_server_says(pauses: list[float]) -> None:
    steps = (
        reply(429, retry_after="7"),
        reply(503, retry_after="9999"),
        reply(429, retry_after="Wed, 21 Oct 2015 07:28:00 GMT"),
        reply(),
    )
    with faulty(*steps) as server:
        assert over(server.url).send(CREATE).status == 200
    assert pauses == [7.0, SOON.longest_pause_s, 0.0]


@pytest.mark.parametrize("nonsense", ["\xb2", "soon", "-1", "", "Wed, 99 Oct 2015 07:28:00 GMT"])
def test_when_to_come_back_may_be_nonsense(pauses: list[float], nonsense: str) -> None:
    with faulty(reply(503, retry_after=nonsense), reply()) as server:
        assert over(server.url).send(GET).status == 200
    assert len(pauses) == 1


def test_one_quick_try(pauses: list[float]) -> None:
    with faulty(reply(503), reply()) as server:
        transport = over(server.url)
        with pytest.raises(UnreachableError):
            transport.with_patience(QUICK).send(GET)
        assert transport.send(GET).status == 200
    assert pauses == []


def test_a_server_that_refuses_is_unreachable() -> None:
    with refusing_port() as port:
        url = f"http://127.0.0.1:{port}"
        for request in (GET, CREATE):
            with pytest.raises(UnreachableError, match="refused") as caught:
                over(url).send(request)
            assert not isinstance(caught.value, UncertainError), "nothing was sent"
            assert url in told(caught)


def test_a_host_that_is_none_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(UnreachableError, match="its name is not known"):
        over("http://no-such-host.invalid", QUICK).send(GET)


def test_a_server_that_hangs_is_unreachable() -> None:
    server = FaultyServer(reply())
    server._steps = [server.hang]
    try:
        with pytest.raises(UnreachableError, match="in time") as caught:
            over(server.url, Patience(read_s=0.05, retries=1, first_pause_s=0)).send(GET)
        with pytest.raises(UncertainError, match="not known"):
            over(server.url, Patience(read_s=0.05, retries=1, first_pause_s=0)).send(CREATE)
        eventually(lambda: len(server.heard) == 3)  # it may be slower than the client is patient
    finally:
        server.close()
    assert "MLFLOW_HTTP_REQUEST_TIMEOUT" in told(caught)
    assert [heard.method for heard in server.heard] == ["GET", "GET", "POST"], "a creation is sent once"


def test_one_that_hangs_is_asked_once_more_and_not_as_often_as_one_that_says_so() -> None:
    with faulty(reply()) as server:
        server._steps = [server.hang]
        with pytest.raises(UnreachableError, match="in time"):
            over(server.url, Patience(read_s=0.05, retries=4, first_pause_s=0)).send(GET)
        eventually(lambda: len(server.heard) == 2)
        with pytest.raises(UnreachableError, match="in time"):
            over(server.url, Patience(read_s=0.05, retries=4, timeout_retries=0)).send(GET)
        eventually(lambda: len(server.heard) == 3)
        with pytest.raises(UnreachableError, match="in time"):
            over(server.url, Patience(read_s=0.05, retries=0)).send(GET)
        eventually(lambda: len(server.heard) == 4, says="no retries are no retries")
    assert len(server.heard) == 4


def test_a_first_look_is_short_and_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = first_look()
    assert (found.read_s, found.retries, found.timeout_retries) == (10.0, 4, 0)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "0.05")
    with faulty(reply()) as server:
        server._steps = [server.hang]
        with pytest.raises(UnreachableError, match="in time"):
            check(server.url)
        eventually(lambda: len(server.heard) == 1)
    assert len(server.heard) == 1


def test_it_is_said_that_a_server_is_waited_for() -> None:
    told: list[str] = []
    waited = threading.Event()

    def listen(event: events.Event) -> None:
        told.append(event.message)
        waited.set()

    def answer(connection: socket.socket) -> None:
        waited.wait()
        reply()(connection)

    with events.listening(listen), faulty(answer, reply()) as server:
        transport = over(server.url, Patience(tell_after_s=0.01))
        assert transport.send(GET).status == 200
        assert told == [f"Waiting for {server.url} …"]
        transport.with_patience(Patience(tell_after_s=60)).send(GET)
        transport.close()
    assert len(told) == 1
    assert usual_patience().tell_after_s is not None
    assert QUICK.tell_after_s is None


@pytest.mark.parametrize(
    "lost", [drop, broken_off(), reply(502), reply(504)], ids=["drop", "half", "502", "504"]
)
def test_only_what_makes_nothing_new_is_sent_again(lost: Step, pauses: list[float]) -> None:
    with faulty(lost, reply(body=b"{}")) as server:
        assert over(server.url).send(LOG).status == 200
    assert len(server.heard) == 2
    with faulty(lost, reply(body=b"{}")) as server:
        with pytest.raises(UncertainError):
            over(server.url).send(CREATE)
        assert len(server.heard) == 1


def test_a_connection_that_the_server_closed_meanwhile_is_no_failure() -> None:
    closed = threading.Event()

    def answer_and_close(connection: socket.socket) -> None:
        reply()(connection)
        drop(connection)
        closed.set()

    with faulty(answer_and_close, reply(body=b"made")) as server:
        transport = over(server.url)
        transport.send(GET)
        assert closed.wait(60)
        assert transport.send(CREATE).body == b"made"
        transport.close()


def test_errors_of_the_server_are_answers() -> None:
    with faulty(reply(500, b"oops", x_odd="1")) as server:
        answer = over(server.url).send(GET)
    assert (answer.status, answer.body, answer.headers["x-odd"]) == (500, b"oops", "1")


def test_an_answer_to_head_tells_a_length_and_has_no_body() -> None:
    with faulty(reply(body=b"", content_length="1000")) as server:
        answer = over(server.url).send(Request(method="HEAD", path="/f"))
    assert (answer.body, answer.headers["content-length"]) == (b"", "1000")


def test_threads_ask_at_once() -> None:
    with faulty(reply(body=b"x" * 100_000)) as server:
        transport = over(server.url)
        found: list[bytes] = []

        def ask() -> None:
            found.extend(transport.send(GET).body for _ in range(10))

        in_threads([ask] * 6)
        assert len(found) == 60
        assert set(found) == {b"x" * 100_000}
        transport.close()
        transport.close()


@pytest.mark.parametrize("name", ["MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"])
def test_patience_is_set_by_the_variables_of_mlflows_client(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "17")
    found = usual_patience()
    assert (found.read_s if "TIMEOUT" in name else found.retries) == 17
    for text in ("soon", "-1", "nan", "1e30"):
        monkeypatch.setenv(name, text)
        with pytest.raises(UsageError, match=name):
            usual_patience()


# --- bodies -------------------------------------------------------------------------------------------


def test_a_file_is_sent_with_its_length_and_again_from_its_start(tmp_path: Path, pauses: list[float]) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(bytes(range(256)) * 4000)
    with faulty(reply(503), reply()) as server:
        over(server.url).send(Request(method="PUT", path="/f", body=file))
        file.write_bytes(b"")
        over(server.url).send(Request(method="PUT", path="/f", body=file))
    assert [len(heard.body) for heard in server.heard] == [1_024_000, 1_024_000, 0]
    assert all(heard.headers["content-length"] == str(len(heard.body)) for heard in server.heard)


def test_of_a_file_that_grows_as_much_is_sent_as_was_said(tmp_path: Path) -> None:
    file = tmp_path / "stdout.log"
    file.write_bytes(b"one two three")
    with faulty(reply()) as server:
        over(server.url).send(Request(method="PUT", path="/f", body=file, headers={"Content-Length": "7"}))
    assert server.heard[0].body == b"one two"


def test_a_file_that_is_shorter_than_was_said_or_not_there_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "stdout.log"
    file.write_bytes(b"one")
    with faulty(reply()) as server:
        with pytest.raises(StoreError, match="shorter"):
            over(server.url).send(
                Request(method="PUT", path="/f", body=file, headers={"Content-Length": "7"})
            )
        with pytest.raises(StoreError, match="cannot be read"):
            over(server.url).send(Request(method="PUT", path="/f", body=tmp_path / "none"))


def test_a_streamed_answer_is_whole_or_an_error(pauses: list[float]) -> None:
    whole = b"0123456789" * 100_000
    with faulty(reply(503), reply(body=whole), broken_off(body=b"half")) as server:
        transport = over(server.url)
        with transport.open(GET) as (answer, stream):
            assert (answer.status, answer.body) == (200, b"")
            assert stream.read(7) + stream.read() == whole
        with transport.open(GET) as (_, stream), pytest.raises(UnreachableError, match="in the middle"):
            stream.read()
        transport.close()


# --- where it goes ------------------------------------------------------------------------------------


def test_a_redirect_is_followed_on_the_same_server_only() -> None:
    secret = Credentials(authorization="Bearer secret")
    with (
        faulty(reply(body=b"stolen")) as other,
        faulty(
            reply(307, location="/moved"), reply(body=b"here"), reply(302, location=f"{other.url}/login?a=b")
        ) as server,
    ):
        transport = over(server.url, credentials=secret)
        assert transport.send(LOG).body == b"here"
        with pytest.raises(StoreError, match="redirects to") as caught:
            transport.send(GET)
    assert f"{other.url}/login" in told(caught)
    assert "a=b" not in told(caught)
    assert other.heard == []
    assert [(heard.method, heard.target) for heard in server.heard[:2]] == [
        ("POST", LOG.path),
        ("POST", "/moved"),
    ]


def test_a_redirect_that_would_change_the_method_is_refused() -> None:
    with faulty(reply(301, location="/elsewhere")) as server, pytest.raises(StoreError, match="redirects"):
        over(server.url).send(LOG)
    assert len(server.heard) == 1


def test_redirects_in_a_circle_end() -> None:
    with faulty(reply(302, location="/again")) as server, pytest.raises(StoreError, match="circle"):
        over(server.url).send(GET)


def test_the_way_to_a_server_below_a_path() -> None:
    with faulty(reply()) as server:
        over(f"{server.url}/mlflow/").send(Request(method="GET", path="/a%20b", query=(("x", "é &"),)))
    assert server.heard[0].target == "/mlflow/a%20b?x=%C3%A9+%26"
    assert server.heard[0].headers["user-agent"].startswith("proj/")


def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with faulty(reply()) as gone:
        url = gone.url
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", url.replace("://", "://user:secret@"))
    with pytest.raises(UnreachableError, match="proxy") as caught:
        over("http://tracking.example", QUICK).send(GET)
    assert "HTTP_PROXY" in told(caught)
    assert "secret" not in told(caught)


# --- who it is, and who answers -----------------------------------------------------------------------


def heard_of(url: str, server: FaultyServer) -> Heard:
    with_environment = HttpTransport(url, patience=SOON)
    with_environment.send(GET)
    with_environment.close()
    return server.heard[-1]


def test_credentials_are_sent_and_a_netrc_is_for_who_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password from-netrc\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with faulty(reply()) as server:
        over(server.url, credentials=Credentials(authorization="Bearer mine")).send(GET)
        over(server.url).send(GET)
    assert server.heard[0].headers["authorization"] == "Bearer mine"
    assert server.heard[1].headers["authorization"].startswith("Basic ")


def test_credentials_of_the_url_are_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "another")
    with faulty(reply()) as server:
        url = server.url.replace("://", "://ada:sec%20x@")
        assert heard_of(url, server).headers["authorization"] == "Basic YWRhOnNlYyB4"
        assert HttpTransport(url).url == server.url
    with pytest.raises(UnreachableError) as caught:
        HttpTransport(url, patience=QUICK).send(GET)
    assert "sec" not in told(caught)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tlskit.self_signed(tmp_path_factory.mktemp("tls"))


def test_a_server_that_nobody_vouches_for_is_not_trusted(certificate: Path, pauses: list[float]) -> None:
    with faulty(reply(), certificate=certificate) as server:
        with pytest.raises(UnreachableError, match="cannot be trusted") as caught:
            over(server.url).send(GET)
        trusted = Credentials(verify=str(certificate))
        assert over(server.url, credentials=trusted).send(GET).status == 200
        assert over(server.url, credentials=Credentials(verify=False)).send(GET).status == 200
    assert "MLFLOW_TRACKING_SERVER_CERT_PATH" in told(caught)
    assert pauses == [], "it would not be trusted a moment later either"


def test_certificates_of_the_environment_do_not_override_what_was_asked_for(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
    with faulty(reply(), certificate=certificate) as server:
        assert over(server.url, credentials=Credentials(verify=str(certificate))).send(GET).status == 200
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with faulty(reply(), certificate=certificate) as server:
        assert over(server.url).send(GET).status == 200


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path, certificate: Path) -> None:
    with faulty(reply(), certificate=certificate) as server:
        for wrong in (
            Credentials(verify=False, client_certificate=str(tmp_path / "none.pem")),
            Credentials(verify=str(tmp_path / "none.pem")),
        ):
            with pytest.raises(StoreError, match=r"none\.pem"):
                over(server.url, credentials=wrong).send(GET)


def test_a_stream_that_is_left_early_gives_its_connection_back() -> None:
    with faulty(reply(body=b"x" * 1_000_000)) as server:
        transport = over(server.url)
        for _ in range(3):
            with transport.open(GET) as (_answer, stream):
                assert stream.read(10) == b"x" * 10
        assert len(transport._pool._idle) == 1
        transport.close()


def test_a_server_without_tls_is_told_from_one_that_is_not_trusted(pauses: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        with pytest.raises(UnreachableError, match="speaks no TLS") as caught:
            over(f"https://{address}").send(GET)
        thread.join()
    assert f"Try http://{address}." in told(caught)
    assert pauses == []


def test_a_server_with_tls_may_be_one_that_ends_what_is_without(certificate: Path) -> None:
    with faulty(reply(), certificate=certificate) as server:
        plain = server.url.replace("https:", "http:")
        with pytest.raises(StoreError, match="was lost") as caught:
            over(plain).send(CREATE)
    assert f"or {server.url}, if it speaks TLS." in told(caught)
