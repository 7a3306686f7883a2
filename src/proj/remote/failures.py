"""Why no answer came from a tracking server, in words that say what to do."""

from __future__ import annotations

import contextlib
import http.client
import socket
from typing import TYPE_CHECKING

import requests

from proj.errors import StoreError, UnreachableError
from proj.wire.codec import decode_body
from proj.wire.errors import ApiError, ErrorBody

if TYPE_CHECKING:
    from proj.remote.transport import Answer

_MAX_SHOWN = 300
_MAX_CAUSES = 10


class LostError(UnreachableError):
    """A request had no answer, or that there is none now.

    Args:
        message: See `ProjError`.
        hint: See `ProjError`.
        may_be_done: Whether the server may have done what it was asked all the same.
        hopeless: Whether it would be no better a moment later.
        late: Whether time was up.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        may_be_done: bool = True,
        hopeless: bool = False,
        late: bool = False,
    ) -> None:
        super().__init__(message, hint=hint)
        self.may_be_done = may_be_done
        self.hopeless = hopeless
        self.late = late


def lost(error: requests.RequestException, url: str) -> StoreError:
    """Say why there was no answer; a `LostError` where it might be had by another try."""
    where = f"The tracking server {url}"
    kinds = requests.exceptions
    if isinstance(error, kinds.ReadTimeout):
        return LostError(f"{where} does not answer in time.", hint=_TIME, late=True)
    if isinstance(error, kinds.SSLError):
        return _unencrypted(error, url)
    if not isinstance(error, kinds.ConnectionError):
        return StoreError(f"{where} cannot be asked: {_cause(error)}.", hint=_CHECK)
    if isinstance(error, kinds.ProxyError):
        said = f"{where} cannot be reached: the proxy does not answer ({_cause(error)})."
        return LostError(said, hint=_PROXIES, may_be_done=False)
    if _is_unsent(error):
        return LostError(f"{where} cannot be reached: {_cause(error)}.", hint=_CHECK, may_be_done=False)
    silent = any(isinstance(each, ConnectionResetError) for each in _causes(error))
    hint = "Try again."
    if silent and url.startswith("http:"):  # so does one that speaks TLS
        hint = f"Try again; or {url.replace('http:', 'https:', 1)}, if it speaks TLS."
    return LostError(f"The connection to {url} was lost: {_cause(error)}.", hint=hint)


def _unencrypted(error: requests.RequestException, url: str) -> LostError:
    """Say why there is no safe way there; nothing was sent, and another try would be the same."""
    said, hint = f"The tracking server {url} cannot be trusted: {_cause(error)}.", _CERTIFICATES
    if any(getattr(cause, "reason", None) in _NO_TLS for cause in _causes(error)):
        said, hint = f"The tracking server {url} speaks no TLS.", f"Try {url.replace('https:', 'http:', 1)}."
    return LostError(said, hint=hint, may_be_done=False, hopeless=True)


_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE")
"""What OpenSSL finds in an answer that is no TLS, by its version."""
_CHECK = "Check the address, and that the server is up."
_TIME = "MLFLOW_HTTP_REQUEST_TIMEOUT is the time in seconds."
_PROXIES = "HTTPS_PROXY and HTTP_PROXY name it; NO_PROXY names hosts to reach without it."
_CERTIFICATES = (
    "MLFLOW_TRACKING_SERVER_CERT_PATH names a file with the certificate of who vouches for it, "
    "MLFLOW_TRACKING_CLIENT_CERT_PATH one with your own where it asks for that."
)


def not_now(answer: Answer, url: str) -> LostError:
    """Say that a server is not available now, in its own words where it has some."""
    words = {429: "is asked too much", 502: "is away", 503: "is not available", 504: "does not answer"}
    said = told(answer)
    return LostError(
        f"The tracking server {url} {words[answer.status]} now (status {answer.status}"
        f"{f': {said}' if said else ''}).",
        hint="Try again later.",
        # Behind a 502 or 504 of a proxy something may have been done.
        may_be_done=answer.status in (502, 504),
    )


def told(answer: Answer) -> str:
    """What a server says in MLflow's shape, or nothing."""
    with contextlib.suppress(ApiError):
        return shortened(decode_body(answer.body, ErrorBody).message)
    return ""


def shortened(text: str) -> str:
    """A text as a part of a message."""
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]} …"


def _is_unsent(error: BaseException) -> bool:
    """Whether there was no connection; the classes are urllib3's."""
    names = {type(cause).__name__ for cause in _causes(error)}
    return bool(names & {"NewConnectionError", "NameResolutionError", "ConnectTimeoutError"})


def _cause(error: BaseException) -> str:
    """The innermost reason that has words for people; those of the libraries show objects."""
    for cause in reversed(_causes(error)):
        if isinstance(cause, socket.gaierror):
            return "its name is not known"
        if isinstance(cause, http.client.RemoteDisconnected):
            return "it was closed without an answer"
        if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, requests.RequestException):
            return cause.strerror[:1].lower() + cause.strerror[1:]
    return type(_causes(error)[-1]).__name__


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    nested: BaseException | None = error
    while nested is not None and len(found) < _MAX_CAUSES:
        found.append(nested)
        inside = [getattr(nested, "reason", None), *nested.args, nested.__cause__, nested.__context__]
        nested = next((each for each in inside if isinstance(each, BaseException)), None)
    return found
