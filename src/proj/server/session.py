"""What a run's program may do through its endpoint, and where the endpoint is kinder than MLflow's server.

The rules are told to users in `docs/explanation/tracking.md`.
"""

from __future__ import annotations

import base64
import hmac
import math
import threading
from typing import TYPE_CHECKING

import msgspec

from proj.errors import FailureCode
from proj.model import RunStatus
from proj.server.owned import TAG_OWNER, close_owned
from proj.server.policy import Access
from proj.server.rules import Rules
from proj.wire.errors import ApiError, ErrorCode, denied

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proj.model import NewRun, Outcome, RunRecord
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
        self._settings = settings
        self._lock = threading.Lock()
        self._runs = {settings.run_id}
        """What it may write to."""
        self._created = False
        self._found: str | None = None
        """The experiment that it looked up last, since it joined its run."""
        self._steps: set[str] = set()
        """Runs under way that it started by `mlflow.run`: programs of their own that use the same token."""
        self._found_by_step: str | None = None
        self._asked: RunStatus | None = None

    # --- what it may do -------------------------------------------------------------------------------

    def may_write(self, run_id: str) -> bool:
        """Whether a run is the program's own, or was made by it or by a run below its own."""
        with self._lock:
            if run_id in self._runs:
                return True
        below = self._tracking.runs.children(self._settings.run_id, "all")
        with self._lock:
            self._runs.update(below)
            return run_id in self._runs

    def is_own(self, run_id: str) -> bool:
        """Whether it is the run that `proj` records."""
        return run_id == self._settings.run_id

    # --- kinder than MLflow ---------------------------------------------------------------------------

    def found_experiment(self, experiment_id: str) -> None:
        """Remember it: `mlflow.set_experiment` leaves no other trace."""
        with self._lock:
            if self._steps:
                self._found_by_step = experiment_id
            else:
                self._found = experiment_id

    def shown_run(self, run: RunRecord) -> RunRecord:
        """Show the own run as the program left it, and in the experiment that it has set.

        In another one its client would refuse to join it.
        """
        with self._lock:
            if run.run_id in self._steps:
                return msgspec.structs.replace(run, experiment_id=self._found_by_step or run.experiment_id)
            found, asked = self._found, self._asked
        if not self.is_own(run.run_id):
            return run
        return msgspec.structs.replace(
            run, experiment_id=found or run.experiment_id, status=asked or run.status
        )

    def status(self, run_id: str, status: RunStatus) -> RunStatus | None:
        """The own run ends with its process, and by how that ends; joining it moves it to its experiment."""
        found = None
        with self._lock:
            if status.finished:
                self._steps.discard(run_id)
            elif run_id in self._steps:
                found, self._found_by_step = self._found_by_step, None
            elif self.is_own(run_id):
                found, self._found = self._found, None
            if self.is_own(run_id):
                self._asked = status if status.finished else None
        if found is not None and not self._settings.experiment_chosen:
            self._tracking.runs.move_run(run_id, found)
        return None if self.is_own(run_id) else status

    def new_run(self, new: NewRun) -> NewRun:
        """Mark a run as one of this program's, so that it is closed when the program has ended."""
        return msgspec.structs.replace(new, tags={**new.tags, TAG_OWNER: self._settings.run_id})

    def created_run(self, run: RunRecord) -> None:
        """Let the program write to it."""
        with self._lock:
            self._runs.add(run.run_id)
            self._created = True
            if run.tags.get("mlflow.source.type") == "PROJECT":
                self._steps.add(run.run_id)
                self._found_by_step = None  # what was looked up to make the run is not what its program sets

    def same_value(self, run_id: str, key: str, recorded: str, given: str) -> bool:
        """Whether a parameter that is logged again says the same: `050` and `50`, `True` and `true`."""
        passed = self._settings.values.get(key) if self.is_own(run_id) else None
        return given == passed or same_text(recorded, given)

    # --- when the program has ended -------------------------------------------------------------------

    def settle(self, outcome: Outcome) -> Outcome:
        """Close what the program left open, and return how its own run ended.

        Raises:
            StoreError: The record cannot be written.
        """
        if self._created:
            close_owned(self._tracking, self._settings.run_id, outcome)
        if outcome.status is not RunStatus.FINISHED or self._asked in (None, RunStatus.FINISHED):
            return outcome
        assert self._asked is not None  # noqa: S101  for the type checker
        return msgspec.structs.replace(
            outcome,
            status=self._asked,
            failure=FailureCode.USER_EXIT,
            message=f"The program ended well, but marked its run as {self._asked.value}.",
        )


_WORDS = {"true", "false", "none", "null", "nan"}


def same_text(one: str, other: str) -> bool:
    """Whether two texts are the same number, the same truth value or the same nothing."""
    if one == other:
        return True
    if one.casefold() == other.casefold() and one.casefold() in _WORDS:
        return True
    try:
        return int(one) == int(other)
    except ValueError:
        pass
    try:
        first, second = float(one), float(other)
    except ValueError:
        return False
    return first == second and math.isfinite(first)


class RunToken:
    """The policy of a run's endpoint: one token, for the run's program.

    It reads all of the records, since programs search runs and load models; it writes to its own run and to
    those below it, makes runs and experiments, and changes models.

    Args:
        token: What the program finds in `MLFLOW_TRACKING_TOKEN`; or its password, where it uses one.
        session: What the program does.
    """

    def __init__(self, token: str, session: Session) -> None:
        self._token = token.encode()
        self._program = _Program(session)

    def identify(self, headers: Mapping[str, str]) -> Principal:
        """Recognise the run's program by its token.

        Raises:
            ApiError: UNAUTHENTICATED.
        """
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        given = b""
        if scheme.lower() == "bearer":
            given = credentials.strip().encode("utf-8", "replace")
        elif scheme.lower() == "basic":
            given = _password(credentials)
        if not hmac.compare_digest(given, self._token):
            raise ApiError(
                ErrorCode.UNAUTHENTICATED,
                "This is the endpoint of a run, for the run's own program: it needs the token in "
                "MLFLOW_TRACKING_TOKEN.",
            )
        return self._program


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
