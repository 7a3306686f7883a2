"""Requests to one registry: its scheme and certificates, and patience with it."""

from __future__ import annotations

import contextlib
import random
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

from proj.images.answers import (
    CERTIFICATES,
    NOT_NOW,
    Answer,
    CancelledError,
    NotNowError,
    lost,
    not_now,
    refused,
)
from proj.images.logins import Login
from proj.images.reference import DEFAULT_HOST, is_loopback
from proj.model import _Value
from proj.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from requests.auth import AuthBase

    from proj.images.credentials import Credentials

_BAD_REQUEST: Final = 400
_UNAUTHORIZED: Final = 401

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
        self._login = Login(host, credentials)
        self._base: str | None = None
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
                if answer.status not in NOT_NOW:
                    raise refused(answer, self.host, self._login.credentials)
                raise not_now(answer, self.host)
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
        authorization = self._login.known(scopes) if ours else None
        for last in (False, True):
            response = self._send(method, url, headers, body if stream is None else stream(), authorization)
            if response.status_code != _UNAUTHORIZED or last or not ours:
                break
            challenge = response.headers.get("WWW-Authenticate", "")
            response.close()
            encrypted = self.base.startswith("https:")
            authorization = self._login.answer(challenge, scopes, self._ask_for_token, encrypted=encrypted)
            if authorization is None:
                break
        return Answer(response, self.host)

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: object, authorization: str | None
    ) -> requests.Response:
        try:
            return self._request(
                method,
                url,
                host=self.host,
                authorization=authorization,
                headers={"Accept-Encoding": "identity", **headers},
                data=cast("bytes", body),
                allow_redirects=method in ("GET", "HEAD"),
            )
        finally:
            close = getattr(body, "close", None)
            if close is not None:
                close()

    def _ask_for_token(
        self,
        method: str,
        url: str,
        *,
        params: Sequence[tuple[str, str]] | None,
        form: Sequence[tuple[str, str]] | None,
        authorization: str | None,
    ) -> Answer:
        """See `Sender`: it is never led on to yet another host with credentials."""
        host = urlsplit(url).netloc
        response = self._request(
            method,
            url,
            host=host,
            authorization=authorization,
            params=params,
            data=form,
            allow_redirects=False,
        )
        return Answer(response, host)

    def _request(
        self, method: str, url: str, *, host: str, authorization: str | None, **options: Any
    ) -> requests.Response:
        verify, certificate = self._certificates(url)
        try:
            return self._session().request(
                method,
                url,
                auth=_greeting(authorization),
                timeout=(self.patience.connect_s, self.patience.read_s),
                stream=True,
                verify=verify,
                cert=certificate,
                **options,
            )
        except (requests.RequestException, OSError) as error:
            raise lost(error, host) from error

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
        folder = CERTIFICATES / self.host
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
        if not (self.insecure or is_loopback(self.host)):
            return f"https://{host}"
        return f"{_scheme(host, self.patience)}://{host}"


_schemes: dict[str, str] = {}
"""What is known of registries that may do without TLS."""


def _scheme(host: str, patience: Patience) -> str:
    """Whether a registry that may do without TLS has it: by asking for nothing, without credentials.

    One on this machine is asked without first, which is quicker; any other with it.
    """
    known = _schemes.get(host)
    if known is not None:
        return known
    order = ("http", "https") if is_loopback(host) else ("https", "http")
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
