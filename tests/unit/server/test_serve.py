"""`proj server` as people run it."""

from __future__ import annotations

import base64
import json
import re
import signal
import socket
import stat
import subprocess  # noqa: TID251  what the tests start must not be looked after by what they test
from typing import TYPE_CHECKING, Any

import pytest

import serverkit
import tlskit
from proj import paths
from proj.errors import ProjError
from proj.server.serve import Settings, serve
from proj.server.tokens import home_tokens
from proj.tracking import open_tracking
from projkit import LIMIT_S, PROJ

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALL = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z 127\.0\.0\.1 (\S+) ([A-Z]+) (\S+) (\d{3}) (\d+) [\d.]+ms"
)


def basic(name: str, token: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{token}".encode()).decode()


def refused(**settings: Any) -> str:
    """Serve, which is to fail; return what is said."""
    home = paths.home()
    with open_tracking(home) as tracking, pytest.raises(ProjError) as caught:
        serve(tracking, home, Settings(**settings), started=pytest.fail)
    return f"{caught.value.message} {caught.value.hint}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tlskit.self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[serverkit.Live]:
    with serverkit.running(tmp_path, "--auth") as server:
        yield server


def test_it_serves_the_home_and_stops_when_asked(tmp_path: Path) -> None:
    with serverkit.running(tmp_path) as server:
        client = server.client()
        assert client.send("GET", "/health").body == b"OK"
        assert re.fullmatch(rb"\d+\.\d+\.\d+", client.send("GET", "/version").body)
        run_id = client.new_run()
        client.close()
    done = subprocess.run([PROJ, "show", run_id, "--json"], capture_output=True, check=True)
    assert json.loads(done.stdout)["ok"]


def test_ctrl_c_is_no_failure(tmp_path: Path) -> None:
    with serverkit.running(tmp_path) as server:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(LIMIT_S) == 0


def test_a_token_is_needed_and_enough(guarded: serverkit.Live) -> None:
    token = home_tokens(paths.home()).add("ada")
    body = b'{"experiment_id": "0"}'
    path = "/api/2.0/mlflow/runs/create"
    for authorization, status in (
        ("", 401),
        ("Bearer", 401),
        (f"Bearer {token}x", 401),
        (f"Bearer {token}", 200),
        (f"bearer  {token}", 200),
        (basic("ada", token), 200),
        (basic("bob", token), 401),
        (basic("ada", "wrong"), 401),
        ("Basic !!!", 401),
        ("Basic", 401),
        (f"Digest {token}", 401),
        (token, 401),
    ):
        client = guarded.client(Authorization=authorization)
        answer = client.send("POST", path, body)
        client.close()
        assert answer.status == status, (authorization, answer)
        if status == 401:
            assert answer.json()["error_code"] == "UNAUTHENTICATED"
            assert "www-authenticate" in answer.headers


def test_everybody_may_ask_whether_it_lives(guarded: serverkit.Live) -> None:
    client = guarded.client()
    assert [client.send("GET", path).status for path in ("/health", "/version", "/openapi.json")] == [200] * 3
    client.close()


def test_tokens_count_at_once_and_no_longer_when_revoked(guarded: serverkit.Live) -> None:
    tokens = home_tokens(paths.home())
    client = guarded.client()
    for _ in range(2):
        client.headers["Authorization"] = f"Bearer {tokens.add('ada')}"
        assert client.send("POST", "/api/2.0/mlflow/experiments/search", b'{"max_results": 1}').status == 200
        tokens.revoke("ada")
        assert client.send("POST", "/api/2.0/mlflow/experiments/search", b'{"max_results": 1}').status == 401
    client.close()


def test_a_read_only_token_reads_and_changes_nothing(guarded: serverkit.Live) -> None:
    tokens = home_tokens(paths.home())
    writer = guarded.client(Authorization=f"Bearer {tokens.add('ada')}")
    run_id = writer.new_run()
    writer.close()
    reader = guarded.client(Authorization=f"Bearer {tokens.add('eve', read_only=True)}")
    assert reader.get(f"runs/get?run_id={run_id}")
    assert reader.post("runs/search", {"experiment_ids": ["0"]})["runs"]
    files = f"/api/2.0/mlflow-artifacts/artifacts/{run_id}/x"
    for method, path, body in (
        ("POST", "runs/create", {"experiment_id": "0"}),
        ("POST", "runs/log-metric", {"run_id": run_id, "key": "m", "value": 1, "timestamp": 1}),
        ("POST", "runs/delete", {"run_id": run_id}),
        ("POST", "experiments/create", {"name": "x"}),
        ("POST", "experiments/delete", {"experiment_id": "0"}),
        ("POST", "registered-models/create", {"name": "x"}),
        ("PUT", files, {}),
        ("DELETE", files, {}),
    ):
        target = path if path.startswith("/") else f"/api/2.0/mlflow/{path}"
        answer = reader.send(method, target, json.dumps(body).encode())
        assert (answer.status, answer.json()["error_code"]) == (403, "PERMISSION_DENIED"), path
    reader.close()


def test_the_access_log_tells_who_asked_what_and_no_secret(guarded: serverkit.Live) -> None:
    token = home_tokens(paths.home()).add("ada")
    client = guarded.client(Authorization=f"Bearer {token}")
    client.send("GET", "/api/2.0/mlflow/runs/get?run_id=secret-in-query")
    client.send("GET", "/%0d%0aforged%1b[2J%ff/x")
    client.headers["Authorization"] = basic("ada", token)
    client.new_run()
    client.headers["Authorization"] = f"Bearer {token}wrong"
    client.send("GET", "/api/2.0/mlflow/runs/get")
    client.close()
    serverkit.eventually(lambda: guarded.log.read_text().count("\n") == 4)  # written after the answer
    text = guarded.log.read_text()
    found = [match.groups()[:4] for line in text.splitlines() if (match := ALL.fullmatch(line))]
    assert found == [
        ("ada", "GET", "/api/2.0/mlflow/runs/get", "404"),
        ("-", "GET", "/%0d%0aforged%1b[2J%ff/x", "404"),
        ("ada", "POST", "/api/2.0/mlflow/runs/create", "200"),
        ("-", "GET", "/api/2.0/mlflow/runs/get", "401"),
    ]
    assert len(text.splitlines()) == len(found)
    assert token not in text
    assert "secret" not in text


def test_no_access_log_writes_none(tmp_path: Path) -> None:
    with serverkit.running(tmp_path, "--no-access-log") as server:
        client = server.client()
        client.send("GET", "/health")
        client.close()
    assert not server.log.exists()


def test_tls(tmp_path: Path, certificate: Path) -> None:
    with serverkit.running(tmp_path, "--certfile", str(certificate)) as server:
        assert server.uri.startswith("https://")
        client = server.client()
        assert client.new_run()
        client.close()


def test_others_are_served_only_with_tokens_or_a_word_of_consent(tmp_path: Path) -> None:
    message = refused(host="0.0.0.0")  # noqa: S104  that is what is refused
    assert "--auth" in message
    assert "--insecure" in message
    with serverkit.running(tmp_path, "--host", "0.0.0.0", "--insecure") as server:  # noqa: S104  here it is meant
        assert server.uri.startswith("http://0.0.0.0:")


def test_loopback_needs_no_consent(tmp_path: Path) -> None:
    with serverkit.running(tmp_path, "--host", "::1") as server:
        client = server.client()
        assert client.send("GET", "/health").status == 200
        client.close()


@pytest.mark.parametrize("known", [False, True])
def test_that_nobody_has_a_token_is_told(known: bool) -> None:
    if known:
        home_tokens(paths.home()).add("ada")
    argv = [PROJ, "server", "--port", "0", "--auth"]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        process.terminate()
        process.communicate(timeout=LIMIT_S)
    assert said.startswith("Serving ")
    assert ("proj server token add" in said) is not known


@pytest.mark.parametrize("options", [(), ("--auth",), ("--insecure",)])
def test_a_browser_that_was_sent_here_by_a_foreign_name_is_refused(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    with serverkit.running(tmp_path, *options) as server:
        for host, local in (
            ("localhost", True),
            ("LOCALHOST:5000", True),
            ("proj.localhost:1", True),
            ("127.0.0.1:5000", True),
            ("[::1]:5000", True),
            ("evil.example", False),
            ("evil.example:5000", False),
            ("localhost.evil.example", False),
            ("127.0.0.1.evil.example", False),
            ("", False),
        ):
            client = server.client(Host=host)
            answer = client.send("GET", "/health")
            client.close()
            assert answer.status == (200 if local or options else 400), host


def test_a_taken_port_is_one_clear_message() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        argv = [PROJ, "server", "--port", str(port)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert done.returncode == 125
    first, hint = done.stderr.splitlines()
    assert f"127.0.0.1:{port}" in first
    assert "--port" in hint


def test_a_host_that_is_not_ours_is_one_clear_message() -> None:
    assert "192.0.2.1" in refused(host="192.0.2.1", auth=True)
    assert "no-such-host.invalid" in refused(host="no-such-host.invalid", auth=True)


def test_bad_certificates_are_told_before_anything_is_served(tmp_path: Path, certificate: Path) -> None:
    assert "missing.pem" in refused(certfile=tmp_path / "missing.pem")
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nothing")
    assert "nonsense.pem" in refused(certfile=nonsense)
    assert "--certfile" in refused(keyfile=certificate)
    encrypted = tmp_path / "encrypted.pem"
    subprocess.run(
        ["openssl", "ec", "-in", str(certificate), "-aes256", "-passout", "pass:x", "-out", str(encrypted)],
        check=True,
        capture_output=True,
    )
    assert "encrypted" in refused(certfile=certificate, keyfile=encrypted)


def test_an_access_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    assert "no-folder" in refused(port=0, access_log=tmp_path / "no-folder" / "log")


def test_a_damaged_file_of_tokens_is_told(tmp_path: Path) -> None:
    paths.home().mkdir(parents=True)
    (paths.home() / "server-tokens.json").write_text("{")
    assert "server-tokens.json" in refused(port=0, auth=True)


def test_tokens_are_made_listed_and_revoked_by_commands() -> None:
    def told(*argv: str) -> str:
        done = subprocess.run(
            [PROJ, "server", "token", *argv], capture_output=True, text=True, check=True, timeout=LIMIT_S
        )
        return done.stdout

    token = told("add", "ada").strip()
    assert home_tokens(paths.home()).recognise(token)
    told("add", "eve", "--read-only")
    listed = told("list")
    assert "ada" in listed
    assert "eve" in listed
    assert token not in listed
    names = json.loads(told("list", "--json"))["data"]["tokens"]
    assert [(kept["name"], kept["read_only"]) for kept in names] == [("ada", False), ("eve", True)]
    assert told("revoke", "ada") == "ada revoked\n"
    assert home_tokens(paths.home()).recognise(token) is None
    assert stat.S_IMODE((paths.home() / "server-tokens.json").stat().st_mode) == 0o600
