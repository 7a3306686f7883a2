"""Real repositories, and a real git server on loopback, for the tests of `proj.source`."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess  # noqa: TID251  a CGI program speaks bytes
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from proj import process
from proj.source.git import REDIRECTING_VARIABLES

if TYPE_CHECKING:
    from pathlib import Path


class Repo:
    """A repository with a working tree."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            path.mkdir(parents=True)
            self.git("init", "--quiet", "--initial-branch=main", "--template=")

    def git(self, *args: str) -> str:
        settings = ("protocol.file.allow=always", "user.name=Ada", "user.email=ada@example.org")
        options = (word for setting in settings for word in ("-c", setting))
        return process.run(("git", *options, *args), cwd=self.path).stdout.strip()

    def write(self, name: str, text: str) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def commit(self, name: str = "MLproject", text: str = "name: x\n") -> str:
        self.write(name, text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", f"Change {name}")
        return self.git("rev-parse", "HEAD")


def fingerprint(folder: Path) -> dict[str, str]:
    """Every file below a folder, `.git` included, with kind, mode, time and content."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        stat = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        digest = hashlib.sha256(content).hexdigest()
        found[str(path.relative_to(folder))] = f"{stat.st_mode:o} {stat.st_mtime_ns} {digest}"
    return found


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            self._answer(self._chunks())
        else:
            self._answer(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, body: bytes) -> None:
        owner, authorization = self.server.owner, self.headers.get("Authorization")
        owner.requests.append(f"{self.command} {self.path}")
        owner.authorizations.append(authorization)
        if owner.redirect_to is not None:
            self._send(302, {"Location": owner.redirect_to + self.path})
        elif owner.expected is not None and authorization != owner.expected:
            self._send(401, {"WWW-Authenticate": 'Basic realm="test"'})
        else:
            self._run_backend(body)

    def _run_backend(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        env = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self.server.owner.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        for name in REDIRECTING_VARIABLES:
            env.pop(name, None)
        done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
        if self.server.owner.lies and b"command=ls-refs" in body:
            content = _replaced(content, self.server.owner.lies)
        self._send(int(fields.pop("Status", "200 OK").split(" ")[0]), fields, content)

    def _send(self, status: int, fields: dict[str, str], content: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**fields, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def _replaced(packets: bytes, lies: dict[bytes, bytes]) -> bytes:
    """Packet lines (gitprotocol-common) with words replaced, and their lengths with them."""
    out = b""
    while packets:
        size = int(packets[:4], 16)
        payload, packets = packets[4 : max(size, 4)], packets[max(size, 4) :]
        for truth, lie in lies.items():
            payload = payload.replace(truth, lie)
        out += b"%04x" % (len(payload) + 4) + payload if payload else b"%04x" % size
    return out


class _Server(ThreadingHTTPServer):
    owner: GitServer


class GitServer:
    """`git http-backend` over the bare repositories of a folder; with `login`, only for that user."""

    def __init__(self, folder: Path, login: tuple[str, str] | None = None) -> None:
        self.folder = folder
        self.requests: list[str] = []
        self.authorizations: list[str | None] = []
        self.redirect_to: str | None = None
        self.lies: dict[bytes, bytes] = {}
        """What it says for what is true, in its list of refs."""
        self.expected: str | None = None
        if login is not None:
            self.expected = "Basic " + base64.b64encode(":".join(login).encode()).decode()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
