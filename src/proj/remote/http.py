"""Requests over HTTP to one tracking server: credentials, certificates, and patience with it."""

from __future__ import annotations

import contextlib
import contextvars
import io
import itertools
import os
import random
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlencode, urljoin, urlsplit

import msgspec
import requests
import requests.adapters

from proj import events
from proj.errors import StoreError, UsageError
from proj.remote.credentials import Credentials, find_credentials, split_userinfo
from proj.remote.failures import LostError, lost, not_now
from proj.remote.streams import Download, Upload
from proj.remote.transport import Answer, UncertainError
from proj.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from requests.auth import AuthBase

    from proj.remote.transport import Request, Transport

_NOT_NOW = frozenset((429, 502, 503, 504))
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_KEEP_METHOD = frozenset((307, 308))
_MAX_REDIRECTS = 5
_MAX_ERROR_BYTES = 10_000
_REPEATABLE = (
    "experiments/search",
    "experiments/search-datasets",
    "runs/delete",
    "runs/delete-tag",
    "runs/log-batch",
    "runs/log-inputs",
    "runs/log-metric",
    "runs/log-model",
    "runs/log-parameter",
    "runs/outputs",
    "runs/restore",
    "runs/search",
    "runs/set-tag",
    "runs/update",
    "/alias",
    "/delete-experiment-tag",
    "/get-latest-versions",
    "/params",
    "/set-experiment-tag",
    "/set-tag",
    "logged-models/search",
)
"""How the paths of POST requests end that do the same when they are sent twice."""


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait for a server, and how often to try again."""

    connect_s: float = 5.0
    read_s: float = 120.0
    """Between two pieces of an answer."""
    retries: int = 4
    """Each after a pause twice as long as the one before, or as long as the server asks for."""
    timeout_retries: int = 1
    """How many of the retries may follow an answer that did not come in time: each waits as long again."""
    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0
    tell_after_s: float | None = None
    """From when on to say that a server is waited for; None: never."""


QUICK = Patience(connect_s=1.0, read_s=2.0, retries=0)
"""One try, for a caller that has something better to do than to wait."""
_FIRST_LOOK_S = 10.0
_TELL_AFTER_S = 4.0


def usual_patience() -> Patience:
    """The patience that `MLFLOW_HTTP_REQUEST_TIMEOUT` and `MLFLOW_HTTP_REQUEST_MAX_RETRIES` ask for.

    Raises:
        UsageError: They are no numbers.
    """
    return _asked_for(Patience(tell_after_s=_TELL_AFTER_S))


def first_look() -> Patience:
    """The patience with a server of which it is not known whether it answers at all.

    Raises:
        UsageError: As `usual_patience`.
    """
    return _asked_for(Patience(read_s=_FIRST_LOOK_S, timeout_retries=0, tell_after_s=_TELL_AFTER_S))


def _asked_for(usual: Patience) -> Patience:
    return msgspec.structs.replace(
        usual,
        read_s=_number("MLFLOW_HTTP_REQUEST_TIMEOUT", usual.read_s, least=0.001),
        retries=int(_number("MLFLOW_HTTP_REQUEST_MAX_RETRIES", usual.retries, least=0)),
    )


def _number(variable: str, usual: float, *, least: float) -> float:
    text = os.environ.get(variable)
    if not text:
        return usual
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not least <= number <= 1e6:  # noqa: PLR2004  eleven days; nan fails too
        raise UsageError(f"{variable} is {text!r}, which is no number that makes sense there.")
    return number


class HttpTransport:
    """A `Transport` over HTTP. Each connection serves one thread at a time.

    Args:
        url: The server's URL; what stands before its host (`user:password@`) are credentials.
        credentials: How to greet it; None: as the environment says.
        patience: How long to wait for it; None: as the environment says.

    Raises:
        UsageError: The URL, or what the environment says, cannot be meant.
    """

    def __init__(
        self, url: str, *, credentials: Credentials | None = None, patience: Patience | None = None
    ) -> None:
        self.url, userinfo = split_userinfo(url)
        self._credentials = credentials or find_credentials(userinfo)
        self._patience = patience or usual_patience()
        self._pool = _Pool(self._credentials)

    def with_patience(self, patience: Patience) -> HttpTransport:
        """Return the same transport with other patience; they share their connections, and closing one."""
        other = object.__new__(HttpTransport)
        other.url, other._credentials, other._pool = self.url, self._credentials, self._pool
        other._patience = patience
        return other

    def send(self, request: Request) -> Answer:
        """See `Transport.send`."""
        return self._persist(request, whole=True)[0]

    @contextlib.contextmanager
    def open(self, request: Request) -> Iterator[tuple[Answer, BinaryIO]]:
        """See `Transport.open`."""
        answer, body = self._persist(request, whole=False)
        with io.BufferedReader(body, 1 << 16) as stream:
            yield answer, cast("BinaryIO", stream)

    def close(self) -> None:
        """See `Transport.close`."""
        self._pool.close()

    def _persist(self, request: Request, *, whole: bool) -> tuple[Answer, Download]:
        """Try until there is an answer, or no point in it."""
        with _telling(self.url, self._patience.tell_after_s):
            return self._try_often(request, whole=whole)

    def _try_often(self, request: Request, *, whole: bool) -> tuple[Answer, Download]:
        late = 0
        for tries in itertools.count():
            asked_s: float | None = None
            try:
                answer, body = self._try(request, whole=whole)
                if answer.status not in _NOT_NOW:
                    return answer, body
                asked_s = _retry_after_s(answer)
                failure = not_now(_with_body(answer, body), self.url)
            except LostError as error:
                failure = error
            if failure.may_be_done and not repeatable(request):
                said = f"{failure.message} Whether it did what it was asked is not known."
                raise UncertainError(said, hint=failure.hint) from failure
            late += failure.late
            if failure.hopeless or tries >= self._patience.retries or late > self._patience.timeout_retries:
                raise failure
            time.sleep(self._pause_s(tries, asked_s))
        raise AssertionError  # the count has no end

    def _pause_s(self, tries: int, asked_s: float | None) -> float:
        longest = self._patience.longest_pause_s
        if asked_s is not None:
            return min(asked_s, longest)
        pause_s: float = min(self._patience.first_pause_s * 2.0**tries, longest)
        return pause_s * random.uniform(0.5, 1.0)  # noqa: S311  so that clients do not come back all at once

    def _try(self, request: Request, *, whole: bool) -> tuple[Answer, Download]:
        session = self._pool.take()
        try:
            response = self._follow(session, request)
        except BaseException:
            self._pool.give(session)
            raise
        body = Download(response, self.url, lambda: self._pool.give(session))
        headers = {name.lower(): value for name, value in response.headers.items()}
        answer = Answer(
            status=response.status_code, headers=headers, body=b"", credentials=self._credentials.origin
        )
        if not whole:
            return answer, body
        with body:
            return msgspec.structs.replace(answer, body=body.readall() or b""), body

    def _follow(self, session: requests.Session, request: Request) -> requests.Response:
        """Send a request, and again where the server says that its place is another."""
        url = f"{self.url}{request.path}{'?' if request.query else ''}{urlencode(request.query)}"
        for _ in range(_MAX_REDIRECTS):
            response = self._request(session, request, url)
            location = response.headers.get("Location")
            if response.status_code not in _REDIRECTS or location is None:
                return response
            response.close()
            target = urljoin(url, location)
            keeps = request.method in ("GET", "HEAD") or response.status_code in _KEEP_METHOD
            if not keeps or not _is_same_server(url, target):
                raise _sent_elsewhere(self.url, target)
            url = target
        raise StoreError(f"The tracking server {self.url} redirects in a circle.")

    def _request(self, session: requests.Session, request: Request, url: str) -> requests.Response:
        patience = self._patience
        with contextlib.ExitStack() as stack:
            body: bytes | Upload | None = None
            connect_s = patience.connect_s
            if isinstance(request.body, Path):
                given = request.headers.get("Content-Length", "")
                body = stack.enter_context(Upload(request.body, int(given) if given.isdecimal() else None))
                connect_s = patience.read_s  # it holds for each piece that is sent, too
            elif request.body is not None:
                body = request.body
            headers = {"Accept-Encoding": "identity", **request.headers}
            try:
                return session.request(
                    request.method,
                    url,
                    data=body if body is None or len(body) else b"",
                    headers=headers,
                    timeout=(connect_s, patience.read_s),
                    allow_redirects=False,
                    stream=True,
                    verify=self._credentials.verify,
                    cert=self._credentials.client_certificate,
                )
            except requests.RequestException as error:
                raise lost(error, self.url) from error
            except OSError as error:  # a certificate's file
                raise StoreError(f"{self.url} cannot be asked: {error}.") from error


class _Pool:
    """Sessions, each with a connection, for one thread at a time."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._idle: list[requests.Session] = []
        self._lock = threading.Lock()
        self._closed = False

    def take(self) -> requests.Session:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        session = requests.Session()
        session.headers["User-Agent"] = f"proj/{__version__}"
        if self._credentials.authorization is not None:  # a callable, or ~/.netrc would win over a header
            session.auth = _greeting(self._credentials.authorization)
        if self._credentials.verify is False:
            _accept_that_nobody_vouches()
        adapter = requests.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=1)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session

    def give(self, session: requests.Session) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(session)
                return
        session.close()

    def close(self) -> None:
        with self._lock:
            idle, self._idle, self._closed = self._idle, [], True
        for session in idle:
            session.close()


@contextlib.contextmanager
def _telling(url: str, after_s: float | None) -> Iterator[None]:
    """Say once that a server is waited for, if the block takes so long."""
    if after_s is None:
        yield
        return
    # A thread begins without the listener of events.
    say = contextvars.copy_context().run
    timer = threading.Timer(after_s, say, args=(events.note, f"Waiting for {url} …"))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _greeting(authorization: str) -> AuthBase:
    def greet(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = authorization
        return request

    return cast("AuthBase", greet)


def _accept_that_nobody_vouches() -> None:
    """Leave out urllib3's warning at each request: the user asked for it."""
    import urllib3

    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)


def repeatable(request: Request) -> bool:
    """Whether a request does the same when it is sent twice, as far as is known of it."""
    return request.method != "POST" or request.path.endswith(_REPEATABLE)


def _with_body(answer: Answer, body: Download) -> Answer:
    """Return an answer with the beginning of its body, and be done with that."""
    if body.closed:
        return answer
    with body:
        return msgspec.structs.replace(answer, body=body.read(_MAX_ERROR_BYTES) or b"")


def _retry_after_s(answer: Answer) -> float | None:
    """What a server says about when to come back: seconds, or a date (RFC 9110, 10.2.3)."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    from email.utils import parsedate_to_datetime

    with contextlib.suppress(ValueError, OverflowError):
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    return None


def _is_same_server(one: str, other: str) -> bool:
    """Whether credentials for one URL may go to the other: the same host and port, or its encrypted one."""
    with contextlib.suppress(ValueError):
        first, second = urlsplit(one), urlsplit(other)
        if first.hostname != second.hostname:
            return False
        same = (first.scheme, first.port) == (second.scheme, second.port)
        return same or (first.scheme, second.scheme) == ("http", "https")
    return False


def _sent_elsewhere(url: str, target: str) -> StoreError:
    where = target.partition("?")[0].partition("#")[0]
    return StoreError(
        f"{url} redirects to {where.rpartition('@')[2]} instead of answering.",
        hint="If that is the tracking server, give its address; if it is where one logs in, the server "
        "needs credentials that a program can send.",
    )


if TYPE_CHECKING:

    def _conforms(transport: HttpTransport) -> Transport:
        return transport
