"""The records of a tracking server: runs, models and files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.remote.client import Client
from proj.remote.credentials import split_userinfo
from proj.remote.runs import RemoteRunStore
from proj.tracking.local import Tracking

if TYPE_CHECKING:
    from proj.remote.transport import Transport
    from proj.tracking.model_stores import ModelStores
    from proj.tracking.store import ArtifactStore


def open_remote(url: str, *, transport: Transport | None = None) -> Tracking:
    """Open the records of a server, ours or MLflow's. Nothing is asked of it yet.

    Args:
        url: The server; what stands before its host (`user:password@`) are credentials.
        transport: The way to it; None: `HttpTransport`. Closing the records closes it.

    Raises:
        UsageError: The URL, or what the environment says of credentials, cannot be meant.
    """
    plain, _ = split_userinfo(url)
    client = Client(transport or _over_http(url), plain)

    def models() -> ModelStores:
        from proj.remote.model_stores import remote_model_stores

        return remote_model_stores(client)

    return Tracking(uri=plain, runs=RemoteRunStore(client), artifacts=_artifacts(client), models=models)


def check(url: str, *, transport: Transport | None = None) -> None:
    """Return if a server is there and lets us in. One that hangs is not waited for as long as later.

    Args:
        url: As in `open_remote`.
        transport: The way to it; None: one of its own.

    Raises:
        UsageError: As in `open_remote`.
        UnreachableError: It cannot be reached, or is not available now.
        StoreError: The credentials do not fit, or it is no tracking server.
    """
    plain, _ = split_userinfo(url)
    if transport is not None:
        Client(transport, plain).check()
        return
    from proj.remote.http import HttpTransport, first_look

    client = Client(HttpTransport(url, patience=first_look()), plain)
    try:
        client.check()
    finally:
        client.close()


def _over_http(url: str) -> Transport:
    from proj.remote.http import HttpTransport

    return HttpTransport(url)


def _artifacts(client: Client) -> ArtifactStore:
    from proj.remote.artifacts import ServerArtifactStores

    return ServerArtifactStores(client)
