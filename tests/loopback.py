"""An HTTP server on loopback, in threads of the test's process."""

from __future__ import annotations

import base64
import http.server
import ssl
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: who asks may be killed meanwhile, or not trust the certificate."""


class LoopbackServer:
    """Answers by a handler until it is closed.

    Args:
        handler: What answers.
        host: The address that it listens on.
        certificate: A file with its certificate and key; None: plain HTTP.
    """

    def __init__(
        self,
        handler: type[http.server.BaseHTTPRequestHandler],
        *,
        host: str = "127.0.0.1",
        certificate: Path | None = None,
    ) -> None:
        self.asked: list[str] = []
        """The paths that were asked for, by handlers that keep them."""
        self.scheme = "http" if certificate is None else "https"
        self._host = host
        self._server = _Server((host, 0), handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            # The handshake is for the thread of the connection: here, one that fails would end the server.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{self._host}:{self._server.server_port}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def basic(password: str) -> str:
    """The header by which `user:password` is sent."""
    return "Basic " + base64.b64encode(password.encode()).decode()
