"""Secrets in the URLs of channels and packages: user and password, and tokens, as in `/t/<token>/`.

The rules are conda's (conda/common/url.py), which looks for tokens behind any part of the path. All that is
locked, recorded or told has the URLs without them; see `proj.environments.conda.channels.Access`.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

_TOKEN = re.compile(
    r"^(?P<before>[a-z][a-z0-9+.-]*://[^/]+(?:/[^/]*)*?)/t/(?P<token>[^/]+?)(?P<after>/|::|$)", re.IGNORECASE
)
_USERINFO = re.compile(r"^(?P<scheme>[a-z][a-z0-9+.-]*://)(?P<userinfo>[^/]*)@", re.IGNORECASE)
_URL = re.compile(r"""[a-z][a-z0-9+.-]*://(?:[^\s"'<>\[\]/]*\[[0-9a-f:]+\])?[^\s"'<>\[\]]*""", re.IGNORECASE)


def bare(url: str) -> str:
    """The URL of a channel or package without its secrets."""
    url = without_login(url)[0]
    while (without := _TOKEN.sub(lambda match: match["before"] + match["after"], url)) != url:
        url = without
    return url


def bare_text(text: str) -> str:
    """A text in which URLs may stand, with those without their secrets."""
    return _URL.sub(lambda match: bare(match[0]), text) if "://" in text else text


def secret_urls(text: str) -> list[str]:
    """The URLs in a text that have secrets, as they stand there."""
    return [url for url in dict.fromkeys(_URL.findall(text)) if bare(url) != url]


def secrets_in(url: str) -> tuple[str, ...]:
    """The values in a URL that must not be seen."""
    url, login = _split_login(url)
    user, _, password = login.partition(":")
    found = [login, password or user]
    while match := _TOKEN.match(url):
        found.append(match["token"])
        url = match["before"] + match["after"] + url[match.end() :]
    return tuple({text for value in found for text in (value, unquote(value)) if text})


def is_literal(url: str) -> bool:
    """Whether a secret of a URL stands there itself, and not the variable that has it."""
    return any("$" not in secret for secret in secrets_in(url))


def without_login(url: str) -> tuple[str, str]:
    """A URL without its user and password, and those as `user:password`; empty where there are none."""
    url, login = _split_login(url)
    return url, unquote(login)


def _split_login(url: str) -> tuple[str, str]:
    match = _USERINFO.match(url)
    return (match["scheme"] + url[match.end() :], match["userinfo"]) if match else (url, "")
