"""How rattler speaks to channels: caches, mirrors, logins, certificates. Belongs to `worker`."""

from __future__ import annotations

import base64
import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

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

    if not network.logins or not network.verify_tls:
        lines = [] if network.verify_tls else ["tls-no-verify = true"]
        if network.logins:
            lines.append(
                f"authentication-override-file = {_quoted(_logins_file(tuple(network.logins.items())))}"
            )
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


@functools.cache
def _logins_file(logins: tuple[tuple[str, str], ...]) -> str:
    """The logins as a file of rattler's that is in memory alone; it knows them by host, whatever the path.

    Without checks of certificates, the layer that adds headers by path cannot be had.
    """
    if not hasattr(os, "memfd_create"):
        raise OSError("a login in a channel's URL and `ssl_verify: false` go together on Linux alone")
    content = {}
    for url, login in logins:
        user, _, password = login.partition(":")
        content[urlsplit(url).hostname] = {"BasicHTTP": {"username": user, "password": password}}
    descriptor = os.memfd_create("logins")
    os.write(descriptor, msgspec.json.encode(content))
    return f"/proc/self/fd/{descriptor}"


def _login(host: str, path: str, network: Network) -> dict[str, str] | None:
    """The header for a request that goes to where a login is for."""
    for url, login in network.logins.items():
        parts = urlsplit(url)
        if parts.hostname == host and path.startswith(f"{parts.path.rstrip('/')}/"):
            return {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}
    return None


def refuse_leaks(urls: Iterable[str], network: Network) -> None:
    """See that no login goes elsewhere than where it is for: what adds it knows the host alone.

    Raises:
        PermissionError: It would.
    """
    for login in map(urlsplit, network.logins):
        below = f"{login.path.rstrip('/')}/"
        for other in map(urlsplit, urls):
            if other.hostname != login.hostname or _origin(other) == _origin(login):
                continue
            if not network.verify_tls or f"{other.path}/".startswith(below):
                raise PermissionError(
                    f"The login for {login.geturl()} would be sent to {other.scheme}://{other.netloc}, too"
                )


def _origin(parts: SplitResult) -> tuple[str, int | None]:
    return parts.scheme, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()
