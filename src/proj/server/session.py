"""What a run's program may do through its endpoint, and where the endpoint is kinder than MLflow's server.

The rules are told to users in `docs/explanation/tracking.md`.
"""

from __future__ import annotations

import base64
import hmac
import threading
from typing import TYPE_CHECKING

import msgspec

from proj.server.owned import close_owned
from proj.server.policy import Access
from proj.server.program import Program
from proj.server.rules import Rules
from proj.tracking.records import OWNER_TAG
from proj.wire.errors import ApiError, ErrorCode, denied

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proj.model import NewRun, Outcome, RunRecord, RunStatus
    from proj.server.endpoint import EndpointSettings
    from proj.server.policy import Policy, Principal
    from proj.tracking import Tracking

_FORBIDDEN = {
    Access.EDIT_EXPERIMENT: "A run's token does not rename, delete or restore experiments.",
}


class Session(Rules):
    """One run's program and what it does. Used by many threads.

    Args:
        tracking: The records.
        settings: Whose endpoint it is.
    """

    def __init__(self, tracking: Tracking, settings: EndpointSettings) -> None:
        self._tracking = tracking
        self._program = Program(settings)
        self._lock = threading.Lock()
        self._runs = {settings.run_id}
        """What it may write to."""

    # --- what it may do -------------------------------------------------------------------------------

    def may_write(self, run_id: str) -> bool:
        """Whether a run is the program's own, or was made by it or by a run below its own."""
        with self._lock:
            if run_id in self._runs:
                return True
        below = self._tracking.runs.children(self._program.run_id, "all")
        with self._lock:
            self._runs.update(below)
            return run_id in self._runs

    def is_own(self, run_id: str) -> bool:
        """Whether it is the run that `proj` records."""
        return self._program.is_own(run_id)

    # --- kinder than MLflow ---------------------------------------------------------------------------

    def found_experiment(self, experiment_id: str) -> None:
        """See `Program.found_experiment`."""
        self._program.found_experiment(experiment_id)

    def shown_run(self, run: RunRecord) -> RunRecord:
        """See `Program.shown`."""
        experiment_id, status = self._program.shown(run.run_id)
        if experiment_id is None and status is None:
            return run
        return msgspec.structs.replace(
            run, experiment_id=experiment_id or run.experiment_id, status=status or run.status
        )

    def status(self, run_id: str, status: RunStatus) -> RunStatus | None:
        """The own run ends with its process, and by how that ends; joining it moves it to its experiment."""
        found = self._program.set_status(run_id, status)
        if found is not None:
            self._tracking.runs.move_run(run_id, found)
        return None if self.is_own(run_id) else status

    def new_run(self, new: NewRun) -> NewRun:
        """Mark a run as one of this program's, so that it is closed when the program has ended."""
        return msgspec.structs.replace(new, tags={**new.tags, OWNER_TAG: self._program.run_id})

    def created_run(self, run: RunRecord) -> None:
        """Let the program write to it."""
        with self._lock:
            self._runs.add(run.run_id)
        self._program.made_run(run.run_id, is_project=run.tags.get("mlflow.source.type") == "PROJECT")

    def same_value(self, run_id: str, key: str, recorded: str, given: str) -> bool:
        """See `Program.same_value`."""
        return self._program.same_value(run_id, key, recorded, given)

    # --- when the program has ended -------------------------------------------------------------------

    def settle(self, outcome: Outcome) -> Outcome:
        """Close what the program left open, and return how its own run ended.

        Raises:
            StoreError: The record cannot be written.
        """
        if self._program.made_runs:
            close_owned(self._tracking, self._program.run_id, outcome)
        return self._program.outcome(outcome)


class RunToken:
    """The policy of a run's endpoint: one token, for the run's program.

    It reads all of the records, since programs search runs and load models; it writes to its own run and to
    those below it, makes runs and experiments, and changes models.

    Args:
        token: What the program finds in `MLFLOW_TRACKING_TOKEN`; or its password, where it uses one.
        session: What the program does.
    """

    def __init__(self, token: str, session: Session) -> None:
        self._token = token
        self._program = _Program(session)

    def identify(self, headers: Mapping[str, str]) -> Principal:
        """Recognise the run's program by its token.

        Raises:
            ApiError: UNAUTHENTICATED.
        """
        check_token(headers, self._token)
        return self._program


def check_token(headers: Mapping[str, str], token: str) -> None:
    """See that a request comes from the run's program.

    Args:
        headers: Of the request, their names in lowercase.
        token: What the program finds in `MLFLOW_TRACKING_TOKEN`; or its password, where it uses one.

    Raises:
        ApiError: UNAUTHENTICATED.
    """
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    given = b""
    if scheme.lower() == "bearer":
        given = credentials.strip().encode("utf-8", "replace")
    elif scheme.lower() == "basic":
        given = _password(credentials)
    if not hmac.compare_digest(given, token.encode()):
        raise ApiError(
            ErrorCode.UNAUTHENTICATED,
            "This is the endpoint of a run, for the run's own program: it needs the token in "
            "MLFLOW_TRACKING_TOKEN.",
        )


def _password(credentials: str) -> bytes:
    try:
        return base64.b64decode(credentials.strip(), validate=True).partition(b":")[2]
    except ValueError:
        return b""


class _Program:
    name = "run"

    def __init__(self, session: Session) -> None:
        self._session = session

    def check(self, access: Access, run_ids: Sequence[str] = ()) -> None:
        """See `Principal.check`."""
        if access in _FORBIDDEN:
            raise denied(_FORBIDDEN[access])
        for run_id in run_ids:
            if not self._session.may_write(run_id):
                raise denied(f"The run {run_id} is not this program's: its token only reads it.")
            if access is Access.DELETE_RUN and self._session.is_own(run_id):
                raise denied(f"The run {run_id} is under way: it can be deleted when it has ended.")


if TYPE_CHECKING:
    _policy: type[Policy] = RunToken
