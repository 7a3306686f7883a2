"""`proj server` over S3, and stock clients: through the server without credentials, or on their own."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import pytest

import s3kit
import serverkit
from clients import CLIENTS, NEWEST, QUIET
from proj import process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.clients, pytest.mark.timeout(900)]

SCRIPT = """
import os, sys
import mlflow

mlflow.set_tracking_uri(sys.argv[1])
os.makedirs("out/deep", exist_ok=True)
with open("out/deep/model.bin", "wb") as file:
    file.write(os.urandom(20_000_000))
with mlflow.start_run() as run:
    mlflow.log_text("hello", "notes/a.txt")
    mlflow.log_artifacts("out", "out")
    print(mlflow.get_artifact_uri())
client = mlflow.tracking.MlflowClient()
assert sorted(file.path for file in client.list_artifacts(run.info.run_id)) == ["notes", "out"]
folder = client.download_artifacts(run.info.run_id, "")
with open("out/deep/model.bin", "rb") as one, open(os.path.join(folder, "out/deep/model.bin"), "rb") as two:
    assert one.read() == two.read()
with open(os.path.join(folder, "notes/a.txt")) as file:
    assert file.read() == "hello"
"""


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with s3kit.s3_server() as url:
        yield url


@pytest.fixture
def bucket(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    s3kit.use(monkeypatch, s3_url)
    return s3kit.new_bucket(s3_url)


def log(python: Path, folder: Path, uri: str, variables: dict[str, str | None]) -> str:
    """Run the script in a client; returns the artifact URI that it saw."""
    (folder / "script.py").write_text(SCRIPT)
    env = {**QUIET, "HOME": str(folder), **variables}
    done = process.run([str(python), "script.py", uri], cwd=folder, env=env, timeout_s=600)
    return next(line for line in done.stdout.splitlines() if "artifacts:" in line or "s3:" in line)


@pytest.mark.parametrize("multipart", ["false", "true"])
@pytest.mark.parametrize("name", CLIENTS)
def test_clients_without_credentials_keep_files_in_s3(
    client: Callable[[str], Path], tmp_path: Path, s3_url: str, bucket: str, name: str, multipart: str
) -> None:
    hidden: dict[str, str | None] = {
        key: None for key in os.environ if key.startswith(("AWS_", "MLFLOW_S3_"))
    }
    wanted = {
        "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": multipart,
        "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": multipart,
        "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": "10000000",
    }
    with serverkit.running(tmp_path, "--artifacts-destination", f"s3://{bucket}/runs") as server:
        uri = log(client(name), tmp_path, server.uri, {**hidden, **wanted})
    run_id = uri.removeprefix("mlflow-artifacts:/")
    found = s3kit.client(s3_url).list_objects_v2(Bucket=bucket)["Contents"]
    assert {entry["Key"]: entry["Size"] for entry in found} == {
        f"runs/{run_id}/notes/a.txt": 5,
        f"runs/{run_id}/out/deep/model.bin": 20_000_000,
    }


def test_clients_go_to_s3_by_themselves(
    client: Callable[[str], Path], tmp_path: Path, s3_url: str, bucket: str
) -> None:
    options = ("--artifacts-destination", f"s3://{bucket}/runs", "--no-serve-artifacts")
    with serverkit.running(tmp_path, *options) as server:
        uri = log(client(NEWEST), tmp_path, server.uri, dict(s3kit.variables(s3_url)))
        assert uri.startswith(f"s3://{bucket}/runs/")
        run_id = uri.rpartition("/")[2]
        with contextlib.closing(server.client()) as mine:
            listed = mine.get(f"artifacts/list?run_id={run_id}&path=out/deep")
    assert listed["files"] == [{"path": "out/deep/model.bin", "is_dir": False, "file_size": 20_000_000}]
