"""Requests to one registry: its scheme and certificates, tokens, and patience with it."""

from __future__ import annotations

import base64
import contextlib
import os
import random
import re
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urljoin, urlsplit

import msgspec
import requests
from requests.adapters import HTTPAdapter

from proj.errors import FailureCode, ImageError
from proj.images.credentials import Credentials, find_credentials
from proj.images.reference import DEFAULT_HOST
from proj.model import _Value
from proj.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from requests.auth import AuthBase

_NOT_NOW: Final = frozenset((408, 429, 500, 502, 503, 504))
_BAD_REQUEST: Final = 400
_UNAUTHORIZED: Final = 401
_TOKEN_LIFE_S: Final = 60
"""What a token lives that does not say it (distribution, Token Authentication Specification)."""
_CERTIFICATES: Final = Path("/etc/docker/certs.d")
_CHALLENGE: Final = re.compile(r'([a-zA-Z_]+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))')
_MOST_ERROR_BYTES: Final = 16_384
_BODY_CHUNK: Final = 1 << 18

Body = bytes | None


class Patience(_Value, frozen=True):
    """How long to wait for a registry, and how often to try again."""

    connect_s: float = 10.0
    read_s: float = 120.0
    """Between two pieces of an answer."""
    tries: int = 5
    first_pause_s: float = 0.5
    """Each pause is twice as long as the one before, or as long as the registry asks for."""
    longest_pause_s: float = 30.0


class NotNowError(ImageError):
    """The registry did not answer, or said that it cannot now: trying again may help."""

    asked_s: float | None = None
    """How long the registry asks to wait."""


class CancelledError(ImageError):
    """Another thread has failed or was interrupted, so that this one need not go on."""


class Answer:
    """What a registry said.

    Args:
        response: Its body may be yet to come.
        host: The registry.
    """

    def __init__(self, response: requests.Response, host: str) -> None:
        self._response = response
        self._host = host
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.url = response.url

    def body(self, most_bytes: int) -> bytes:
        """The whole body.

        Raises:
            NotNowError: The connection broke.
            ImageError: There is more.
        """
        content = b""
        for chunk in self.chunks():
            content += chunk
            if len(content) > most_bytes:
                self.close()
                raise ImageError(
                    f"{self._host} sent more than {most_bytes} bytes where a short answer was due."
                )
        return content

    def chunks(self) -> Iterable[bytes]:
        """The body's bytes as they are sent.

        Raises:
            NotNowError: The connection broke before its end.
        """
        try:
            # As they are: with Content-Encoding, requests would unpack what the digest is of.
            yield from self._response.raw.stream(_BODY_CHUNK, decode_content=False)
        except Exception as error:
            raise lost(error, self._host) from error
        finally:
            self._response.close()

    def close(self) -> None:
        """Do without the rest."""
        self._response.close()

    def complaint(self) -> tuple[str, ...]:
        """What the body of an error says, line by line (OCI distribution specification, Error Codes)."""
        with contextlib.suppress(ImageError):
            text = self.body(_MOST_ERROR_BYTES).decode("utf-8", "replace")
            try:
                errors = msgspec.json.decode(text, type=_Errors).errors
            except msgspec.DecodeError:
                return tuple(line[:200] for line in text.splitlines()[:3] if line.strip())
            return tuple(f"{each.code}: {each.message}".strip(": ")[:300] for each in errors[:5])
        return ()


class _Error(msgspec.Struct, frozen=True):
    code: str = ""
    message: str = ""


class _Errors(msgspec.Struct, frozen=True):
    errors: tuple[_Error, ...] = ()


class _Token(msgspec.Struct, frozen=True):
    token: str = ""
    access_token: str = ""
    expires_in: float | None = None


class Transport:
    """Connections to one registry, for any number of threads.

    Args:
        host: As in `Reference.host`.
        insecure: Whether nobody has to vouch for it: certificates are not checked, and plain HTTP will do.
        credentials: None: those of docker's configuration.
        patience: How long to wait for it.
    """

    def __init__(
        self,
        host: str,
        *,
        insecure: bool = False,
        credentials: Credentials | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.host = host
        self.insecure = insecure
        self.patience = patience or Patience()
        self._given = credentials
        self._found: Credentials | None = None
        self._base: str | None = None
        self._basic = False
        self._tokens: dict[frozenset[str], tuple[str, float]] = {}
        self._lock = threading.RLock()
        self._local = threading.local()
        self._cancelled = False
        self._sessions: list[requests.Session] = []
        # a base image keeps its registry for as long as its layers may be wanted
        self._finalizer = weakref.finalize(self, _close, self._sessions)

    def close(self) -> None:
        """Close all connections."""
        self._finalizer()

    def cancel(self) -> None:
        """Let requests of other threads end at the next chance, without another try."""
        self._cancelled = True

    def check(self) -> None:
        """See that nobody has cancelled.

        Raises:
            CancelledError: Somebody has.
        """
        if self._cancelled:
            raise CancelledError(f"What was asked of {self.host} is no longer wanted.")

    def ask(
        self,
        method: str,
        path: str,
        *,
        scopes: frozenset[str],
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        stream: Callable[[], object] | None = None,
        good: tuple[int, ...] = (200,),
        once: bool = False,
    ) -> Answer:
        """Send a request, try again while the registry cannot answer, and log in where it asks for that.

        Args:
            method: HTTP's.
            path: Behind `/v2/`, or a whole URL.
            scopes: What for, as tokens have it: `repository:NAME:pull,push`.
            headers: Further ones.
            body: What to send.
            stream: Opens what to send instead, anew for each try.
            good: Statuses that are answers, any other is an error.
            once: Not to try again: the caller has to look first what has arrived.

        Raises:
            NotNowError: The registry cannot be reached, or has been busy for long.
            ImageError: It refuses.
        """
        tries = 1 if once else self.patience.tries
        for count in range(1, tries + 1):
            try:
                answer = self._try(method, path, scopes, headers or {}, body, stream)
                if answer.status in good:
                    return answer
                if answer.status not in _NOT_NOW:
                    raise refused(answer, self.host, self.credentials)
                raise _not_now(answer, self.host)
            except NotNowError as error:
                if count == tries:
                    raise
                self.pause(count, error.asked_s)
        raise AssertionError  # the last try returns or raises

    def pause(self, count: int, asked_s: float | None = None) -> None:
        """Wait before the next try.

        Args:
            count: How many have failed.
            asked_s: What the registry asks for.
        """
        longest = self.patience.longest_pause_s
        if asked_s is not None:
            time.sleep(min(asked_s, longest))
            return
        pause_s = min(self.patience.first_pause_s * 2.0 ** (count - 1), longest)
        time.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311  so that not all come back at once

    @property
    def credentials(self) -> Credentials:
        """Looked for when they are first needed."""
        with self._lock:
            if self._found is None:
                self._found = find_credentials(self.host) if self._given is None else self._given
            return self._found

    # --- one try ----------------------------------------------------------------------------------

    def _try(
        self,
        method: str,
        path: str,
        scopes: frozenset[str],
        headers: Mapping[str, str],
        body: Body,
        stream: Callable[[], object] | None,
    ) -> Answer:
        self.check()
        url = urljoin(f"{self.base}/v2/", path)
        ours = urlsplit(url).netloc == urlsplit(self.base).netloc
        authorization = self._known(scopes) if ours else None
        for last in (False, True):
            response = self._send(method, url, headers, body if stream is None else stream(), authorization)
            if response.status_code != _UNAUTHORIZED or last or not ours:
                break
            challenge = response.headers.get("WWW-Authenticate", "")
            response.close()
            authorization = self._log_in(challenge, scopes)
            if authorization is None:
                break
        return Answer(response, self.host)

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: object, authorization: str | None
    ) -> requests.Response:
        verify, certificate = self._certificates(url)
        try:
            return self._session().request(
                method,
                url,
                headers={"Accept-Encoding": "identity", **headers},
                data=cast("bytes", body),
                auth=_greeting(authorization),
                timeout=(self.patience.connect_s, self.patience.read_s),
                allow_redirects=method in ("GET", "HEAD"),
                stream=True,
                verify=verify,
                cert=certificate,
            )
        except (requests.RequestException, OSError) as error:
            raise lost(error, self.host) from error
        finally:
            close = getattr(body, "close", None)
            if close is not None:
                close()

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.headers["User-Agent"] = f"proj/{__version__}"
            for scheme in ("https://", "http://"):
                session.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=4))
            with self._lock:
                self._sessions.append(session)
            self._local.session = session
        return session

    def _certificates(self, url: str) -> tuple[bool | str | None, tuple[str, str] | None]:
        """Whose certificates count: docker's folder for the registry, else those of the machine."""
        if self.insecure:
            _accept_that_nobody_vouches()
            return False, None
        if urlsplit(url).netloc != urlsplit(self.base).netloc:
            return None, None
        folder = _CERTIFICATES / self.host
        verify: str | None = None
        certificate: tuple[str, str] | None = None
        with contextlib.suppress(OSError):
            if (folder / "ca.crt").is_file():
                verify = str(folder / "ca.crt")
            if (folder / "client.cert").is_file():
                certificate = (str(folder / "client.cert"), str(folder / "client.key"))
        return verify, certificate

    # --- the scheme -------------------------------------------------------------------------------

    @property
    def base(self) -> str:
        """Scheme and host.

        Raises:
            NotNowError: The registry does not answer.
        """
        with self._lock:
            if self._base is None:
                self._base = self._find_base()
            return self._base

    def _find_base(self) -> str:
        host = "registry-1.docker.io" if self.host == DEFAULT_HOST else self.host
        if not (self.insecure or _is_loopback(self.host)):
            return f"https://{host}"
        return f"{_scheme(host, self.patience)}://{host}"

    # --- logging in -------------------------------------------------------------------------------

    def _known(self, scopes: frozenset[str]) -> str | None:
        with self._lock:
            if self._basic:
                return _basic(self.credentials)
            token, until_s = self._tokens.get(scopes, ("", 0.0))
        return f"Bearer {token}" if time.monotonic() < until_s else None

    def _log_in(self, challenge: str, scopes: frozenset[str]) -> str | None:
        """What to send along, for a challenge (RFC 9110, 11.6.1); None: nothing would help."""
        kind, _, rest = challenge.partition(" ")
        fields = {name.lower(): quoted or bare for name, quoted, bare in _CHALLENGE.findall(rest)}
        if kind.lower() == "basic" and self.credentials.username:
            with self._lock:
                self._basic = True
            return _basic(self.credentials)
        if kind.lower() != "bearer" or "realm" not in fields:
            return None
        wanted = scopes | frozenset(fields.get("scope", "").split())
        token = self._fetch_token(fields["realm"], fields.get("service", ""), wanted)
        lives_s = token.expires_in if token.expires_in is not None else _TOKEN_LIFE_S
        text = token.token or token.access_token
        with self._lock:
            self._tokens[scopes] = (text, time.monotonic() + max(lives_s * 0.8, 1.0))
        return f"Bearer {text}"

    def _fetch_token(self, realm: str, service: str, scopes: frozenset[str]) -> _Token:
        parts = urlsplit(realm)
        if parts.scheme not in ("https", "http") or not parts.netloc:
            raise ImageError(f"{self.host} names {realm!r} as the place to log in, which is no URL.")
        if parts.scheme == "http" and self.base.startswith("https:") and not _is_loopback(parts.netloc):
            raise ImageError(
                f"{self.host} wants credentials sent unencrypted, to {parts.netloc}: they are not.",
                code=FailureCode.IMAGE_PULL,
            )
        credentials = self.credentials
        query = [("service", service)] if service else []
        query += [("scope", scope) for scope in sorted(scopes)]
        session = self._session()
        try:
            form: list[tuple[str, str]] | None = None
            if credentials.identity_token:
                form = [("grant_type", "refresh_token"), ("refresh_token", credentials.identity_token)]
                form += [("client_id", "proj"), *query[: bool(service)], ("scope", " ".join(sorted(scopes)))]
            verify, certificate = self._certificates(realm)
            response = session.request(
                "GET" if form is None else "POST",
                realm,
                params=query if form is None else None,
                data=form,
                auth=_greeting(_basic(credentials) if form is None and credentials.username else None),
                timeout=(self.patience.connect_s, self.patience.read_s),
                allow_redirects=False,  # never to be led on to yet another host with credentials
                stream=True,
                verify=verify,
                cert=certificate,
            )
        except (requests.RequestException, OSError) as error:
            raise lost(error, parts.netloc) from error
        answer = Answer(response, parts.netloc)
        if answer.status in _NOT_NOW:
            raise _not_now(answer, parts.netloc)
        if answer.status != 200:  # noqa: PLR2004  OK
            raise _not_let_in(answer, self.host, credentials)
        try:
            token = msgspec.json.decode(answer.body(1 << 20), type=_Token)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ImageError(f"{parts.netloc} did not answer with a token.") from error
        if not (token.token or token.access_token):
            raise ImageError(f"{parts.netloc} answered with a token that is empty.")
        return token


_schemes: dict[str, str] = {}
"""What is known of registries that may do without TLS."""


def _scheme(host: str, patience: Patience) -> str:
    """Whether a registry that may do without TLS has it: by asking for nothing, without credentials.

    One on this machine is asked without first, which is quicker; any other with it.
    """
    known = _schemes.get(host)
    if known is not None:
        return known
    order = ("http", "https") if _is_loopback(host) else ("https", "http")
    session = requests.Session()
    session.trust_env = False
    _accept_that_nobody_vouches()
    with session:
        for scheme in order:
            with contextlib.suppress(requests.RequestException):
                answer = session.get(
                    f"{scheme}://{host}/v2/",
                    timeout=patience.connect_s,
                    verify=False,
                    stream=True,
                )
                answer.close()
                if answer.status_code != _BAD_REQUEST:  # what a server says that speaks TLS
                    _schemes[host] = scheme
                    return scheme
    return "http"  # what is wrong is found out by the request


def _close(sessions: list[requests.Session]) -> None:
    while sessions:
        sessions.pop().close()


def _is_loopback(netloc: str) -> bool:
    name = urlsplit(f"//{netloc}").hostname or ""
    return name in ("localhost", "::1") or bool(re.fullmatch(r"127(?:\.\d{1,3}){3}", name))


def _basic(credentials: Credentials) -> str:
    pair = f"{credentials.username}:{credentials.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _greeting(authorization: str | None) -> AuthBase:
    """A callable, since ~/.netrc would win over a header and over nothing."""

    def greet(request: requests.PreparedRequest) -> requests.PreparedRequest:
        if authorization is not None:
            request.headers["Authorization"] = authorization
        return request

    return cast("AuthBase", greet)


def _accept_that_nobody_vouches() -> None:
    """Leave out urllib3's warning at each request: the user asked for it."""
    import urllib3

    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)


# --- what went wrong ------------------------------------------------------------------------------------


def lost(error: BaseException, host: str) -> ImageError:
    """The error for a request without an answer."""
    if isinstance(error, ImageError):
        return error
    if isinstance(error, requests.exceptions.SSLError):
        return ImageError(
            f"{host} cannot be trusted: {_root(error)}.",
            code=FailureCode.IMAGE_PULL,
            hint=f"Put its authority's certificate at {_CERTIFICATES / host / 'ca.crt'}, or name it in "
            "REQUESTS_CA_BUNDLE; --insecure does without.",
        )
    timed_out = isinstance(error, requests.exceptions.Timeout)
    said = "it took too long to answer" if timed_out else _root(error)
    return NotNowError(
        f"{host} cannot be reached: {said}.",
        code=FailureCode.IMAGE_PULL,
        hint="Check the name and the network" + (f"; proxies are {_proxies()}." if _proxies() else "."),
    )


def _root(error: BaseException) -> str:
    """The innermost cause, which says most."""
    seen: BaseException = error
    while True:
        inner = seen.__cause__ or getattr(seen, "reason", None) or seen.__context__
        if not isinstance(inner, BaseException) or inner is seen:
            break
        seen = inner
    text = str(getattr(seen, "strerror", None) or seen) or type(seen).__name__
    return re.sub(r"<[^>]*>:?\s*", "", text).rstrip(".")[:200]


def _proxies() -> str:
    names = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
    return ", ".join(name for name in names if os.environ.get(name))


def _not_now(answer: Answer, host: str) -> NotNowError:
    asked = answer.headers.get("Retry-After", "").strip()
    what = "asks for fewer requests" if answer.status == 429 else "cannot answer now"  # noqa: PLR2004
    failure = NotNowError(
        f"{host} {what} (status {answer.status}).",
        code=FailureCode.IMAGE_PULL,
        hint="Try again later" + (", or log in: that may allow more." if answer.status == 429 else "."),  # noqa: PLR2004
        details=answer.complaint(),
    )
    failure.asked_s = float(asked) if asked.isdigit() else None
    return failure


def refused(answer: Answer, host: str, credentials: Credentials) -> ImageError:
    """The error for a request that was refused."""
    if answer.status in (401, 403):
        return _not_let_in(answer, host, credentials)
    return ImageError(
        f"{host} refused with status {answer.status}.",
        code=FailureCode.IMAGE_PULL,
        details=answer.complaint(),
    )


def _not_let_in(answer: Answer, host: str, credentials: Credentials) -> ImageError:
    who = "anonymously" if credentials.anonymous else f"as {credentials.username or 'the holder of a token'}"
    return ImageError(
        f"{host} does not allow this {who} (status {answer.status}).",
        code=FailureCode.IMAGE_PULL,
        hint=f"Log in with credentials that may: docker login {host}",
        details=answer.complaint(),
    )
