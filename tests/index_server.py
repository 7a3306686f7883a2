"""A package index on loopback: simple pages with or without upload dates, open or behind a password."""

from __future__ import annotations

import hashlib
import http.server
import json
from typing import TYPE_CHECKING

from loopback import LoopbackServer, basic

if TYPE_CHECKING:
    from pathlib import Path


class IndexServer(LoopbackServer):
    """Serves the wheels of a folder.

    Args:
        folder: Where the wheels are.
        dates: Wheel's file name -> upload date; the index tells dates only if this is not None.
        password: What it asks for, as `user:password`; None: nothing.
        prefix: What every path begins with, such as `/token`.
    """

    def __init__(
        self, folder: Path, dates: dict[str, str] | None, password: str | None = None, prefix: str = ""
    ) -> None:
        self.folder, self.dates, self.password, self.prefix = folder, dates, password, prefix
        super().__init__(_handler(self))

    @property
    def url(self) -> str:
        """The index URL, without the password."""
        return f"http://{self.address}{self.prefix}/simple"

    def page(self, name: str) -> tuple[str, bytes] | None:
        """The simple page of a distribution; None if it has no files."""
        wheels = sorted(self.folder.glob(f"{name.replace('-', '_')}-*.whl"))
        if not wheels:
            return None
        digests = {wheel.name: hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels}
        if self.dates is None:
            links = "".join(
                f'<a href="{self.prefix}/files/{file}#sha256={digest}">{file}</a>'
                for file, digest in digests.items()
            )
            return "text/html", f"<!DOCTYPE html><html><body>{links}</body></html>".encode()
        files = [
            {"filename": file, "url": f"{self.prefix}/files/{file}", "hashes": {"sha256": digest},
             "upload-time": f"{self.dates.get(file, '2020-01-01')}T00:00:00Z"}
            for file, digest in digests.items()
        ]  # fmt: skip
        body = {"meta": {"api-version": "1.1"}, "name": name, "files": files, "versions": []}
        return "application/vnd.pypi.simple.v1+json", json.dumps(body).encode()


def _handler(server: IndexServer) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            server.asked.append(self.path)
            login = self.headers.get("Authorization")
            if server.password is not None and login != basic(server.password):
                self._answer(401, "text/plain", b"who are you?")
                return
            if not self.path.startswith(f"{server.prefix}/"):
                self._answer(403, "text/plain", b"who are you?")
                return
            _, kind, name = self.path.removeprefix(server.prefix).rstrip("/").split("/", 2)
            if kind == "simple":
                page = server.page(name)
                self._answer(*((200, *page) if page else (404, "text/plain", b"")))
            else:
                self._answer(200, "application/zip", (server.folder / name).read_bytes())

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
