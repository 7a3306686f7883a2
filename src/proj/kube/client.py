"""Requests to one API server. Kubernetes' own Python client takes most of a second to be imported."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import msgspec
import urllib3
from urllib3.exceptions import HTTPError, MaxRetryError, ProtocolError
from urllib3.util import Timeout

from proj.kube.credentials import Credentials
from proj.kube.errors import BUSY, UNAUTHORIZED, ApiError, ConfigError, UnreachableClusterError
from proj.kube.objects import Status
from proj.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from proj.kube.kubeconfig import Connection

T = TypeVar("T")
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
_AGENT = f"proj/{__version__}"
_JSON = "application/json"
_METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json"
_CHUNK_BYTES = 65536
_CONNECT_S = 5.0
_READ_S = 30.0
_TRIES = 4
_FIRST_PAUSE_S = 0.2
_CONNECTIONS = 16
# A log may be silent for hours: whether anybody is still there has to be asked.
_SOCKET_OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    ),
]


class Stream:
    """An answer that comes bit by bit.

    Args:
        answer: It, unread.
        lost: Makes an error of ours of one of the connection's.
    """

    def __init__(
        self, answer: urllib3.BaseHTTPResponse, lost: Callable[[Exception], UnreachableClusterError]
    ) -> None:
        self._answer = answer
        self._lost = lost
        self._aborted = False

    def __iter__(self) -> Iterator[bytes]:
        """Yield its pieces as they come.

        Raises:
            UnreachableClusterError: The connection broke before the end.
        """
        try:
            yield from self._answer.stream(_CHUNK_BYTES, decode_content=False)
        except (HTTPError, OSError, AttributeError, ValueError) as error:
            if self._aborted:  # the connection was taken from under our hands
                return
            if isinstance(error, HTTPError | OSError):
                raise self._lost(error) from error
            raise

    def abort(self) -> None:
        """Make whoever reads it stop; from any thread."""
        self._aborted = True
        connection = self._answer.connection
        sock = getattr(connection, "sock", None)
        if isinstance(sock, socket.socket):
            with contextlib.suppress(OSError):  # it has ended by itself
                # SSLSocket's own method takes the encryption away first: its reader would get ciphertext.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


class Client:
    """Speaks to one API server as one user; safe to use from many threads.

    Args:
        connection: Which one, and as whom.

    Raises:
        ConfigError: Its credentials cannot be used.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.calls = 0
        """How many requests were made."""
        self._base = connection.cluster.server.rstrip("/")
        self._credentials = Credentials(connection)
        self._lock = threading.Lock()
        self._pool = self._connect()
        self._pool_is_of = self._credentials.certificates

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self._base

    def get(self, path: str, kind: type[T], what: str, **query: str) -> T:
        """Ask for an object or a list.

        Args:
            path: Below the server's URL.
            kind: What the answer is.
            what: What is asked for, for messages: "read the pod train-1".
            query: Of the request.

        Raises:
            ApiError: It is refused.
            UnreachableClusterError: No answer is to be had.
        """
        data = self.send("GET", path, what, query=query)
        try:
            return msgspec.json.decode(data, type=kind)
        except msgspec.DecodeError as error:  # a page of a proxy in between, say
            raise UnreachableClusterError(
                f"The answer of the cluster at {self._base} makes no sense: {error}."
            ) from error

    def send(
        self,
        method: str,
        path: str,
        what: str,
        *,
        body: object = None,
        query: Mapping[str, str] | None = None,
        content_type: str = _JSON,
        tries: int = _TRIES,
        metadata_only: bool = False,
    ) -> bytes:
        """Send a request, again if the server is busy or gone for a moment; returns the answer's body.

        A POST is sent again as well: a name is taken only once, so its second answer would be a conflict.

        Raises:
            ApiError: It is refused.
            UnreachableClusterError: No answer is to be had.
        """
        payload = None if body is None else msgspec.json.encode(body)
        pause_s = _FIRST_PAUSE_S
        for left in reversed(range(tries)):
            try:
                answer = self._request(
                    method,
                    path,
                    payload,
                    query,
                    content_type,
                    what,
                    accept=_METADATA if metadata_only else _JSON,
                )
                data = answer.data
            except UnreachableClusterError:
                if not left:
                    raise
            except HTTPError as error:
                if not left:
                    raise self._lost(error) from error
            else:
                if answer.status < 400:  # noqa: PLR2004  HTTP's border
                    return data
                if answer.status not in BUSY or not left:
                    raise refusal(what, answer.status, data)
            time.sleep(pause_s)
            pause_s *= 2
        raise AssertionError  # the last try has returned or raised

    @contextlib.contextmanager
    def stream(
        self, path: str, what: str, *, read_s: float | None, query: Mapping[str, str]
    ) -> Iterator[Stream]:
        """Ask for something that comes bit by bit.

        Args:
            path: See `get`.
            what: See `get`.
            read_s: How long nothing may come; None: for ever.
            query: Of the request.

        Raises:
            ApiError: It is refused.
            UnreachableClusterError: The connection cannot be made.
        """
        answer = self._request("GET", path, None, query, _JSON, what, read_s=read_s)
        try:
            if answer.status >= 400:  # noqa: PLR2004  HTTP's border
                raise refusal(what, answer.status, answer.data)
            yield Stream(answer, self._lost)
        finally:
            # A connection with an answer that was not read to its end serves nobody any more.
            answer.close()
            answer.release_conn()

    def close(self) -> None:
        """Give the connections up."""
        self._pool.clear()

    # --- below ----------------------------------------------------------------------------------------

    def _current_pool(self) -> urllib3.PoolManager:
        """The connections; new ones where a plugin has renewed the certificate that they are made with."""
        with self._lock:
            made = self._credentials.certificates
            if made != self._pool_is_of:
                self._pool, self._pool_is_of = self._connect(), made
            return self._pool

    def _connect(self) -> urllib3.PoolManager:
        cluster = self.connection.cluster
        host = urlsplit(self._base).hostname or ""
        options: dict[str, object] = {"maxsize": _CONNECTIONS, "block": False, "retries": False}
        options["socket_options"] = _SOCKET_OPTIONS
        if self._base.startswith("https:"):
            options["ssl_context"] = self._credentials.tls()
            if cluster.insecure_skip_tls_verify:
                options |= {"cert_reqs": "CERT_NONE", "assert_hostname": False}
            elif cluster.tls_server_name:
                options["server_hostname"] = cluster.tls_server_name
        proxy = cluster.proxy_url or _proxy_of(self._base, host)
        if proxy:
            _check_proxy(proxy, named=proxy == cluster.proxy_url)
            return urllib3.ProxyManager(proxy, **options)  # type: ignore[arg-type]  # as it takes them
        return urllib3.PoolManager(**options)  # type: ignore[arg-type]  # same

    def _request(
        self,
        method: str,
        path: str,
        payload: bytes | None,
        query: Mapping[str, str] | None,
        content_type: str,
        what: str,
        *,
        read_s: float | None = _READ_S,
        accept: str = _JSON,
    ) -> urllib3.BaseHTTPResponse:
        url = self._base + quote(path, safe="/:") + (f"?{urlencode(query)}" if query else "")
        for renew in (False, True):
            headers = self._credentials.headers(renew=renew)
            headers.update({"User-Agent": _AGENT, "Accept": accept})
            if payload is not None:
                headers["Content-Type"] = content_type
            self.calls += 1
            try:
                answer = self._current_pool().request(
                    method, url, body=payload, headers=headers, preload_content=False, redirect=False,
                    timeout=Timeout(connect=_CONNECT_S, read=read_s),
                )  # fmt: skip
            except (HTTPError, OSError) as error:
                raise self._lost(error) from error
            if answer.status != UNAUTHORIZED or renew:
                return answer
            answer.drain_conn()
        raise AssertionError(what)  # the second answer is returned whatever it is

    def _lost(self, error: Exception) -> UnreachableClusterError:
        cause = error.reason if isinstance(error, MaxRetryError) and error.reason else error
        said = str(cause.args[-1]) if isinstance(cause, ProtocolError) and cause.args else str(cause)
        context = self.connection.context
        return UnreachableClusterError(
            f"The cluster at {self._base} does not answer: {said.strip()}",
            hint=f"The context {context!r} of the kubeconfig names it." if context else None,
        )


def refusal(what: str, status: int, data: bytes) -> ApiError:
    """The error that an answer tells of."""
    try:
        said = msgspec.json.decode(data, type=Status)
    except msgspec.DecodeError:  # a proxy's page, say
        said = Status(message=data[:200].decode(errors="replace").strip())
    return ApiError(what, status=status, reason=said.reason, said=said.message)


def _proxy_of(url: str, host: str) -> str | None:
    """The proxy that the environment names for a host."""
    if proxy_bypass(host):
        return None
    proxies = getproxies()
    found = proxies.get(urlsplit(url).scheme) or proxies.get("all")
    return f"http://{found}" if found and "://" not in found else found


def _check_proxy(proxy: str, *, named: bool) -> None:
    scheme = urlsplit(proxy).scheme
    if scheme not in ("http", "https"):
        where = "`proxy-url` of the kubeconfig's cluster" if named else "A variable such as HTTPS_PROXY"
        raise ConfigError(
            f"{where} names a proxy that proj cannot use: {scheme or 'no'} scheme, not http or https.",
            hint="Name an HTTP proxy; a tunnel (`ssh -L`) to the API server needs none.",
        )
