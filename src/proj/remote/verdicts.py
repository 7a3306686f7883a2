"""What a server's answer means to a write that may wait: taken, refused, or no word of a tracking server."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import msgspec

from proj.errors import StoreError
from proj.remote.transport import Request

if TYPE_CHECKING:
    from proj.remote.transport import Answer, Transport

_UNAUTHORISED = (401, 403, 407)
_TOO_LARGE = 413
_SUCCESS = range(200, 300)
_REFUSALS = range(400, 500)
_RUN = "/api/2.0/mlflow/runs/get"
_FAILED = 500
_TOO_SLOW = 408
_MAX_SHOWN = 200


class Verdict(enum.Enum):
    """What became of a write."""

    TAKEN = enum.auto()
    REFUSED = enum.auto()
    """In the words of a tracking server: it would not be taken later either."""
    LOCKED_OUT = enum.auto()
    """The credentials are none that fit, or have expired."""
    FAILED = enum.auto()
    """The server's own fault: it may be taken later."""
    STRANGE = enum.auto()
    """No tracking server has answered: the page where one logs in, a proxy."""


class _Error(msgspec.Struct, frozen=True):
    error_code: str | int
    message: str = ""


def verdict(answer: Answer) -> Verdict:
    """Read an answer to a write: a success without a word of MLflow's, such as a web page, is none."""
    if answer.status in _SUCCESS:
        return Verdict.TAKEN if not answer.body or is_object(answer.body) else Verdict.STRANGE
    if answer.status in _UNAUTHORISED:
        return Verdict.LOCKED_OUT
    if answer.status >= _FAILED or answer.status == _TOO_SLOW:
        return Verdict.FAILED
    if answer.status == _TOO_LARGE or _error(answer) is not None:
        return Verdict.REFUSED
    return Verdict.STRANGE


def judge(answer: Answer, transport: Transport, run_id: str) -> Verdict:
    """Read an answer as `verdict` does; one without words is a refusal where a tracking server is behind it.

    Old servers of MLflow answer with a web page to calls that they do not know. So does a proxy to all calls.

    Args:
        answer: What a write was answered.
        transport: The way to the server, which is asked for a run.
        run_id: The run.
    """
    found = verdict(answer)
    if found is Verdict.STRANGE and answer.status in _REFUSALS:
        question = Request(method="GET", path=_RUN, query=(("run_id", run_id), ("run_uuid", run_id)))
        try:
            answered = transport.send(question)
        except StoreError:
            return found
        if knows_itself(answered):
            return Verdict.REFUSED
    return found


def is_object(body: bytes) -> bool:
    """Whether a body is a JSON object."""
    try:
        msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def knows_itself(answer: Answer) -> bool:
    """Whether an answer to a question, a refusal too, is that of a tracking server."""
    return _error(answer) is not None or (answer.status in _SUCCESS and is_object(answer.body))


def reason(answer: Answer) -> str:
    """What a server says of a request that it does not take."""
    error = _error(answer)
    if error is not None and error.message:
        return error.message
    kind = answer.headers.get("content-type", "").partition(";")[0].strip()
    if kind == "text/html":
        return f"status {answer.status} and a web page"
    text = answer.body[:_MAX_SHOWN].decode(errors="replace").strip()
    return text or f"status {answer.status}"


def _error(answer: Answer) -> _Error | None:
    try:
        return msgspec.json.decode(answer.body, type=_Error)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
