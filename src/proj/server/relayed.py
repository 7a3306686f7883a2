"""The requests that a relay looks into: those that tell what the run's program does with its run.

The own run is closed by how its process ends, runs that the program makes are closed with it, and a script
that sets an experiment or logs a parameter again goes on, as far as a server allows it.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec

from proj import events
from proj.errors import ProjError, UnreachableError
from proj.remote.transport import Answer, Request, UncertainError
from proj.remote.verdicts import reason
from proj.server.owned import close_owned
from proj.server.program import Program
from proj.tracking.records import OWNER_TAG
from proj.wire.enums import run_status
from proj.wire.errors import denied, invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from proj.model import Outcome, RunStatus
    from proj.remote.journaled import JournalTransport
    from proj.server.endpoint import EndpointSettings
    from proj.tracking import Tracking

_PATH = re.compile(
    r"(?P<api>/(?:api|ajax-api)/\d\.0/(?:preview/)?mlflow/)(?P<what>(?:runs|experiments)/[a-z-]+)"
)
_API = "/api/2.0/mlflow/"
_OK = 200
_JSON = {"content-type": "application/json"}

_Content = dict[str, Any]


class Relayed:
    """Looks into requests on their way to the server. Used by many threads.

    Args:
        transport: The way to the server.
        settings: Whose program it is.
        tracking: The records on the server.
    """

    def __init__(self, transport: JournalTransport, settings: EndpointSettings, tracking: Tracking) -> None:
        self._transport = transport
        self._tracking = tracking
        self._uncertain = False
        """Whether the program may have made a run that nobody knows."""
        self._settings = settings
        self._program = Program(settings)
        self._handlers: dict[tuple[str, str], Callable[[Request, _Content], Answer]] = {
            ("GET", "experiments/get"): self._look_up,
            ("GET", "experiments/get-by-name"): self._look_up,
            ("POST", "experiments/create"): self._look_up,
            ("GET", "runs/get"): self._get,
            ("POST", "runs/create"): self._create,
            ("POST", "runs/update"): self._update,
            ("POST", "runs/delete"): self._delete,
            ("POST", "runs/log-parameter"): self._log_parameter,
            ("POST", "runs/log-batch"): self._log_batch,
            ("POST", "runs/log-metric"): self._log_metric,
        }

    def answer(self, request: Request) -> Answer | None:
        """Answer a request that is to be looked into; None: it is to be handed on as it is.

        Raises:
            ApiError: It is refused.
            UnreachableError: The server is away, and the request cannot wait.
        """
        match = _PATH.fullmatch(unquote(request.path))
        handler = self._handlers.get((request.method, match["what"])) if match else None
        if handler is None:
            return None
        content: object = dict(request.query)
        if isinstance(request.body, bytes) and request.body:
            try:
                content = json.loads(request.body)  # msgspec takes no NaN, which MLflow's clients send
            except (ValueError, RecursionError):
                return None  # the server says what is wrong with it
        return handler(request, content) if isinstance(content, dict) else None

    # --- experiments ----------------------------------------------------------------------------------

    def _look_up(self, request: Request, _content: _Content) -> Answer:
        answer = self._transport.send(request)
        if answer.status == _OK:
            found = json.loads(answer.body)
            experiment_id = found.get("experiment_id") or found.get("experiment", {}).get("experiment_id")
            if experiment_id is not None:
                self._program.found_experiment(str(experiment_id))
        return answer

    # --- runs -----------------------------------------------------------------------------------------

    def _get(self, request: Request, content: _Content) -> Answer:
        answer = self._transport.send(request)
        experiment_id, status = self._program.shown(_run_id(content))
        if answer.status != _OK or (experiment_id is None and status is None):
            return answer
        shown = json.loads(answer.body)
        info = shown["run"]["info"]
        info["experiment_id"] = experiment_id or info.get("experiment_id")
        info["status"] = info.get("status") if status is None else status.value
        return _json_answer(shown)

    def _create(self, request: Request, content: _Content) -> Answer:
        """Mark a run as one of this program's, so that it is closed when the program has ended."""
        tags = content.get("tags")
        tags = list(tags) if isinstance(tags, list) else []
        marked = {**content, "tags": [*tags, {"key": OWNER_TAG, "value": self._program.run_id}]}
        try:
            answer = self._transport.send(_with_content(request, marked))
        except UncertainError:
            self._uncertain = True
            raise
        if answer.status == _OK:
            run_id = json.loads(answer.body)["run"]["info"]["run_id"]
            project = {"key": "mlflow.source.type", "value": "PROJECT"} in tags
            self._program.made_run(run_id, is_project=project)
        return answer

    def _update(self, request: Request, content: _Content) -> Answer:
        """The own run ends with its process, and by how that ends: here only its name changes."""
        run_id = _run_id(content)
        status = _status(content)
        if status is not None:
            self._program.set_status(run_id, status)
        if not self._program.is_own(run_id):
            answer = self._transport.send(request)
            if answer.status == _OK and status is not None and status.finished:
                self._program.ended(run_id)
            return answer
        if content.get("run_name"):
            left = {key: content[key] for key in content if key not in ("status", "end_time")}
            answer = self._transport.send(_with_content(request, left))
            if answer.status != _OK:
                return answer
        return _json_answer({"run_info": {**self._info(run_id), **_told(content, status)}})

    def _info(self, run_id: str) -> _Content:
        request = Request(method="GET", path=f"{_API}runs/get", query=(("run_id", run_id),))
        try:
            answer = self._transport.send(request)
        except UnreachableError:
            return {"run_id": run_id, "run_uuid": run_id}
        info: _Content = json.loads(answer.body)["run"]["info"] if answer.status == _OK else {}
        return info

    def _delete(self, request: Request, content: _Content) -> Answer:
        run_id = _run_id(content)
        if self._program.is_own(run_id):
            raise denied(f"The run {run_id} is under way: it can be deleted when it has ended.")
        return self._transport.send(request)

    # --- parameters that are logged again, in other writing -------------------------------------------

    def _log_parameter(self, request: Request, content: _Content) -> Answer:
        if self._says_the_same(_run_id(content), content):
            return _json_answer({})
        return self._transport.send(request)

    def _log_batch(self, request: Request, content: _Content) -> Answer:
        params = content.get("params")
        request = _with_words(request, content)
        if not isinstance(params, list):
            return self._transport.send(request)
        run_id = _run_id(content)
        left = [param for param in params if not self._says_the_same(run_id, param)]
        if len(left) == len(params):
            return self._transport.send(request)
        fewer = {**content, "params": left}
        return self._transport.send(_with_words(_with_content(request, fewer), fewer))

    def _log_metric(self, request: Request, content: _Content) -> Answer:
        return self._transport.send(_with_words(request, content))

    def _says_the_same(self, run_id: str, param: object) -> bool:
        if not isinstance(param, dict) or not self._program.is_own(run_id):
            return False
        key, given = str(param.get("key")), str(param.get("value"))
        recorded = self._settings.recorded.get(key)
        return (
            recorded is not None
            and recorded != given
            and self._program.same_value(run_id, key, recorded, given)
        )

    # --- when the program has ended -------------------------------------------------------------------

    def settle(self, outcome: Outcome) -> Outcome:
        """Close what the program left open, and return how its own run ended.

        Raises:
            StoreError: The record cannot be written.
        """
        insisting = self._transport.insisting()
        for run_id in self._program.open_runs():
            update = {"run_id": run_id, "status": outcome.status.value, "end_time": outcome.ended_ms}
            answer = insisting.send(
                Request(
                    method="POST",
                    path=f"{_API}runs/update",
                    body=msgspec.json.encode(update),
                    headers=_JSON,
                )
            )
            if answer.status == _OK:
                self._program.ended(run_id)
            else:
                events.warning(f"The run {run_id}, made by the program, stays open: {reason(answer)}")
        if self._uncertain:
            try:
                close_owned(self._tracking, self._program.run_id, outcome)
            except ProjError as error:
                events.warning(f"A run that the program made may stay open: {error.message}")
        return self._program.outcome(outcome)


def _run_id(content: _Content) -> str:
    """The run that a request names; the oldest clients say `run_uuid`."""
    return str(content.get("run_id") or content.get("run_uuid") or "")


def _status(content: _Content) -> RunStatus | None:
    status = content.get("status")
    if status is not None and not isinstance(status, str | int):
        raise invalid("Invalid value for parameter 'status'.")
    return run_status(status)


def _told(content: _Content, status: RunStatus | None) -> _Content:
    """What the program asked for is what it sees."""
    asked: _Content = {} if status is None else {"status": status.value}
    if content.get("end_time") is not None:
        asked["end_time"] = content["end_time"]
    return asked


def _with_content(request: Request, content: _Content) -> Request:
    return msgspec.structs.replace(request, body=json.dumps(content).encode())


def _with_words(request: Request, content: _Content) -> Request:
    """A request whose numbers that are none are texts, as JSON has it.

    MLflow's servers take a bare NaN for 0, and leave out what comes after it.
    """
    body = request.body
    if not isinstance(body, bytes) or not (b"NaN" in body or b"Infinity" in body):
        return request
    metrics = content.get("metrics")
    changed = _in_words(content)
    if isinstance(metrics, list):
        changed["metrics"] = [_in_words(each) if isinstance(each, dict) else each for each in metrics]
    return _with_content(request, changed)


def _in_words(point: _Content) -> _Content:
    value = point.get("value")
    if not isinstance(value, float) or math.isfinite(value):
        return dict(point)
    word = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return {**point, "value": word}


def _json_answer(content: _Content) -> Answer:
    return Answer(status=_OK, headers=_JSON, body=json.dumps(content).encode())
