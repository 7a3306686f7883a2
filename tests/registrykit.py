"""Registries for tests: one in a thread that misbehaves as it is told, and the real one of Debian."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import json
import os
import re
import shutil
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ports import own_port
from proj import process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

USER, PASSWORD, TOKEN = "ada", "canary-password-7431", "canary-token-9912"


class Fault:
    """What happens to some requests.

    Args:
        status: Answer with this.
        headers: And these.
        body: And this.
        drop_after: Send no more than so many bytes of a body, and close the connection.
        take: Read no more than so many bytes of what is sent, and close the connection.
        change: Send other bytes than those asked for, of the same length.
        digest: Claim this digest.
        times: How many requests it happens to.
    """

    def __init__(
        self,
        *,
        status: int = 0,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        drop_after: int | None = None,
        take: int | None = None,
        change: bool = False,
        digest: str | None = None,
        times: int = 1000,
    ) -> None:
        self.status = status
        self.headers = headers or {}
        self.body = body
        self.drop_after = drop_after
        self.take = take
        self.change = change
        self.digest = digest
        self.times = times


class FakeRegistry:
    """A registry by the distribution specification, in a thread.

    Args:
        auth: None, `basic`, or `token`.
    """

    def __init__(self, auth: str | None = None) -> None:
        self.auth = auth
        self.blobs: dict[str, dict[str, bytes]] = {}
        self.manifests: dict[tuple[str, str], tuple[bytes, str]] = {}
        self.uploads: dict[str, bytearray] = {}
        self.numbers = itertools.count()
        self.requests: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.scopes: list[str] = []
        self.sent_bytes = 0
        self._faults: list[tuple[str, re.Pattern[str], Fault]] = []
        self._lock = threading.Lock()
        registry = self

        class Handler(_Handler):
            fake = registry

        self.server = _Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.server_address[1]}"

    def fail(self, method: str, pattern: str, **options: Any) -> Fault:
        """Let something happen to the requests whose path has a pattern."""
        fault = Fault(**options)
        self._faults.append((method, re.compile(pattern), fault))
        return fault

    def fault(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for wanted, pattern, fault in self._faults:
                if wanted == method and pattern.search(path) and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def count(self, method: str, pattern: str) -> int:
        return sum(1 for m, path in self.requests if m == method and re.search(pattern, path))

    def put_blob(self, repo: str, content: bytes) -> str:
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        self.blobs.setdefault(repo, {})[digest] = content
        return digest

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Clients that hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    fake: FakeRegistry
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._handle()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815  as the library calls them

    # --- the way of a request ---------------------------------------------------------------------

    def _handle(self) -> None:
        fake, parts = self.fake, urlsplit(self.path)
        fake.requests.append((self.command, self.path))
        fake.headers.append(dict(self.headers.items()))
        length = int(self.headers.get("Content-Length") or 0)
        fault = fake.fault(self.command, self.path)
        if fault is not None and fault.take is not None:
            data = self.rfile.read(min(length, fault.take))
            self._part_arrived(parts.path, data)
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        body = self.rfile.read(length)
        fake.sent_bytes += len(body)
        if fault is not None and fault.status:
            self._answer(fault.status, fault.body, fault.headers)
        elif parts.path == "/token":
            self._token(parse_qs(parts.query) | parse_qs(body.decode()))
        elif not self._let_in():
            kind = f'Bearer realm="http://{fake.host}/token",service="fake"'
            self._answer(401, b"", {"WWW-Authenticate": 'Basic realm="x"' if fake.auth == "basic" else kind})
        else:
            self._serve(parts.path, parse_qs(parts.query), body, fault)

    def _part_arrived(self, path: str, data: bytes) -> None:
        upload = re.fullmatch(r"/v2/(.+)/blobs/uploads/(\w+)", path)
        if upload:
            self.fake.uploads[upload[2]] += data

    def _let_in(self) -> bool:
        said = self.headers.get("Authorization", "")
        if self.fake.auth == "basic":
            return said == "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return self.fake.auth is None or said == f"Bearer {TOKEN}"

    def _token(self, query: dict[str, list[str]]) -> None:
        self.fake.scopes += query.get("scope", [])
        given = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != given and query.get("refresh_token") != ["identity-canary"]:
            self._answer(401, b"{}")
            return
        name = "access_token" if self.command == "POST" else "token"
        self._answer(200, json.dumps({name: TOKEN, "expires_in": 300}).encode())

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if "Content-Length" not in (headers or {}):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    # --- what it serves ---------------------------------------------------------------------------

    def _serve(self, path: str, query: dict[str, list[str]], body: bytes, fault: Fault | None) -> None:
        fake = self.fake
        if path == "/v2/":
            self._answer(200)
        elif found := re.fullmatch(r"/v2/(.+)/manifests/([^/]+)", path):
            self._manifest(found[1], found[2], body, fault)
        elif found := re.fullmatch(r"/v2/(.+)/blobs/(sha256:\w+)", path):
            content = fake.blobs.get(found[1], {}).get(found[2])
            if content is None:
                self._answer(404, b'{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}')
            else:
                self._blob(content, fault)
        elif found := re.fullmatch(r"/v2/(.+)/blobs/uploads/(\w*)", path):
            self._upload(found[1], found[2], query, body, fault)
        else:
            self._answer(404)

    def _blob(self, content: bytes, fault: Fault | None) -> None:
        status, headers = 200, {}
        if fault is not None and fault.change:
            content = content[:-1] + bytes([content[-1] ^ 1])
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if asked:
            headers["Content-Range"] = f"bytes {asked[1]}-{asked[2]}/{len(content)}"
            status, content = 206, content[int(asked[1]) : int(asked[2]) + 1]
        if fault is None or fault.drop_after is None:
            self._answer(status, content, headers)
            return
        self._answer(status, content[: fault.drop_after], {**headers, "Content-Length": str(len(content))})
        self.close_connection = True

    def _manifest(self, repo: str, version: str, body: bytes, fault: Fault | None) -> None:
        fake = self.fake
        if self.command == "PUT":
            digest = "sha256:" + hashlib.sha256(body).hexdigest()
            for name in (version, digest):
                fake.manifests[repo, name] = (body, self.headers["Content-Type"])
            claimed = fault.digest if fault is not None and fault.digest else digest
            self._answer(201, b"", {"Docker-Content-Digest": claimed})
            return
        found = fake.manifests.get((repo, version))
        if found is None:
            self._answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
            return
        content, media_type = found
        claimed = "sha256:" + hashlib.sha256(content).hexdigest()
        if fault is not None and fault.change:
            content = content.replace(b'"size":', b'"size" :', 1)
        if fault is not None and fault.digest:
            claimed = fault.digest
        self._answer(200, content, {"Content-Type": media_type, "Docker-Content-Digest": claimed})

    def _upload(
        self, repo: str, name: str, query: dict[str, list[str]], body: bytes, fault: Fault | None
    ) -> None:
        fake = self.fake
        place = f"/v2/{repo}/blobs/uploads/"
        if self.command == "POST":
            source, digest = query.get("from", [""])[0], query.get("mount", [""])[0]
            if digest in fake.blobs.get(source, {}):
                fake.blobs.setdefault(repo, {})[digest] = fake.blobs[source][digest]
                self._answer(201, b"", {"Location": f"/v2/{repo}/blobs/{digest}"})
                return
            name = f"u{next(fake.numbers)}"
            fake.uploads[name] = bytearray()
            self._answer(202, b"", {"Location": f"{place}{name}?state=x", "Range": "0-0"})
        elif name not in fake.uploads:
            self._answer(404, b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"upload unknown"}]}')
        elif self.command == "PATCH":
            begins = self.headers.get("Content-Range", "0-").partition("-")[0]
            if int(begins) != len(fake.uploads[name]):
                self._answer(416)
                return
            fake.uploads[name] += body
            self._answer(202, b"", {"Location": f"{place}{name}"})
        elif self.command == "GET":
            self._answer(
                204, b"", {"Location": f"{place}{name}", "Range": f"0-{max(0, len(fake.uploads[name]) - 1)}"}
            )
        elif self.command == "PUT":
            content = bytes(fake.uploads.pop(name)) + body
            if "sha256:" + hashlib.sha256(content).hexdigest() != query["digest"][0]:
                self._answer(400, b'{"errors":[{"code":"DIGEST_INVALID","message":"digest did not match"}]}')
                return
            digest = fake.put_blob(repo, content)
            claimed = fault.digest if fault is not None and fault.digest else digest
            self._answer(201, b"", {"Docker-Content-Digest": claimed})
        else:
            fake.uploads.pop(name, None)
            self._answer(204)


@pytest.fixture
def fake_registry() -> Iterator[FakeRegistry]:
    """A registry that lets everybody in."""
    registry = FakeRegistry()
    yield registry
    registry.close()


@pytest.fixture
def new_registry() -> Iterator[Callable[[str | None], FakeRegistry]]:
    """Makes registries with one kind of authentication."""
    made: list[FakeRegistry] = []

    def make(auth: str | None) -> FakeRegistry:
        made.append(FakeRegistry(auth))
        return made[-1]

    yield make
    for registry in made:
        registry.close()


class RealRegistry:
    """Debian's docker-registry.

    Args:
        host: Where it listens.
        folder: Its storage.
    """

    def __init__(self, host: str, folder: Path) -> None:
        self.host = host
        self.folder = folder


_CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: {host}{tls}}}
"""


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    """The real registry, for the whole session; tests that use it carry the marker `registry`."""
    with serving(tmp_path_factory.mktemp("registry")) as found:
        yield found


@contextlib.contextmanager
def serving(folder: Path, tls: str = "") -> Iterator[RealRegistry]:
    """Start the real registry.

    Args:
        folder: For what it keeps.
        tls: Its settings for TLS, in YAML.
    """
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed")
    host = f"127.0.0.1:{own_port()}"
    (folder / "config.yml").write_text(_CONFIG.format(folder=folder / "store", host=host, tls=tls))
    with (folder / "log").open("wb") as log:
        words = [program, "serve", str(folder / "config.yml")]
        server = process.spawn(
            words, cwd=folder, env=dict(os.environ), stdout=log.fileno(), stderr=log.fileno()
        )
    try:
        _await(host)
        yield RealRegistry(host, folder / "store")
    finally:
        server.terminate()
        server.wait(60)


def _await(host: str) -> None:
    name, _, port = host.partition(":")
    for _ in range(2000):
        with contextlib.suppress(OSError), socket.create_connection((name, int(port)), 1):
            return
        time.sleep(0.05)
    raise AssertionError(f"no registry at {host}")
