from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import os
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import pytest

from httpkit import Client, serving
from proj.model import NewRun
from proj.server.routes import Site
from proj.tracking import open_tracking

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
    "a/%252e%252e%252fx",
    "a/" * 1200 + "x",
    f"{'%' + '25' * 9000}2e/x",
)


@pytest.fixture(params=["folder", "object store"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where artifacts are kept."""
    if request.param == "folder":
        return (tmp_path / "home" / "artifacts").as_uri()
    return f"memory://bucket{tmp_path}"


@pytest.fixture
def tracking(base: str, tmp_path: Path) -> Iterator[Tracking]:
    with open_tracking(tmp_path / "home", base) as opened:
        yield opened
        opened.artifacts.delete(base)


@pytest.fixture
def client(tracking: Tracking, base: str) -> Iterator[Client]:
    """A server that hands artifacts on."""
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


def digest(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


@pytest.mark.parametrize("name", ["Content-Digest", "Repr-Digest"])
def test_an_upload_is_what_its_digest_says(client: Client, run_id: str, name: str) -> None:
    content = os.urandom(3_000_000)
    other = "sha-512=:AAAA:, "
    path = f"{FILES}/{run_id}/a"
    assert client.send("PUT", path, content, {name: other + digest(content)}).status == 200
    answer = client.send("PUT", path, content[:-1] + b"x", {name: other + digest(content)})
    assert (answer.status, answer.error) == (400, "INVALID_PARAMETER_VALUE")
    assert client.send("GET", path).content == content  # what was there before
    assert client.send("PUT", f"{path}2", content, {name: digest(b"")}).status == 400
    assert client.send("PUT", f"{path}2", content, {name: "sha-256=:no base64:"}).status == 400
    listed = client.ok("GET", "artifacts/list", run_id=run_id)["files"]
    assert [file["path"] for file in listed] == ["a"]


@pytest.mark.parametrize(
    ("asked", "status", "expected"),
    [
        ("bytes=0-3", 206, b"0123"),
        ("bytes=8-", 206, b"89"),
        ("bytes=-3", 206, b"789"),
        ("bytes=5-100", 206, b"56789"),
        ("bytes=-100", 206, b"0123456789"),
        ("bytes=10-", 416, b""),
        ("bytes=-0", 416, b""),
        *(
            (ignored, 200, b"0123456789")
            for ignored in ("bytes=4-2", "bytes=1-2,4-5", "bytes=-", "lines=1-2", "bytes=-" + "9" * 5000)
        ),
    ],
)
def test_a_part_of_a_file_is_sent(
    client: Client, run_id: str, asked: str, status: int, expected: bytes
) -> None:
    client.send("PUT", f"{FILES}/{run_id}/a", b"0123456789")
    answer = client.send("GET", f"{FILES}/{run_id}/a", headers={"Range": asked})
    assert (answer.status, answer.content) == (status, expected)
    if status == 206:
        start = b"0123456789".index(expected)
        assert answer.headers["content-range"] == f"bytes {start}-{start + len(expected) - 1}/10"
    if status == 416:
        assert answer.headers["content-range"] == "bytes */10"


def test_the_files_of_models_go_through_the_server_too(client: Client) -> None:
    model = client.ok("POST", "logged-models", experiment_id="0", name="ridge")["model"]["info"]
    assert model["artifact_uri"] == f"mlflow-artifacts:/models/{model['model_id']}/artifacts"
    path = model["artifact_uri"].removeprefix("mlflow-artifacts:")
    assert client.send("PUT", f"{FILES}{path}/MLmodel", b"x").status == 200
    listed = client.ok("GET", f"logged-models/{model['model_id']}/artifacts/directories")
    assert [file["path"] for file in listed["files"]] == ["MLmodel"]


def test_what_was_kept_in_the_home_before_stays_within_reach(tracking: Tracking, tmp_path: Path) -> None:
    home, far = tmp_path / "home" / "artifacts", f"memory://bucket{tmp_path}/far"
    with open_tracking(tmp_path / "home", home.as_uri()) as before:
        old = before.runs.create_run(NewRun(experiment_id="0", run_name="old", started_ms=1))
        before.artifacts.write(old.artifact_uri, "a.txt", b"old")
    (tmp_path / "home" / "secret").write_text("secret")
    site = Site(artifact_base=far, older_base=home.as_uri(), proxied=True)
    with open_tracking(tmp_path / "home", far) as now, serving(now, site=site) as client:
        new = client.ok("POST", "runs/create")["run"]["info"]
        assert new["artifact_uri"] == f"mlflow-artifacts:/{new['run_id']}"
        shown = client.ok("GET", "runs/get", run_id=old.run_id)["run"]["info"]["artifact_uri"]
        assert shown == f"mlflow-artifacts:/_home/{old.run_id}"
        assert client.send("GET", f"{FILES}/_home/{old.run_id}/a.txt").content == b"old"
        assert client.send("PUT", f"{FILES}/_home/{old.run_id}/b.txt", b"new").status == 200
        listed = client.ok("GET", FILES, path=f"_home/{old.run_id}")["files"]
        assert [file["path"] for file in listed] == ["a.txt", "b.txt"]
        for path in ("_home/../secret", "_home/%2e%2e/secret", "_home/%2e%2e%2fsecret"):
            assert client.send("GET", f"{FILES}/{path}").status == 400
        assert client.send("PUT", f"{FILES}/_home", b"x").status == 400


def test_no_client_makes_the_server_read_what_only_the_server_may(client: Client, tracking: Tracking) -> None:
    """Clients choose where an experiment's files are, and where a version comes from."""
    tracking.artifacts.write("memory://others/secrets/run", "a.txt", b"secret")
    made = client.ok("POST", "experiments/create", name="x", artifact_location="memory://others/secrets")
    run = client.ok("POST", "runs/create", experiment_id=made["experiment_id"])["run"]["info"]
    assert run["artifact_uri"].startswith("memory://others/secrets/")  # for clients to reach by themselves
    assert client.get("artifacts/list", run_id=run["run_id"]).error == "NOT_IMPLEMENTED"
    assert client.send("GET", f"/get-artifact?run_id={run['run_id']}&path=a.txt").error == "NOT_IMPLEMENTED"
    client.ok("POST", "registered-models/create", name="m")
    client.ok("POST", "model-versions/create", name="m", source="memory://others/secrets/run")
    answer = client.send("GET", "/model-versions/get-artifact?name=m&version=1&path=a.txt")
    assert answer.error == "NOT_IMPLEMENTED"
    model = client.ok("POST", "logged-models", experiment_id=made["experiment_id"], name="ridge")["model"]
    listed = client.get(f"logged-models/{model['info']['model_id']}/artifacts/directories")
    assert listed.error == "NOT_IMPLEMENTED"


def test_a_version_comes_from_the_run_that_is_named_with_it(client: Client, run_id: str) -> None:
    client.ok("POST", "registered-models/create", name="m")
    other = client.ok("POST", "runs/create")["run"]["info"]["artifact_uri"]
    refused = client.post("model-versions/create", name="m", source=f"{other}/model", run_id=run_id)
    assert refused.error == "INVALID_PARAMETER_VALUE"


def test_a_server_that_does_not_hand_on_names_the_place(
    tracking: Tracking, base: str, tmp_path: Path
) -> None:
    with serving(tracking, site=Site(artifact_base=base)) as direct:
        info = direct.ok("POST", "runs/create")["run"]["info"]
        assert info["artifact_uri"] == f"{base}/{info['run_id']}"
        assert direct.send("PUT", f"{FILES}/{info['run_id']}/a", b"x").error == "NOT_IMPLEMENTED"
        tracking.artifacts.write(info["artifact_uri"], "a", b"x")
        assert len(direct.ok("GET", "artifacts/list", run_id=info["run_id"])["files"]) == 1
        answer = direct.post("experiments/create", name="x", artifact_location="file:///etc")
        assert answer.error == "INVALID_PARAMETER_VALUE"


def test_without_a_place_for_all_artifacts_clients_go_there_directly(tracking: Tracking, base: str) -> None:
    with serving(tracking) as direct:
        info = direct.ok("POST", "runs/create")["run"]["info"]
        assert info["artifact_uri"].startswith(base)
        assert direct.send("GET", f"{FILES}/{info['run_id']}/a").error == "NOT_IMPLEMENTED"
