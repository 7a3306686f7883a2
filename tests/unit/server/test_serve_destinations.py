"""`proj server` that keeps artifacts in S3."""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess  # noqa: TID251  what the tests start must not be looked after by what they test
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

import s3kit
import serverkit
from projkit import LIMIT_S, PROJ

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = "/api/2.0/mlflow-artifacts/artifacts"
LARGE = 20_000_000
"""Bytes: more than one part of an upload."""


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with s3kit.s3_server() as url:
        yield url


@pytest.fixture
def bucket(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    s3kit.use(monkeypatch, s3_url)
    return s3kit.new_bucket(s3_url)


def test_files_go_through_the_server_to_s3(tmp_path: Path, bucket: str, s3_url: str) -> None:
    content = os.urandom(LARGE)
    with serverkit.running(tmp_path, "--artifacts-destination", f"s3://{bucket}/runs") as server:
        client = server.client()
        run_id = client.new_run()
        info = client.get(f"runs/get?run_id={run_id}")["run"]["info"]
        assert info["artifact_uri"] == f"mlflow-artifacts:/{run_id}"
        assert client.send("PUT", f"{FILES}/{run_id}/d/model.bin", content).status == 200
        assert client.send("GET", f"{FILES}/{run_id}/d/model.bin").body == content
        listed = client.get(f"artifacts/list?run_id={run_id}&path=d")["files"]
        assert listed == [{"path": "d/model.bin", "is_dir": False, "file_size": LARGE}]
        for path in ("../x", "%2e%2e/x", f"{run_id}/%2e%2e%2f%2e%2e%2fx", "..%5Cx"):
            assert client.send("PUT", f"{FILES}/{path}", b"x").status == 400
        client.close()
    keys = [entry["Key"] for entry in s3kit.client(s3_url).list_objects_v2(Bucket=bucket)["Contents"]]
    assert keys == [f"runs/{run_id}/d/model.bin"]


def test_a_server_that_is_killed_in_mid_upload_leaves_nothing(
    tmp_path: Path, bucket: str, s3_url: str
) -> None:
    options = ("--artifacts-destination", f"s3://{bucket}/runs")
    s3 = s3kit.client(s3_url)
    with serverkit.running(tmp_path, *options, kill=True) as server:
        client = server.client()
        run_id = client.new_run()
        client.send("PUT", f"{FILES}/{run_id}/a", b"before")
        address = urlsplit(server.uri)
        upload = http.client.HTTPConnection(address.hostname or "", address.port)
        with contextlib.closing(upload):
            upload.putrequest("PUT", f"{FILES}/{run_id}/a")
            upload.putheader("Content-Length", str(2 * LARGE))
            upload.endheaders()
            upload.send(bytes(LARGE))
            serverkit.eventually(lambda: "Uploads" in s3.list_multipart_uploads(Bucket=bucket))
            server.process.kill()
        client.close()
    with serverkit.running(tmp_path, *options) as server:
        client = server.client()
        assert client.send("GET", f"{FILES}/{run_id}/a").body == b"before"
        client.close()


def test_clients_are_sent_to_s3(tmp_path: Path, bucket: str) -> None:
    options = ("--artifacts-destination", f"s3://{bucket}/runs", "--no-serve-artifacts")
    with serverkit.running(tmp_path, *options) as server:
        client = server.client()
        run_id = client.new_run()
        info = client.get(f"runs/get?run_id={run_id}")["run"]["info"]
        assert info["artifact_uri"] == f"s3://{bucket}/runs/{run_id}"
        client.close()


def refused(destination: str) -> subprocess.CompletedProcess[str]:
    argv = [PROJ, "server", "--port", "0", "--artifacts-destination", destination]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=LIMIT_S)


@pytest.mark.usefixtures("bucket")
def test_a_bucket_that_is_not_there_is_told_at_the_start() -> None:
    done = refused("s3://no-such-bucket/runs")
    assert done.returncode == 125
    assert "No artifacts can be kept in s3://no-such-bucket/runs: there is no bucket" in done.stderr
    assert "no-such-artifact" not in done.stderr


@pytest.mark.parametrize("destination", ["ftp://host/a", "s3:bucket"])
def test_a_destination_without_a_store_is_refused(destination: str) -> None:
    done = refused(destination)
    assert done.returncode == 2
    assert f"No artifacts can be kept in {destination}" in done.stderr
