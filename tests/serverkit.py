"""A `proj server` as a process of its own, and a client that speaks plain HTTP to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import signal
import ssl
import subprocess  # noqa: TID251  what the tests start must not be looked after by what they test
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from projkit import LIMIT_S, PROJ

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

API = "/api/2.0/mlflow/"


class Answer(NamedTuple):
    """What a server says."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One kept-alive connection."""

    def __init__(self, uri: str, headers: Mapping[str, str] | None = None) -> None:
        self.headers = dict(headers or {})
        parts = urlsplit(uri)
        assert parts.hostname is not None
        if parts.scheme == "https":
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=LIMIT_S, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=LIMIT_S)

    def send(self, method: str, path: str, body: bytes | None = None) -> Answer:
        kind = {"Content-Type": "application/json"} if body else {}
        self._connection.request(method, path, body, {**kind, **self.headers})
        response = self._connection.getresponse()
        return Answer(
            response.status, {key.lower(): value for key, value in response.getheaders()}, response.read()
        )

    def post(self, path: str, content: Any) -> Any:
        """Call the API, and see that it went well."""
        answer = self.send("POST", API + path, json.dumps(content).encode())
        assert answer.status == 200, (answer.status, answer.body)
        return answer.json()

    def get(self, path: str) -> Any:
        answer = self.send("GET", API + path)
        assert answer.status == 200, (answer.status, answer.body)
        return answer.json()

    def new_run(self) -> str:
        """Create a run in the default experiment and return its id."""
        run_id: str = self.post("runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
        return run_id

    def close(self) -> None:
        self._connection.close()


class Live(NamedTuple):
    """A server that runs."""

    uri: str
    process: subprocess.Popen[str]
    log: Path

    def client(self, **headers: str) -> Client:
        return Client(self.uri, headers)

    def resident_mib(self) -> float:
        from pathlib import Path

        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise AssertionError("no VmRSS")


@contextlib.contextmanager
def running(folder: Path, *options: str, port: int = 0, kill: bool = False) -> Iterator[Live]:
    """Run `proj server` on the test's home; at the end it stops by TERM, and must say no more than that.

    Args:
        folder: For the access log.
        options: Of the command.
        port: 0: any.
        kill: The caller kills it.
    """
    log = folder / "access.log"
    argv = [PROJ, "server", "--port", str(port), "--access-log", str(log), *options]
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stderr is not None
        try:
            said = process.stderr.readline()
            found = re.search(r" on (https?://\S+);", said)
            assert found, said + process.stderr.read()
            yield Live(found[1], process, log)
        except BaseException:
            process.kill()
            raise
        if kill:
            process.kill()
            return
        process.send_signal(signal.SIGTERM)
        try:
            rest = process.communicate(timeout=LIMIT_S)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        assert rest == "Stopped.\n"
        assert process.returncode == 0


def eventually(condition: Any) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
