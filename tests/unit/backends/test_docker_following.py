"""A container's output over connections that break: no line is lost, none comes twice."""

from __future__ import annotations

import contextlib
import http.server
import json
import struct
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proj.backends.docker import handle
from proj.backends.docker.handle import DockerHandle
from proj.images.engine import Engine
from proj.model import ImageRuntime, RunStatus
from proj.process.following import Following
from proj.testing.backends import execution_maker, stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_LIMIT_S = 110.0


def _frame(number: int, data: bytes) -> bytes:
    return struct.pack(">BxxxL", number, len(data)) + data


class FakeEngine(http.server.ThreadingHTTPServer):
    """An engine with one container, whose connections break where a test wants them to.

    Args:
        written: What the container writes: number of stream and text.
        cuts: After how many bytes one connection after the other that follows its output is cut.
            The first that is not ends the container.
        final_cuts: The same for connections after its end.
        chunked: Whether output comes in HTTP's chunks, which tell that it is cut.
    """

    daemon_threads = True

    def __init__(
        self,
        written: Sequence[tuple[int, bytes]],
        *,
        cuts: Sequence[int] = (),
        final_cuts: Sequence[int] = (),
        chunked: bool = True,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Requests)
        self.frames = b"".join(_frame(number, data) for number, data in written)
        self.logged = b"".join(
            _frame(number, data.decode("utf-8", "replace").encode()) for number, data in written
        )
        self.cuts = list(cuts)
        self.final_cuts = list(final_cuts)
        self.chunked = chunked
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.asked: list[str] = []

    def handle_error(self, *_: object) -> None:
        """Whoever asks may go away at any time."""


class _Requests(http.server.BaseHTTPRequestHandler):
    server: FakeEngine
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if "/logs" in self.path:
            return self._stream(self.server.logged, follow="follow=1" in self.path)
        over = self.server.ended.is_set()
        state = {
            "Status": "exited" if over else "running",
            "ExitCode": 3,
            "StartedAt": "2026-01-01T00:00:00Z",
        }
        return self._answer({"State": state, "Config": {"Tty": False}, "HostConfig": {}})

    def do_POST(self) -> None:
        if "/attach" in self.path:
            return self._stream(self.server.frames, follow=True)
        self.server.ended.wait(_LIMIT_S)
        return self._answer({"StatusCode": 3})

    def _answer(self, value: dict[str, Any]) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, content: bytes, *, follow: bool) -> None:
        server = self.server
        with server.lock:
            cuts = server.cuts if follow else server.final_cuts
            cut = cuts.pop(0) if cuts else None
            server.asked.append(self.path)
        self.close_connection = True
        self.send_response(200)
        if server.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        part = content if cut is None else content[:cut]
        if not server.chunked:
            self.wfile.write(part)
        elif part:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        if cut is None:
            if server.chunked:
                self.wfile.write(b"0\r\n\r\n")
            server.ended.set()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextlib.contextmanager
def _serving(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    thread = threading.Thread(target=engine.serve_forever, args=(0.002,))
    thread.start()
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{engine.server_address[1]}")
    for name in ("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(handle, "_PAUSE_S", 0.005)
    try:
        yield
    finally:
        engine.ended.set()
        engine.shutdown()
        engine.server_close()
        thread.join()


def _followed(
    folder: Path, engine: FakeEngine, *, attached: bool, before: tuple[bytes, bytes] = (b"", b"")
) -> tuple[bytes, bytes]:
    """Follow the container from its start, or as one whose client has died; what is stored then."""
    execution = execution_maker(folder, runtime=ImageRuntime(image="image"), cwd="/")("true")
    for name, content in zip(("stdout", "stderr"), before, strict=True):
        if content:
            (folder / "record-1" / f"{name}.log").write_bytes(content)
    client = Engine()
    if attached:
        following = Following(folder / "record-1", grace_s=1.0, quiet=True)
        watched = DockerHandle(client, "c", execution, following)
        connection = contextlib.ExitStack()
        watched.follow(connection, connection.enter_context(client.attached("c", stdin=True)))
    else:
        watched = DockerHandle(client, "c", execution)
    outcome = watched.wait()
    assert (outcome.status, outcome.exit_code) == (RunStatus.FAILED, 3)
    assert "did not come" not in str(outcome.message)
    assert engine.ended.is_set()
    return stored(execution), stored(execution, "stderr")


_WRITTEN = ((1, b"one\n"), (2, "bäd\n".encode()), (1, b"two\nthree"), (1, b"\n"), (2, b"worse\n"))
_OUT, _ERR = b"one\ntwo\nthree\n", "bäd\nworse\n".encode()
_SIZE = sum(8 + len(data) for _, data in _WRITTEN)


@pytest.mark.parametrize("attached", [True, False])
@pytest.mark.parametrize("chunked", [True, False])
def test_a_connection_that_breaks_at_any_byte_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attached: bool, chunked: bool
) -> None:
    for cut in range(0, _SIZE, 1 if attached and chunked else 5):
        folder = tmp_path / str(cut)
        folder.mkdir()
        engine = FakeEngine(_WRITTEN, cuts=[cut], chunked=chunked)
        with _serving(engine, monkeypatch):
            assert _followed(folder, engine, attached=attached) == (_OUT, _ERR), cut


@settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    written=st.lists(st.tuples(st.sampled_from((1, 2)), st.text(max_size=40)), max_size=12),
    cuts=st.lists(st.integers(0, 600), max_size=5),
    final_cuts=st.lists(st.integers(0, 600), max_size=2),
    attached=st.booleans(),
)
def test_whatever_breaks_each_byte_comes_once(
    tmp_path_factory: pytest.TempPathFactory,
    written: list[tuple[int, str]],
    cuts: list[int],
    final_cuts: list[int],
    attached: bool,
) -> None:
    pieces = [(number, text.encode()) for number, text in written]
    whole = tuple(b"".join(data for each, data in pieces if each == number) for number in (1, 2))
    engine = FakeEngine(pieces, cuts=cuts, final_cuts=final_cuts)
    with pytest.MonkeyPatch.context() as patch, _serving(engine, patch):
        assert _followed(tmp_path_factory.mktemp("run"), engine, attached=attached) == whole


@pytest.mark.parametrize("had", range(len(_OUT) + 1))
def test_what_an_earlier_client_stored_does_not_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, had: int
) -> None:
    engine = FakeEngine(_WRITTEN, cuts=[20])
    with _serving(engine, monkeypatch):
        assert _followed(tmp_path, engine, attached=False, before=(_OUT[:had], b"")) == (_OUT, _ERR)


def test_bytes_that_are_no_text_do_not_shift_what_comes_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = ((1, b"\xff\xfe begin\n"), (1, b"and end\n"))
    engine = FakeEngine(written, cuts=[8 + len(written[0][1]) + 8 + 4])
    with _serving(engine, monkeypatch):
        found, _ = _followed(tmp_path, engine, attached=True)
    assert found == b"\xff\xfe begin\nand end\n"


def test_the_last_look_is_repeated_if_it_breaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine(_WRITTEN, cuts=[30], final_cuts=[3, 40])
    engine.ended.set()
    with _serving(engine, monkeypatch):
        assert _followed(tmp_path, engine, attached=True) == (_OUT, _ERR)
    assert sum("follow=0" in path for path in engine.asked) == 3
