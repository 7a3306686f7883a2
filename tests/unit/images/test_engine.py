"""The engine's API over real connections: streams cut anywhere, damaged answers, TLS that fails."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING

import pytest

import tlskit
from faultykit import broken_off, drop, faulty, reply
from proj.errors import ImageError
from proj.images.daemon import connected
from proj.images.engine import STDERR, STDOUT, Engine, EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faultykit import FaultyServer

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
_PAUSE_S = 0.002


def _frame(number: int, data: bytes) -> bytes:
    return struct.pack(">BxxxL", number, len(data)) + data


def _sent(
    *parts: bytes, head: bytes = _HEAD, stdin: list[bytes] | None = None
) -> Callable[[socket.socket], None]:
    """A stream that comes in these parts, the first when a line `end` has come by the standard input."""

    def step(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(head + b"\r\n")
        while stdin is not None and not b"".join(stdin).endswith(b"\nend\n"):
            stdin.append(connection.recv(1 << 16))
        for part in parts:
            if part:
                connection.sendall(part)
                time.sleep(_PAUSE_S)
        drop(connection)

    return step


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[[FaultyServer], Engine]:
    """Makes the engine's client for a server."""
    for name in ("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)

    def make(server: FaultyServer) -> Engine:
        monkeypatch.setenv("DOCKER_HOST", server.url.replace("http:", "tcp:").replace("https:", "tcp:"))
        return Engine()

    return make


def _taken(engine: Engine, *, tty: bool = False) -> tuple[bytes, bytes]:
    """What came of both streams."""
    found = {STDOUT: b"", STDERR: b""}
    with engine.logs("c", follow=True) as stream:
        for number, data in stream.pieces(tty=tty):
            assert data
            found[number] += data
    return found[STDOUT], found[STDERR]


# --- the streams of a container -----------------------------------------------------------------------

_STREAM = _frame(1, b"out\n") + _frame(2, "é\r\n".encode()) + _frame(1, b"") + _frame(1, b"\x00\x01\xff")
_STDIN = b"secret\n" * 30_000 + b"end\n"
_WHOLE = (b"out\n\x00\x01\xff", "é\r\n".encode())


def test_frames_that_are_cut_at_any_byte_are_put_together(asked: Callable[[FaultyServer], Engine]) -> None:
    cuts = range(len(_STREAM) + 1)
    with faulty(*(_sent(_STREAM[:cut], _STREAM[cut:]) for cut in cuts)) as server:
        engine = asked(server)
        for cut in cuts:
            assert _taken(engine) == _WHOLE, cut


def test_frames_that_come_byte_by_byte_are_put_together(asked: Callable[[FaultyServer], Engine]) -> None:
    with faulty(_sent(*(bytes([byte]) for byte in _STREAM))) as server:
        assert _taken(asked(server)) == _WHOLE


def test_frames_in_chunks_of_http_are_put_together(asked: Callable[[FaultyServer], Engine]) -> None:
    chunks = [_STREAM[begin : begin + 5] for begin in range(0, len(_STREAM), 5)]
    coded = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks]
    with faulty(_sent(*coded, b"0\r\n\r\n", head=_HEAD + b"Transfer-Encoding: chunked\r\n")) as server:
        assert _taken(asked(server)) == _WHOLE


def test_a_frame_is_passed_on_before_all_of_it_has_come(asked: Callable[[FaultyServer], Engine]) -> None:
    large = bytes(range(256)) * 1024
    with faulty(_sent(_frame(2, large))) as server, asked(server).logs("c", follow=True) as stream:
        pieces = list(stream.pieces(tty=False))
    assert b"".join(data for _, data in pieces) == large
    assert max(len(data) for _, data in pieces) <= 1 << 16
    assert {number for number, _ in pieces} == {STDERR}


def test_a_terminal_has_one_stream_without_frames(asked: Callable[[FaultyServer], Engine]) -> None:
    with faulty(_sent(b"a\x01\x00\x00\x00\x00\x00\x00\x02", b"bc")) as server:
        assert _taken(asked(server), tty=True) == (b"a\x01\x00\x00\x00\x00\x00\x00\x02bc", b"")


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ((_frame(1, b"whole"), _frame(1, b"x")[:3]), "within a header"),
        ((_frame(1, b"whole"), _frame(1, b"broken")[:-1]), "within a piece"),
        ((_frame(1, b"whole"), b"HTTP/1.1 200 OK\r\n"), "no output"),
    ],
)
def test_a_stream_that_ends_too_soon_is_no_end(
    asked: Callable[[FaultyServer], Engine], parts: tuple[bytes, ...], said: str
) -> None:
    got: list[tuple[int, bytes]] = []
    with faulty(_sent(*parts)) as server, asked(server).logs("c", follow=True) as stream:
        with pytest.raises(ConnectionResetError, match=said):
            got.extend(stream.pieces(tty=False))
        assert got[0] == (STDOUT, b"whole")


def test_chunks_that_break_off_are_no_end(asked: Callable[[FaultyServer], Engine]) -> None:
    chunked = _HEAD + b"Transfer-Encoding: chunked\r\n"
    with (
        faulty(_sent(b"20\r\n" + _frame(1, b"x"), head=chunked)) as server,
        asked(server).logs("c", follow=True) as stream,
        pytest.raises(OSError, match=r"ended|IncompleteRead|0 bytes read"),
    ):
        list(stream.pieces(tty=False))


def test_the_standard_input_stays_open_while_output_comes(asked: Callable[[FaultyServer], Engine]) -> None:
    stdin: list[bytes] = []
    with (
        faulty(_sent(_STREAM, stdin=stdin)) as server,
        asked(server).attached("c", stdin=True) as stream,
    ):
        stream.write_all(_STDIN)
        assert b"".join(data for _, data in stream.pieces(tty=False)) == b"out\n\xc3\xa9\r\n\x00\x01\xff"
    assert b"".join(stdin) == _STDIN


# --- answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"<html>login</html>", b'{"Id": "a', b"\xff\xfe", b"[" * 100_000],
    ids=["html", "cut", "bytes", "deep"],
)
def test_an_answer_that_is_none_is_told(asked: Callable[[FaultyServer], Engine], body: bytes) -> None:
    with faulty(reply(body=body)) as server:
        with pytest.raises(ImageError, match="is no docker daemon, or its answer is damaged") as caught:
            asked(server).ask("GET", "/version")
        assert caught.value.details[0].startswith("GET /version: ")


def test_an_answer_that_breaks_off_is_told(asked: Callable[[FaultyServer], Engine]) -> None:
    with faulty(broken_off(body=b'{"Id": 1}')) as server, pytest.raises(ImageError, match="No docker daemon"):
        asked(server).ask("GET", "/version")


def test_a_refusal_that_breaks_off_is_still_one(asked: Callable[[FaultyServer], Engine]) -> None:
    with faulty(broken_off(409)) as server, pytest.raises(EngineError) as caught:
        asked(server).ask("POST", "/containers/create", body={})
    assert caught.value.status == 409


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"message": " no such image\\n"}', "no such image"),
        (b"[1]", "[1]"),
        (b'{"message": 3}', '{"message": 3}'),
    ],
)
def test_a_refusal_is_told_in_the_engine_s_words(
    asked: Callable[[FaultyServer], Engine], body: bytes, said: str
) -> None:
    with faulty(reply(404, body)) as server, pytest.raises(EngineError) as caught:
        asked(server).ask("GET", "/images/x/json")
    assert caught.value.said == said


def test_an_empty_answer_is_none(asked: Callable[[FaultyServer], Engine]) -> None:
    with faulty(reply(body=b"")) as server:
        assert asked(server).ask("POST", "/containers/c/kill") is None


def test_an_engine_that_speaks_later_versions_only_is_asked_in_those(
    asked: Callable[[FaultyServer], Engine],
) -> None:
    too_old = (
        b'{"message":"client version 1.40 is too old. Minimum supported API version is 1.44, please upgrade"}'
    )
    with faulty(reply(400, too_old), reply(), reply()) as server:
        engine = asked(server)
        assert engine.ask("POST", "/containers/create", {"name": "x"}, {"Image": "i"}) == {}
        assert engine.ask("GET", "/info") == {}
    assert [heard.target for heard in server.heard] == [
        "/v1.40/containers/create?name=x",
        "/v1.44/containers/create?name=x",
        "/v1.44/info",
    ]
    assert server.heard[0].body == server.heard[1].body == b'{"Image": "i"}'


def test_an_engine_that_takes_no_version_is_not_asked_for_ever(
    asked: Callable[[FaultyServer], Engine],
) -> None:
    too_old = b'{"message":"client version 1.40 is too old. Minimum supported API version is 1.44"}'
    with faulty(reply(400, too_old)) as server, pytest.raises(EngineError, match="too old"):
        asked(server).ask("GET", "/info")
    assert len(server.heard) == 2


# --- TLS ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """See `tlskit.issued`."""
    return tlskit.issued(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def certificates(tmp_path: Path, issued: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`DOCKER_CERT_PATH` with all that is needed, for the test to damage."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (folder / name).write_bytes((issued / name).read_bytes())
    monkeypatch.setenv("DOCKER_CERT_PATH", str(folder))
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    return folder


@pytest.fixture
def served(issued: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyServer]:
    """An engine that wants certificates of its clients."""
    with faulty(reply(), certificate=issued / "server.pem", clients=issued / "ca.pem") as server:
        monkeypatch.setenv("DOCKER_HOST", server.url.replace("https:", "tcp:"))
        yield server


def _told() -> ImageError:
    with pytest.raises(ImageError) as caught:
        Engine().ask("GET", "/version")
    return caught.value


@pytest.mark.usefixtures("certificates", "served")
def test_an_engine_of_the_authority_is_asked() -> None:
    assert Engine().ask("GET", "/version") == {}


@pytest.mark.usefixtures("certificates")
def test_docker_s_library_trusts_the_engine_s_authority_as_well(
    issued: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(issued / "other-ca.pem"))
    answers = reply(body=b'{"ApiVersion": "1.41"}')
    with faulty(answers, certificate=issued / "server.pem", clients=issued / "ca.pem") as server:
        monkeypatch.setenv("DOCKER_HOST", server.url.replace("https:", "tcp:"))
        with connected() as client:
            assert client.version() == {"ApiVersion": "1.41"}


def test_an_engine_that_goes_away_from_docker_s_library_is_told(
    asked: Callable[[FaultyServer], Engine],
) -> None:
    with faulty(reply(body=b'{"ApiVersion": "1.41"}'), drop) as server:
        asked(server)
        with pytest.raises(ImageError, match="No docker daemon answers"), connected() as client:
            client.version()


@pytest.mark.usefixtures("served")
def test_without_verification_any_engine_is_asked(
    certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_TLS_VERIFY")
    (certificates / "ca.pem").unlink()
    assert Engine().ask("GET", "/version") == {}


@pytest.mark.usefixtures("served")
def test_an_engine_of_another_authority_is_not_trusted(certificates: Path, issued: Path) -> None:
    (certificates / "ca.pem").write_bytes((issued / "other-ca.pem").read_bytes())
    error = _told()
    assert "is not trusted: self-signed certificate in certificate chain" in error.message
    assert str(certificates / "ca.pem") in str(error.hint)


@pytest.mark.usefixtures("certificates")
def test_an_engine_of_another_name_is_not_trusted(issued: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with faulty(reply(), certificate=issued / "server.pem", host="127.0.0.2") as server:
        monkeypatch.setenv("DOCKER_HOST", server.url.replace("https:", "tcp:"))
        assert "IP address mismatch" in _told().message


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("name", ["ca.pem", "cert.pem", "key.pem"])
@pytest.mark.parametrize("content", [b"", b"damaged", b"\x00\xff" * 50, None])
def test_a_damaged_certificate_is_told_by_its_name(
    certificates: Path, name: str, content: bytes | None
) -> None:
    whole = (certificates / name).read_bytes()
    (certificates / name).write_bytes(whole[: len(whole) // 2] if content is None else content)
    error = _told()
    assert name in error.message
    assert "cannot be used: it is no PEM" in error.message
    assert "DOCKER_CERT_PATH" in str(error.hint)


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("name", ["ca.pem", "cert.pem"])
def test_a_certificate_that_is_a_folder_is_told(certificates: Path, name: str) -> None:
    (certificates / name).unlink()
    (certificates / name).mkdir()
    assert f"{certificates / name}" in _told().message


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("name", ["cert.pem", "key.pem"])
def test_half_of_a_client_s_certificate_is_told(certificates: Path, name: str) -> None:
    (certificates / name).unlink()
    assert _told().message == f"The docker daemon cannot be asked: {certificates / name} is missing."


@pytest.mark.usefixtures("served")
def test_a_key_of_another_certificate_is_told(certificates: Path, issued: Path) -> None:
    (certificates / "key.pem").write_bytes((issued / "ca-key.pem").read_bytes())
    assert "the key is not that of the certificate" in _told().message


@pytest.mark.usefixtures("served")
def test_a_key_with_a_password_is_told_without_asking_for_it(certificates: Path) -> None:
    words = ("-in", "key.pem", "-aes256", "-passout", "pass:x", "-out", "key.pem")
    tlskit.openssl(certificates, "ec", *words)
    assert "the key has a password" in _told().message


@pytest.mark.usefixtures("served")
def test_a_client_without_a_certificate_is_told_what_is_wanted(certificates: Path) -> None:
    (certificates / "cert.pem").unlink()
    (certificates / "key.pem").unlink()
    error = _told()
    assert "refuses the connection" in error.message
    assert "cert.pem and key.pem" in str(error.hint)


def test_a_refusal_whose_words_were_lost_is_still_told(
    certificates: Path, issued: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reset(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(connection.detach())

    with faulty(reset, certificate=issued / "server.pem") as server:
        monkeypatch.setenv("DOCKER_HOST", server.url.replace("https:", "tcp:"))
        assert "No docker daemon answers" in _told().message, "it was shown a certificate"
        (certificates / "cert.pem").unlink()
        (certificates / "key.pem").unlink()
        error = _told()
    assert "refuses the connection" in error.message
    assert "cert.pem and key.pem" in str(error.hint)


@pytest.mark.usefixtures("certificates")
def test_an_engine_without_tls_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        assert "does not speak TLS" in _told().message
        thread.join()


@pytest.mark.usefixtures("certificates")
def test_streams_over_tls_go_both_ways(issued: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin: list[bytes] = []
    with faulty(_sent(_STREAM, stdin=stdin), certificate=issued / "server.pem") as server:
        monkeypatch.setenv("DOCKER_HOST", server.url.replace("https:", "tcp:"))
        with Engine().attached("c", stdin=True) as stream:
            stream.write_all(_STDIN)
            assert b"".join(data for _, data in stream.pieces(tty=False)) == b"out\n\xc3\xa9\r\n\x00\x01\xff"
    assert b"".join(stdin) == _STDIN
