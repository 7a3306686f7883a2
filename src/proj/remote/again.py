"""What a server refuses because it has it already: the answer to the first try was lost.

MLflow's servers refuse a model that is an output of the run already, and before 3.0 a NaN that is in the
history. Everything else that may wait can be sent twice.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec

from proj.remote.transport import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from proj.remote.transport import Transport

_BAD_REQUEST = 400
_OK = 200
_Content = dict[str, Any]


def may_be_there(request: Request, status: int) -> bool:
    """Whether a refusal may only mean that the server has some of a request."""
    path = unquote(request.path)
    return status == _BAD_REQUEST and path.endswith(tuple(f"runs/{what}" for what in _REDUCERS))


def without_what_is_there(request: Request, transport: Transport) -> Request | None:
    """Return what of a request its server has not yet; None: it has all of it.

    Args:
        request: It was refused.
        transport: The way to the server, which is asked what it has.

    Raises:
        StoreError: The server cannot be asked.
    """
    path = unquote(request.path)
    prefix, _, what = path.rpartition("runs/")
    reduce = _REDUCERS.get(what)
    try:
        content = json.loads(request.body) if isinstance(request.body, bytes) else None
    except (ValueError, RecursionError):
        content = None
    if reduce is None or not isinstance(content, dict):
        return request
    try:
        left = reduce(
            content, _Asking(transport, prefix, str(content.get("run_id") or content.get("run_uuid")))
        )
    except (ValueError, KeyError, TypeError, AttributeError):  # none of it is as MLflow's clients send it
        return request
    if left is content:
        return request
    return None if left is None else msgspec.structs.replace(request, body=json.dumps(left).encode())


class _Asking:
    """Questions about one run."""

    def __init__(self, transport: Transport, prefix: str, run_id: str) -> None:
        self._transport = transport
        self._prefix = prefix
        self._run_id = run_id

    def run(self) -> _Content:
        found: _Content = self._get("runs/get")["run"]
        return found

    def has_nan(self, point: _Content) -> bool:
        """Whether a NaN is in the history of its metric."""
        points = self._get("metrics/get-history", metric_key=str(point["key"]), max_results="25000")
        return any(
            _is_nan(there.get("value")) and _place(there) == _place(point)
            for there in points.get("metrics", ())
        )

    def _get(self, path: str, **query: str) -> _Content:
        named = {"run_id": self._run_id, "run_uuid": self._run_id, **query}
        request = Request(method="GET", path=f"{self._prefix}{path}", query=tuple(named.items()))
        answer = self._transport.send(request)
        if answer.status != _OK:
            raise ValueError(answer.status)
        found: _Content = json.loads(answer.body)
        return found


def _place(point: _Content) -> tuple[int, int]:
    return int(point.get("timestamp") or 0), int(point.get("step") or 0)


def _is_nan(value: object) -> bool:
    return (isinstance(value, float) and math.isnan(value)) or value == "NaN"


def _outputs(content: _Content, asking: _Asking) -> _Content | None:
    there = {
        (each.get("model_id"), int(each.get("step") or 0))
        for each in asking.run().get("outputs", {}).get("model_outputs", ())
    }
    given = content.get("models", ())
    left = [each for each in given if (each.get("model_id"), int(each.get("step") or 0)) not in there]
    return _left(content, "models", given, left)


def _inputs(content: _Content, asking: _Asking) -> _Content | None:
    there = {each.get("model_id") for each in asking.run().get("inputs", {}).get("model_inputs", ())}
    given = content.get("models", ())
    left = [each for each in given if each.get("model_id") not in there]
    reduced = _left(content, "models", given, left)
    return {**content, "models": []} if reduced is None and content.get("datasets") else reduced


def _batch(content: _Content, asking: _Asking) -> _Content | None:
    given = content.get("metrics", ())
    left = [point for point in given if not (_is_nan(point.get("value")) and asking.has_nan(point))]
    reduced = _left(content, "metrics", given, left)
    others = content.get("params") or content.get("tags")
    return {**content, "metrics": []} if reduced is None and others else reduced


def _metric(content: _Content, asking: _Asking) -> _Content | None:
    return None if _is_nan(content.get("value")) and asking.has_nan(content) else content


def _left(content: _Content, name: str, given: list[Any], left: list[Any]) -> _Content | None:
    """The content with what is left of a list; itself, if that is all of it; None, if nothing is."""
    if len(left) == len(given):
        return content
    return {**content, name: left} if left else None


_REDUCERS: dict[str, Callable[[_Content, _Asking], _Content | None]] = {
    "log-batch": _batch,
    "log-inputs": _inputs,
    "log-metric": _metric,
    "outputs": _outputs,
}
