from __future__ import annotations

import contextlib
import http.client
import os
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import pytest

from httpkit import Client, serving
from proj.server.routes import Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proj.tracking import Tracking

FILES = "/api/2.0/mlflow-artifacts/artifacts"
OUTSIDE = (
    "..",
    "../x",
    "a/../../x",
    "%2e%2e/x",
    "a/%2e%2e/%2e%2e/x",
    "%2e%2e%2fx",
    "..%5Cx",
    "%2Fetc/passwd",
)


@pytest.fixture
def client(tracking: Tracking, tmp_path: Path) -> Iterator[Client]:
    """A server that hands artifacts on."""
    base = (tmp_path / "home" / "artifacts").as_uri()
    with serving(tracking, site=Site(artifact_base=base, proxied=True)) as served:
        yield served


@pytest.fixture
def run_id(client: Client) -> str:
    return str(client.ok("POST", "runs/create")["run"]["info"]["run_id"])


def test_clients_are_sent_to_the_server(client: Client, run_id: str) -> None:
    run = client.ok("GET", "runs/get", run_id=run_id)["run"]
    assert run["info"]["artifact_uri"] == f"mlflow-artifacts:/{run_id}"


def test_a_file_comes_back(client: Client, run_id: str) -> None:
    content = os.urandom(3_000_000)
    name = quote("odd é 100%41?#.bin")
    assert client.send("PUT", f"{FILES}/{run_id}/d/{name}", content).status == 200
    answer = client.send("GET", f"{FILES}/{run_id}/d/{name}")
    assert answer.content == content
    assert answer.headers["x-content-type-options"] == "nosniff"
    query = f"run_id={run_id}&path=d/{name}"
    assert client.send("GET", f"/get-artifact?{query}").content == content


def test_files_are_listed(client: Client, run_id: str) -> None:
    client.send("PUT", f"{FILES}/{run_id}/d/a.txt", b"abc")
    answer = client.ok("GET", "artifacts/list", run_id=run_id)
    assert answer == {"root_uri": f"mlflow-artifacts:/{run_id}", "files": [{"path": "d", "is_dir": True}]}
    listed = client.ok("GET", "artifacts/list", run_id=run_id, path="d")["files"]
    assert listed == [{"path": "d/a.txt", "is_dir": False, "file_size": 3}]
    proxied = client.ok("GET", FILES, path=f"{run_id}/d")["files"]
    assert proxied == [{"path": "a.txt", "is_dir": False, "file_size": 3}]


def test_a_file_is_removed(client: Client, run_id: str) -> None:
    client.send("PUT", f"{FILES}/{run_id}/a", b"abc")
    assert client.send("DELETE", f"{FILES}/{run_id}/a").status == 200
    assert client.send("GET", f"{FILES}/{run_id}/a").error == "RESOURCE_DOES_NOT_EXIST"
    assert client.send("DELETE", f"{FILES}/{run_id}/a").status == 404


@pytest.mark.parametrize("path", OUTSIDE)
def test_no_path_leads_outside(client: Client, run_id: str, tmp_path: Path, path: str) -> None:
    (tmp_path / "x").write_text("secret")
    (tmp_path / "home" / "x").write_text("secret")
    for method, body in (("PUT", b"mine"), ("GET", None), ("DELETE", None)):
        answer = client.send(method, f"{FILES}/{path}", body)
        assert answer.status in (400, 404), answer.content
        assert b"secret" not in answer.content
    assert client.send("GET", f"/get-artifact?run_id={run_id}&path={path}").status in (400, 404)
    assert client.send("GET", f"artifacts/list?run_id={run_id}&path={path}").status in (200, 400)
    assert (tmp_path / "x").read_text() == (tmp_path / "home" / "x").read_text() == "secret"


def test_a_link_out_of_the_run_is_not_followed(client: Client, run_id: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "home" / "artifacts" / run_id
    folder.mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path / "secret")
    answer = client.send("GET", f"/get-artifact?run_id={run_id}&path=link")
    assert answer.status != 200
    assert b"secret" not in answer.content.replace(b"link", b"")


def test_an_upload_that_breaks_off_leaves_nothing(client: Client, run_id: str, tmp_path: Path) -> None:
    address = urlsplit(client.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    with contextlib.closing(connection):
        connection.putrequest("PUT", f"{FILES}/{run_id}/big.bin")
        connection.putheader("Content-Length", "1000000")
        connection.endheaders()
        connection.send(b"x" * 1000)
    assert client.ok("GET", "artifacts/list", run_id=run_id)["files"] == []
    assert client.send("GET", f"{FILES}/{run_id}/big.bin").status == 404


@pytest.mark.parametrize(
    "location",
    ["file:///etc", "FILE:/etc", "/etc", "etc", "mlflow-artifacts:/../x", "mlflow-artifacts:/%2e%2e/x"],
)
def test_no_experiment_is_kept_elsewhere_on_the_servers_machine(client: Client, location: str) -> None:
    answer = client.post("experiments/create", name="x", artifact_location=location)
    assert (answer.status, answer.error) == (400, "INVALID_PARAMETER_VALUE")


def test_an_experiment_may_have_a_place_of_its_own_below(client: Client) -> None:
    location = "mlflow-artifacts:/wine"
    made = client.ok("POST", "experiments/create", name="x", artifact_location=location)["experiment_id"]
    found = client.ok("GET", "experiments/get", experiment_id=made)["experiment"]
    assert found["artifact_location"] == location
    run = client.ok("POST", "runs/create", experiment_id=made)["run"]["info"]
    assert run["artifact_uri"].startswith(f"{location}/")


def test_multipart_is_refused_so_that_clients_send_files_whole(client: Client) -> None:
    answer = client.send("POST", "/api/2.0/mlflow-artifacts/mpu/create/a", b"{}")
    assert (answer.status, answer.error) == (404, "NOT_IMPLEMENTED")


def test_without_a_place_for_all_artifacts_clients_go_there_directly(tracking: Tracking) -> None:
    with serving(tracking) as direct:
        info = direct.ok("POST", "runs/create")["run"]["info"]
        assert info["artifact_uri"].startswith("file:")
        assert direct.send("GET", f"{FILES}/{info['run_id']}/a").error == "NOT_IMPLEMENTED"
