"""Logging in to one registry: by a password, or by the tokens that a place of its choice gives for one."""

from __future__ import annotations

import base64
import re
import threading
import time
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

import msgspec

from proj.errors import FailureCode, ImageError
from proj.images.answers import NOT_NOW, Answer, not_let_in, not_now
from proj.images.credentials import Credentials, find_credentials
from proj.images.reference import is_loopback

if TYPE_CHECKING:
    from collections.abc import Sequence

_OK: Final = 200
_TOKEN_LIFE_S: Final = 60
"""What a token lives that does not say it (distribution, Token Authentication Specification)."""
_CHALLENGE: Final = r'([a-zA-Z_]+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))'
_MOST_TOKEN_BYTES: Final = 1 << 20


class Sender(Protocol):
    """Sends a request to where tokens are given, and follows no redirection."""

    def __call__(
        self,
        method: str,
        url: str,
        *,
        params: Sequence[tuple[str, str]] | None,
        form: Sequence[tuple[str, str]] | None,
        authorization: str | None,
    ) -> Answer:
        """Return the answer.

        Raises:
            ImageError: There is none.
        """


class _Token(msgspec.Struct, frozen=True):
    token: str = ""
    access_token: str = ""
    expires_in: float | None = None


class Login:
    """Who we are for a registry; for any number of threads.

    Args:
        host: As in `Reference.host`.
        credentials: None: those of docker's configuration.
    """

    def __init__(self, host: str, credentials: Credentials | None) -> None:
        self._host = host
        self._given = credentials
        self._found: Credentials | None = None
        self._basic = False
        self._tokens: dict[frozenset[str], tuple[str, float]] = {}
        self._lock = threading.RLock()

    @property
    def credentials(self) -> Credentials:
        """Looked for when they are first needed."""
        with self._lock:
            if self._found is None:
                self._found = find_credentials(self._host) if self._given is None else self._given
            return self._found

    def known(self, scopes: frozenset[str]) -> str | None:
        """What to send along with a request; None: nothing is known yet that would help."""
        with self._lock:
            if self._basic:
                return _basic(self.credentials)
            token, until_s = self._tokens.get(scopes, ("", 0.0))
        return f"Bearer {token}" if time.monotonic() < until_s else None

    def answer(self, challenge: str, scopes: frozenset[str], send: Sender, *, encrypted: bool) -> str | None:
        """What to send along, for a challenge (RFC 9110, 11.6.1); None: nothing would help.

        Args:
            challenge: `WWW-Authenticate`.
            scopes: What for, as tokens have it.
            send: Gets a token.
            encrypted: Whether the registry is spoken to by TLS: then credentials go nowhere without.

        Raises:
            ImageError: No token is given.
        """
        kind, _, rest = challenge.partition(" ")
        fields = {name.lower(): quoted or bare for name, quoted, bare in re.findall(_CHALLENGE, rest)}
        if kind.lower() == "basic" and self.credentials.username:
            with self._lock:
                self._basic = True
            return _basic(self.credentials)
        if kind.lower() != "bearer" or "realm" not in fields:
            return None
        wanted = scopes | frozenset(fields.get("scope", "").split())
        token = self._fetch_token(
            send, fields["realm"], fields.get("service", ""), wanted, encrypted=encrypted
        )
        lives_s = token.expires_in if token.expires_in is not None else _TOKEN_LIFE_S
        text = token.token or token.access_token
        with self._lock:
            self._tokens[scopes] = (text, time.monotonic() + max(lives_s * 0.8, 1.0))
        return f"Bearer {text}"

    def _fetch_token(
        self, send: Sender, realm: str, service: str, scopes: frozenset[str], *, encrypted: bool
    ) -> _Token:
        parts = urlsplit(realm)
        if parts.scheme not in ("https", "http") or not parts.netloc:
            raise ImageError(f"{self._host} names {realm!r} as the place to log in, which is no URL.")
        if parts.scheme == "http" and encrypted and not is_loopback(parts.netloc):
            raise ImageError(
                f"{self._host} wants credentials sent unencrypted, to {parts.netloc}: they are not.",
                code=FailureCode.IMAGE_PULL,
            )
        credentials = self.credentials
        query = [("service", service)] if service else []
        if credentials.identity_token:
            form = [("grant_type", "refresh_token"), ("refresh_token", credentials.identity_token)]
            form += [("client_id", "proj"), *query, ("scope", " ".join(sorted(scopes)))]
            answer = send("POST", realm, params=None, form=form, authorization=None)
        else:
            query += [("scope", scope) for scope in sorted(scopes)]
            greeting = _basic(credentials) if credentials.username else None
            answer = send("GET", realm, params=query, form=None, authorization=greeting)
        if answer.status in NOT_NOW:
            raise not_now(answer, parts.netloc)
        if answer.status != _OK:
            raise not_let_in(answer, self._host, credentials)
        return _read(answer, parts.netloc)


def _read(answer: Answer, host: str) -> _Token:
    try:
        token = msgspec.json.decode(answer.body(_MOST_TOKEN_BYTES), type=_Token)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ImageError(f"{host} did not answer with a token.") from error
    if not (token.token or token.access_token):
        raise ImageError(f"{host} answered with a token that is empty.")
    return token


def _basic(credentials: Credentials) -> str:
    pair = f"{credentials.username}:{credentials.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"
