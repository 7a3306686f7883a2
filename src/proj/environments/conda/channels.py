"""Channels: from the names that files use to URLs, by the user's `.condarc`, and who may know their secrets.

Where a token or password is part of a channel's URL, all that is locked, recorded or told has the URL without
it; only what speaks to the channel gets both (`Access`). The rules are conda's (conda/base/context.py).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from proj.environments.conda.condarc import read_condarc
from proj.environments.conda.platforms import split_subdir
from proj.environments.conda.urls import bare, secrets_in
from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ALIAS = "https://conda.anaconda.org"
_ANACONDA = "https://repo.anaconda.com"
_DEFAULTS = (f"{_ANACONDA}/pkgs/main", f"{_ANACONDA}/pkgs/r")
_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """How a channel is reached."""

    url: str
    """Without secrets: what is locked and told."""
    secret_url: str
    """As it was written: equal to `url` where there is no secret."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must not be seen."""
        return secrets_in(self.secret_url) if self.url != self.secret_url else ()


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the user has told conda."""

    alias: str = ALIAS
    channels: tuple[str, ...] = ("defaults",)
    """Used where a file names none, and behind those that it names."""
    default_channels: tuple[str, ...] = _DEFAULTS
    custom: tuple[tuple[str, str], ...] = ()
    """Name of a channel -> the URL that its name is added to."""
    multichannels: tuple[tuple[str, tuple[str, ...]], ...] = ()
    mirrors: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Name or URL of a channel -> URLs to ask instead (`mirrored_channels`)."""
    allowed: tuple[str, ...] = ()
    """Names or URLs of the only channels that may be used; empty: all."""
    denied: tuple[str, ...] = ()
    """Names or URLs of channels that must not be used."""
    offline: bool = False
    verify_tls: bool = True
    authorities: str = ""
    """File or folder of the certificates that are trusted (`ssl_verify: PATH`); empty: see `variables`."""
    proxies: tuple[tuple[str, str], ...] = ()

    def variables(self) -> dict[str, str]:
        """What programs that speak to channels by rustls find in their environment: proxies, certificates.

        Where no setting names certificates, the variables count that rustls, and that conda by way of
        requests, knows: `SSL_CERT_FILE`, `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`, in this order.

        Raises:
            EnvironmentFailedError: The certificates are not where a setting says.
        """
        found = {f"{scheme.upper()}_PROXY": url for scheme, url in self.proxies}
        path = self.authorities or _bundle_of_requests()
        if not path or not self.verify_tls:
            return found
        if not Path(path).exists():
            raise EnvironmentFailedError(
                f"{path} is not there, from which `ssl_verify` takes the certificates to trust.",
                hint="Name a PEM file or a folder of them, or leave the setting out.",
            )
        return {**found, "SSL_CERT_DIR" if Path(path).is_dir() else "SSL_CERT_FILE": path}


def read_settings() -> Settings:
    """What the user's `.condarc` files and `CONDA_*` variables say.

    Raises:
        EnvironmentFailedError: One of the files is no YAML.
    """
    merged = read_condarc()
    return Settings(
        alias=_expanded(str(merged.get("channel_alias", ALIAS))).rstrip("/"),
        channels=_texts(merged.get("channels", ["defaults"])),
        default_channels=_texts(merged.get("default_channels", list(_DEFAULTS))),
        custom=tuple((name, _expanded(str(url))) for name, url in _table(merged.get("custom_channels"))),
        multichannels=_lists(merged.get("custom_multichannels")),
        mirrors=_lists(merged.get("mirrored_channels")),
        allowed=_texts(merged.get("allowlist_channels")), denied=_texts(merged.get("denylist_channels")),
        offline=_is_true(merged.get("offline")),
        verify_tls=not _is_false(merged.get("ssl_verify")),
        authorities=_authorities(merged.get("ssl_verify")),
        proxies=tuple((name, _expanded(str(url))) for name, url in _table(merged.get("proxy_servers"))),
    )  # fmt: skip


def resolve_channel(name: str, settings: Settings, base: Path) -> tuple[Access, ...]:
    """The URLs that a channel's name stands for: several for `defaults` and the like.

    Args:
        name: As a file has it: a name, a URL, a path; variables in it are replaced.
        settings: The user's.
        base: The folder that a relative path starts from.

    Raises:
        EnvironmentFailedError: A variable in it is not set.
    """
    name = _expanded(name.strip())
    several = dict(settings.multichannels).get(name)
    if several is None and name == "defaults":
        several = settings.default_channels
    if several is not None:
        return tuple(access for each in several for access in resolve_channel(each, settings, base))
    if "://" in name:
        return (access(name),)
    if name.startswith(("./", "../", "/", "~")):
        return (access((base / Path(name).expanduser()).resolve().as_uri()),)
    first, _, rest = name.partition("/")
    for custom, url in settings.custom:
        if custom in (name, first):
            return (access(f"{url.rstrip('/')}/{custom}" + (f"/{rest}" if name != custom else "")),)
    if name.startswith("pkgs/"):
        known = (url.rstrip("/") for url in settings.default_channels if "://" in url)
        default = next((url for url in known if url.endswith(f"/{name}")), f"{_ANACONDA}/{name}")
        return (access(default),)
    return (access(f"{settings.alias}/{name}"),)


def refused_by(channel: Access, settings: Settings, base: Path) -> str:
    """The setting that forbids a channel; empty if none does."""

    def has(names: Iterable[str]) -> bool:
        return any(
            each.url == channel.url for name in names for each in resolve_channel(name, settings, base)
        )

    if has(settings.denied):
        return "denylist_channels"
    return "allowlist_channels" if settings.allowed and not has(settings.allowed) else ""


def access(url: str) -> Access:
    """A channel's URL, with and without its secrets."""
    url = url.rstrip("/")
    clean = bare(url).rstrip("/")
    # conda takes the URL of one platform for that of the channel
    return Access(url=split_subdir(clean)[0], secret_url=split_subdir(url)[0])


def mirrors_of(accesses: Iterable[Access], settings: Settings, base: Path) -> dict[str, tuple[str, ...]]:
    """Channel's URL -> URLs to ask instead, for those with secrets or mirrors."""
    named = {
        url.url: tuple(each.secret_url for text in urls for each in resolve_channel(text, settings, base))
        for name, urls in settings.mirrors
        for url in resolve_channel(name, settings, base)
    }
    found = {}
    for each in accesses:
        mirrors = named.get(each.url)
        if mirrors or each.url != each.secret_url:
            found[each.url] = mirrors or (each.secret_url,)
    return found


def at_mirror(url: str, mirrors: Mapping[str, tuple[str, ...]]) -> str:
    """Where a package is to be had: its URL at the first mirror of its channel, with secrets.

    Args:
        url: The package's, without secrets.
        mirrors: As `mirrors_of` finds them.
    """
    for channel, others in mirrors.items():
        if url.startswith(f"{channel}/"):
            return others[0].rstrip("/") + url[len(channel) :]
    return url


def host_of(url: str) -> str:
    """The host of a URL, or the URL itself where it has none: how a message names a channel's place."""
    return urlsplit(url).hostname or url


def _expanded(text: str) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        found = os.environ.get(name)
        if found is None:
            raise EnvironmentFailedError(
                f"A channel's URL needs the variable {name}, which is not set.",
                hint=f"Set it: export {name}=…",
            )
        return found

    return _VARIABLE.sub(value, text)


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value] if value else []
    return tuple(str(item) for item in value if item) if isinstance(value, list) else ()


def _table(value: object) -> list[tuple[str, object]]:
    return [(str(key), item) for key, item in value.items()] if isinstance(value, dict) else []


def _lists(value: object) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((name, _texts(item)) for name, item in _table(value))


def _authorities(value: object) -> str:
    """The path that `ssl_verify` names instead of saying yes or no."""
    text = str(value or "")
    if not text or _is_true(text) or _is_false(text) or text.lower() == "truststore":
        return ""
    return str(Path(_expanded(text)).expanduser().absolute())


def _bundle_of_requests() -> str:
    """What the variables of requests name, if it is there and rustls knows no better."""
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    name = next((name for name in names if os.environ.get(name)), "SSL_CERT_FILE")
    path = os.environ.get(name, "")
    return path if name != "SSL_CERT_FILE" and Path(path).exists() else ""


def _is_false(value: object) -> bool:
    return str(value).lower() in ("false", "no", "off", "0")


def _is_true(value: object) -> bool:
    return str(value).lower() in ("true", "yes", "on", "1")
