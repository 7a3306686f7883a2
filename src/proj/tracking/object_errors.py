"""What went wrong in an object store, and what to do; the drivers have a dozen families of errors."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from proj.errors import ConflictError, NotFoundError, ProjError, StoreError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.tracking.object_places import Place

_NO_BUCKET = {"NoSuchBucket", "ContainerNotFound"}
_DENIED = {"ClientAuthenticationError", "DefaultCredentialsError", "RefreshError", "NoCredentialsError"}
_DENIED |= {"PartialCredentialsError", "ProfileNotFound", "CredentialRetrievalError", "TokenRetrievalError"}
_AWAY = {"EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError"}
_AWAY |= {"HTTPClientError", "ProxyConnectionError", "SSLError", "ClientConnectorError", "ClientOSError"}
_AWAY |= {"ServerDisconnectedError", "ClientPayloadError", "ServiceRequestError", "ServiceResponseError"}
_AWAY |= {"TransportError", "FSTimeoutError", "TimeoutError", "IncompleteRead", "ResponseParserError"}
_AWAY_NUMBERS = {errno.EBUSY, getattr(errno, "EREMOTEIO", errno.EIO)}
_SECRETS = ("KEY", "SECRET", "TOKEN", "PASSWORD", "CONNECTION_STRING", "ENDPOINT_URL")
_SECRET_OWNERS = ("AWS_", "AZURE_", "MLFLOW_S3_")
_TOO_MANY_REQUESTS, _SERVER_ERRORS = 429, 500
_REFUSED_STATUS = (401, 403)
_SHORTEST_SECRET = 4
"""What is shorter stands in a message by chance."""


def store_error(error: BaseException, what: str, place: Place) -> ProjError:
    """Return what to raise for a driver's error.

    Args:
        error: What the driver raised.
        what: What could not be done, as the beginning of a sentence.
        place: Where.
    """
    if isinstance(error, ProjError):
        return error
    if is_replaced(error):
        return ConflictError(f"{what}: it was replaced while it was being read.", hint="Read it again.")
    chain = tuple(_causes(error))
    return _of_the_store(chain, what, place) or _of_the_file(error, what, place, _reason(chain))


def _of_the_store(chain: tuple[BaseException, ...], what: str, place: Place) -> StoreError | None:
    where, why = f"{place.kind.name} ({place.bucket})", _reason(chain)
    if any(_code(each) in _NO_BUCKET for each in chain):
        return StoreError(
            f"{what}: there is no bucket {place.bucket!r} in {place.kind.name}.",
            hint="Check the artifact URI; the bucket has to be made first.",
        )
    if any(_denied(each) for each in chain):
        return StoreError(f"{what}: {where} refuses it: {why}", hint=f"Check {place.kind.variables}.")
    if any(_away(each) for each in chain):
        return UnreachableError(
            f"{what}: {where} cannot be reached: {why}",
            hint="Check the network and the address of the store; trying again later may help.",
        )
    return None


def _of_the_file(error: BaseException, what: str, place: Place, why: str) -> StoreError:
    if isinstance(error, (FileExistsError, NotADirectoryError, IsADirectoryError)):
        return ConflictError(f"{what}: {why}", hint="Choose another path.")
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return ConflictError(f"{what}: the name is too long.", hint="Choose another path.")
    return StoreError(f"{what}: {place.kind.name} ({place.bucket}) answers: {why}")


def is_replaced(error: BaseException) -> bool:
    """Whether an error says that the file is another one than when it was opened."""
    return any(type(each).__name__ == "FileExpired" for each in _causes(error))


def is_absent(error: BaseException) -> bool:
    """Whether an error says that there is no such file, in a bucket that is there."""
    chain = list(_causes(error))
    if any(_code(each) in _NO_BUCKET for each in chain):
        return False
    return any(isinstance(each, (FileNotFoundError, IsADirectoryError)) for each in chain)


def no_artifact(path: str) -> NotFoundError:
    """The error for an artifact that is not there."""
    return NotFoundError(f"There is no artifact {path!r}.", hint="`proj artifacts ls RUN` lists them.")


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or each.__context__


def _code(error: BaseException) -> str:
    """The word that the store has for it."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Code", ""))
    code = getattr(error, "error_code", "")
    return str(getattr(code, "value", code) or "")


def _status(error: BaseException) -> int:
    """The HTTP status, where the driver tells it."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    for name in ("status_code", "code", "status"):
        value = getattr(error, name, None)
        if isinstance(value, int):
            return value
        if isinstance(value, str) and value.isdigit():
            return int(value)
    return 0


def _denied(error: BaseException) -> bool:
    if isinstance(error, PermissionError) or _status(error) in _REFUSED_STATUS:
        return True
    return any(kind.__name__ in _DENIED for kind in type(error).__mro__)


def _away(error: BaseException) -> bool:
    if isinstance(error, (ConnectionError, TimeoutError)):
        return True
    if _status(error) == _TOO_MANY_REQUESTS or _status(error) >= _SERVER_ERRORS:
        return True
    if isinstance(error, OSError) and error.errno in _AWAY_NUMBERS:
        return True
    return any(kind.__name__ in _AWAY for kind in type(error).__mro__)


def _reason(chain: tuple[BaseException, ...]) -> str:
    """The first line of what the driver says, without what is secret, and the store's word for it."""
    text = next((str(each) for each in chain if str(each).strip()), type(chain[0]).__name__)
    line = text.strip().splitlines()[0]
    code = next((code for code in map(_code, chain) if code), "")
    if code and not code.isdigit() and code not in line:
        line = f"{line} ({code})"
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST_SECRET and _is_secret(name):
            line = line.replace(value, "***" if "ENDPOINT_URL" not in name else _without_user(value))
    return line if line.endswith((".", "!")) else f"{line}."


def _is_secret(name: str) -> bool:
    return name.startswith(_SECRET_OWNERS) and any(word in name for word in _SECRETS)


def _without_user(url: str) -> str:
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"
