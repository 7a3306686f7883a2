"""A real S3 server on loopback: moto's."""

from __future__ import annotations

import contextlib
import itertools
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

SECRET = "s3cr3t-k3y-canary"
_numbers = itertools.count()
_clients: dict[str, Any] = {}


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """Run the server in a thread; yields its URL."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    try:
        yield url
    finally:
        if url in _clients:
            _clients.pop(url).close()
        server.stop()


def variables(url: str) -> dict[str, str]:
    """What a process finds in its environment to use the server, and nothing of this machine's user."""
    return {
        "AWS_ACCESS_KEY_ID": "access-key-id",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "MLFLOW_S3_ENDPOINT_URL": url,
    }


def client(url: str) -> Any:
    """Boto's own client of the server, closed with it."""
    import boto3  # type: ignore[import-untyped]  # it comes without types

    if url not in _clients:
        _clients[url] = boto3.client(
            "s3",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="access-key-id",
            aws_secret_access_key=SECRET,
        )
    return _clients[url]


def new_bucket(url: str) -> str:
    """Make an empty bucket."""
    name = f"bucket-{os.getpid()}-{next(_numbers)}"
    client(url).create_bucket(Bucket=name)
    return name


def use(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Let this process be a client of the server, for one test."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "MLFLOW_S3_"))]:
        monkeypatch.delenv(name)
    for name, value in variables(url).items():
        monkeypatch.setenv(name, value)
