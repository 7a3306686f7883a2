"""How rattler speaks to channels: caches, mirrors, logins, certificates. Belongs to `worker`."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import rattler

    from proj.environments.conda.messages import Network


def gateway(network: Network) -> rattler.Gateway:
    """What reads and keeps the repodata of channels."""
    import rattler

    action = "force-cache-only" if network.offline else "cache-or-fetch"
    return rattler.Gateway(
        cache_dir=Path(network.cache) / "repodata",
        default_config=rattler.SourceConfig(cache_action=action),  # type: ignore[arg-type]  # a literal of two
        client=client(network),
    )


def client(network: Network) -> rattler.Client:
    """A client with the usual layers: what is to be tried again, who the user is, mirrors, object stores."""
    import rattler
    from rattler import networking

    if not network.logins:
        lines = [] if network.verify_tls else ["tls-no-verify = true"]
        lines += ["[mirrors]"] if network.mirrors else []
        for url, mirrors in network.mirrors.items():
            lines.append(f"{_quoted(url)} = [{', '.join(map(_quoted, mirrors))}]")
        return rattler.Client.from_config(rattler.Config.from_toml("\n".join(lines)))
    return rattler.Client([
        networking.RetryMiddleware(),
        networking.MirrorMiddleware({url: list(mirrors) for url, mirrors in network.mirrors.items()}),
        networking.AddHeadersMiddleware(lambda host, path: _login(host, path, network)),
        networking.AuthenticationMiddleware(),
        networking.OciMiddleware(), networking.GCSMiddleware(), networking.S3Middleware(),
    ])  # fmt: skip


def _login(host: str, path: str, network: Network) -> dict[str, str] | None:
    """The header for a request that goes to where a login is for."""
    from urllib.parse import urlsplit

    for url, login in network.logins.items():
        parts = urlsplit(url)
        if parts.hostname == host and path.startswith(f"{parts.path.rstrip('/')}/"):
            return {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}
    return None


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()
