"""MLflow's error shape: `{"error_code": …, "message": …}` and the status codes that go with it.

See `mlflow/exceptions.py`; its clients decide by the code, and retry by the status.
"""

from __future__ import annotations

import enum
import logging

import msgspec

from proj.errors import AlreadyExistsError, ConflictError, NotFoundError, ProjError, StoreError, UsageError

_logger = logging.getLogger(__name__)


class ErrorCode(str, enum.Enum):
    """MLflow's words for what went wrong."""

    BAD_REQUEST = "BAD_REQUEST"
    INVALID_PARAMETER_VALUE = "INVALID_PARAMETER_VALUE"
    RESOURCE_ALREADY_EXISTS = "RESOURCE_ALREADY_EXISTS"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    RESOURCE_DOES_NOT_EXIST = "RESOURCE_DOES_NOT_EXIST"
    ENDPOINT_NOT_FOUND = "ENDPOINT_NOT_FOUND"
    INVALID_STATE = "INVALID_STATE"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    NOT_IMPLEMENTED = "NOT_IMPLEMENTED"
    TEMPORARILY_UNAVAILABLE = "TEMPORARILY_UNAVAILABLE"


_STATUS = {
    ErrorCode.BAD_REQUEST: 400,
    ErrorCode.INVALID_PARAMETER_VALUE: 400,
    ErrorCode.RESOURCE_ALREADY_EXISTS: 400,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.PERMISSION_DENIED: 403,
    ErrorCode.RESOURCE_DOES_NOT_EXIST: 404,
    ErrorCode.ENDPOINT_NOT_FOUND: 404,
    ErrorCode.INVALID_STATE: 400,  # MLflow says 500, which its clients try again for minutes
    ErrorCode.INTERNAL_ERROR: 500,
    ErrorCode.NOT_IMPLEMENTED: 404,  # MLflow says 501; but clients know older servers, which lack the path
    ErrorCode.TEMPORARILY_UNAVAILABLE: 503,
}


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every answer that is no success."""

    error_code: str
    message: str


class ApiError(ProjError):
    """A request that is refused.

    Args:
        code: MLflow's word for it.
        message: What is wrong, and with what.
        status: The HTTP status, where it is not the usual one of that code.
        allowed: The methods that would be answered, where it is the method that is refused.
    """

    def __init__(
        self, code: ErrorCode, message: str, *, status: int | None = None, allowed: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.error_code = code
        self.status = status or _STATUS[code]
        self.allowed = allowed


def invalid(message: str) -> ApiError:
    """A value that cannot be meant as it stands."""
    return ApiError(ErrorCode.INVALID_PARAMETER_VALUE, message)


def missing(parameter: str) -> ApiError:
    """A parameter that has to be given."""
    return invalid(
        f"Missing value for required parameter '{parameter}'. "
        "See the API docs for more information about request parameters."
    )


def absent(message: str) -> ApiError:
    """Something asked for by name that is not there."""
    return ApiError(ErrorCode.RESOURCE_DOES_NOT_EXIST, message)


def exists(message: str) -> ApiError:
    """Something to be made that is there already."""
    return ApiError(ErrorCode.RESOURCE_ALREADY_EXISTS, message)


def denied(message: str) -> ApiError:
    """Something that this client may not do."""
    return ApiError(ErrorCode.PERMISSION_DENIED, message)


def unsupported(message: str) -> ApiError:
    """Something that MLflow's server can do and this one cannot."""
    return ApiError(ErrorCode.NOT_IMPLEMENTED, message)


def api_error(error: Exception) -> ApiError:
    """What a client is told of an error; one that nobody foresaw is logged, and told without its details."""
    if isinstance(error, ApiError):
        return error
    if not isinstance(error, ProjError):
        _logger.error("A request failed by a defect of proj", exc_info=error)
        return ApiError(ErrorCode.INTERNAL_ERROR, "The server failed by a defect; its log tells more.")
    text = "\n".join(filter(None, (error.message, *error.details, error.hint)))
    return ApiError(_code(error), text)


def _code(error: ProjError) -> ErrorCode:
    if isinstance(error, NotFoundError):
        return ErrorCode.RESOURCE_DOES_NOT_EXIST
    if isinstance(error, AlreadyExistsError):
        return ErrorCode.RESOURCE_ALREADY_EXISTS
    if isinstance(error, (UsageError, ConflictError)):
        return ErrorCode.INVALID_PARAMETER_VALUE
    if isinstance(error, StoreError):  # a full disk, a database in use: later it may go well
        return ErrorCode.TEMPORARILY_UNAVAILABLE
    return ErrorCode.INTERNAL_ERROR


def body(error: ApiError) -> bytes:
    """The JSON of an error."""
    message = error.message.encode(errors="backslashreplace").decode()  # half a surrogate pair is no UTF-8
    return msgspec.json.encode(ErrorBody(error_code=error.error_code.value, message=message))
