"""Typed calls to a tracking server: a message in, a message out, and its errors as ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from proj.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    ProjError,
    StoreError,
    UsageError,
)
from proj.remote.credentials import NAMES, incomplete
from proj.remote.failures import shortened
from proj.remote.transport import Request
from proj.wire.codec import Empty, decode_body, encode_query, encode_request
from proj.wire.errors import ApiError, ErrorBody

if TYPE_CHECKING:
    from proj.remote.transport import Answer, Transport

T = TypeVar("T", bound=msgspec.Struct)

API = "/api/2.0/mlflow/"
_OK = 200
_UNAUTHORIZED = (401, 407)
_FORBIDDEN = 403
_NO_SUCH_CALL = (404, 405, 501)
_TOO_LARGE = 413
_CONFLICT = 409
_FAILED = 500
_KINDS: dict[str, type[ProjError]] = {
    "RESOURCE_DOES_NOT_EXIST": NotFoundError,
    "RESOURCE_ALREADY_EXISTS": AlreadyExistsError,
    "RESOURCE_CONFLICT": ConflictError,
    "INVALID_STATE": ConflictError,
    "INVALID_PARAMETER_VALUE": UsageError,
    "BAD_REQUEST": UsageError,
}


class UnknownCallError(UsageError):
    """The server has no such call: it is older than that, or no tracking server at all."""


class NoTrackingServerError(UnknownCallError):
    """What answers does not speak MLflow's protocol at all, or not that call: nothing the user asked for."""

    code = StoreError.code
    exit_code = StoreError.exit_code


class Client:
    """Calls one server by MLflow's REST protocol. Any number of threads may call at once.

    Args:
        transport: The way to it; `close` closes it.
        url: Its URL without credentials, for messages.
    """

    def __init__(self, transport: Transport, url: str) -> None:
        self.transport = transport
        self.url = url

    def get(self, path: str, message: msgspec.Struct, answer: type[T]) -> T:
        """Call by GET; the message goes into the query.

        Raises:
            ProjError: As `call`.
        """
        return self.call("GET", path, message, answer)

    def post(self, path: str, message: msgspec.Struct, answer: type[T]) -> T:
        """Call by POST; the message is the body.

        Raises:
            ProjError: As `call`.
        """
        return self.call("POST", path, message, answer)

    def call(self, method: str, path: str, message: msgspec.Struct, answer: type[T]) -> T:
        """Send a message and return the answer.

        Args:
            method: `GET` sends the message as a query, all others as JSON.
            path: Below `/api/2.0/mlflow/`, or from the server's root where it begins with a slash; quoted.
            message: The request.
            answer: What the answer is read as.

        Raises:
            NotFoundError: Something that was asked for by name is not there.
            AlreadyExistsError: Something to be made is there already.
            ConflictError: It contradicts what is there.
            UsageError: The server cannot understand it.
            UnknownCallError: The server has no such call.
            UnreachableError: It cannot be reached, or is not available now.
            StoreError: It refuses, fails, or is no tracking server.
        """
        target = path if path.startswith("/") else API + path
        if method == "GET":
            request = Request(method=method, path=target, query=encode_query(message))
        else:
            headers = {"Content-Type": "application/json"}
            request = Request(method=method, path=target, body=encode_request(message), headers=headers)
        found = self.transport.send(request)
        if found.status != _OK:
            raise refusal(found, self.url)
        try:
            return decode_body(found.body, answer)
        except ApiError as error:
            raise _no_tracking_server(found, self.url) from error

    def check(self) -> None:
        """Return if the server is there and lets us in: one call that every version answers.

        Raises:
            UnreachableError: It cannot be reached, or is not available now.
            StoreError: The credentials do not fit, or it is no tracking server.
        """
        from proj.wire.experiments import ExperimentsAnswer, SearchExperiments

        try:
            self.get("experiments/search", SearchExperiments(max_results=1), ExperimentsAnswer)
        except UsageError as error:
            raise StoreError(error.message, hint=error.hint) from error

    def close(self) -> None:
        """Release connections; closing twice is no error."""
        self.transport.close()


def refusal(answer: Answer, url: str) -> ProjError:
    """What an answer that is no success means, as an error of ours."""
    try:
        body = msgspec.json.decode(answer.body, type=ErrorBody)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        body = None
    said = shortened(body.message.strip() if body is not None else "")
    if answer.status in _UNAUTHORIZED:
        return _unauthorized(answer, url)
    if answer.status == _FORBIDDEN:
        whose = f"The credentials are those in {answer.credentials}: a" if answer.credentials else "A"
        return StoreError(
            f"The tracking server {url} does not allow that{_colon(said)}.",
            hint=f"{whose}sk who runs the server, or set others.",
        )
    if body is None:
        return _without_words(answer, url)
    kind = _KINDS.get(body.error_code)
    if kind is not None:
        return kind(said or body.error_code)
    if answer.status in _NO_SUCH_CALL:
        return UnknownCallError(f"The tracking server {url} cannot do that{_colon(said)}.")
    return StoreError(f"The tracking server {url} failed: {said or body.error_code}.")


def _unauthorized(answer: Answer, url: str) -> StoreError:
    """What to do about credentials; what servers say of it is for their own clients."""
    if answer.credentials is not None:
        return StoreError(
            f"The tracking server {url} does not take the credentials in {answer.credentials}.",
            hint="They are mistyped, or have been revoked: set others.",
        )
    half = incomplete()
    why = f", and {half}" if half else ""
    return StoreError(f"The tracking server {url} wants credentials{why}.", hint=f"Set {NAMES}.")


def _without_words(answer: Answer, url: str) -> ProjError:
    if answer.status in _NO_SUCH_CALL:
        return NoTrackingServerError(
            f"{url} is no tracking server, or one that is too old (status {answer.status}).",
            hint="Check the address: it may lack a path.",
        )
    if answer.status == _TOO_LARGE:
        return StoreError(
            f"What is sent to {url} is more than it takes at once (status 413).",
            hint="A proxy before the server may set that limit.",
        )
    if answer.status == _CONFLICT:
        return ConflictError(f"The tracking server {url} says that this contradicts what is there.")
    if answer.status >= _FAILED:
        return StoreError(
            f"The tracking server {url} failed (status {answer.status}) and does not say why.",
            hint="Its log may tell.",
        )
    return _no_tracking_server(answer, url)


def _no_tracking_server(answer: Answer, url: str) -> StoreError:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip()
    what = "a web page" if kind == "text/html" else f"{kind or 'something'} that is not understood"
    if answer.status != _OK:
        return StoreError(
            f"{url} answers with status {answer.status} and {what}.",
            hint="Check the address; a proxy before the server may have its own limits and errors.",
        )
    return StoreError(
        f"{url} answers with {what}: it is no tracking server.",
        hint="Check the address; if one has to log in there, the server needs credentials that a program "
        "can send.",
    )


def _colon(said: str) -> str:
    return f": {said.rstrip('.')}" if said else ""


def nothing(client: Client, path: str, message: msgspec.Struct) -> None:
    """Call by POST where the answer says nothing.

    Raises:
        ProjError: As `Client.call`.
    """
    client.post(path, message, Empty)
