"""What the program of a run has done so far, as far as its requests tell, and what follows from it.

The rules are told to users in `docs/explanation/tracking.md`.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

import msgspec

from proj.errors import FailureCode
from proj.model import RunStatus

if TYPE_CHECKING:
    from proj.model import Outcome
    from proj.server.endpoint import EndpointSettings


class Program:
    """The program of one run. Used by many threads.

    Args:
        settings: Whose endpoint it talks to.
    """

    def __init__(self, settings: EndpointSettings) -> None:
        self.run_id = settings.run_id
        self._settings = settings
        self._lock = threading.Lock()
        self._open: dict[str, None] = {}
        """Runs that it made and that have not ended, as far as is known."""
        self._made = False
        self._found: str | None = None
        """The experiment that it looked up last, since it joined its run."""
        self._steps: set[str] = set()
        """Runs under way that it started by `mlflow.run`: programs of their own that use the same token."""
        self._found_by_step: str | None = None
        self._asked: RunStatus | None = None

    def is_own(self, run_id: str) -> bool:
        """Whether it is the run that `proj` records."""
        return run_id == self.run_id

    @property
    def made_runs(self) -> bool:
        """Whether it made any run."""
        return self._made

    def open_runs(self) -> tuple[str, ...]:
        """The runs that it made and has not ended."""
        with self._lock:
            return tuple(self._open)

    def found_experiment(self, experiment_id: str) -> None:
        """Remember it: `mlflow.set_experiment` leaves no other trace."""
        with self._lock:
            if self._steps:
                self._found_by_step = experiment_id
            else:
                self._found = experiment_id

    def shown(self, run_id: str) -> tuple[str | None, RunStatus | None]:
        """The experiment and the state that it is to see of a run; None: what is recorded.

        It sees its own run as it left it, and in the experiment that it has set: in another one its client
        would refuse to join it.
        """
        with self._lock:
            if run_id in self._steps:
                return self._found_by_step, None
            return (self._found, self._asked) if self.is_own(run_id) else (None, None)

    def set_status(self, run_id: str, status: RunStatus) -> str | None:
        """Take note of a state that it gives a run; returns the experiment to which joining it moves it."""
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
        return None if self._settings.experiment_chosen else found

    def ended(self, run_id: str) -> None:
        """Take note that the record says of a run that it has ended."""
        with self._lock:
            self._open.pop(run_id, None)

    def made_run(self, run_id: str, *, is_project: bool) -> None:
        """Take note of a run that it made.

        Args:
            run_id: The run.
            is_project: Whether it was made for another program, by `mlflow.run`.
        """
        with self._lock:
            self._open[run_id] = None
            self._made = True
            if is_project:
                self._steps.add(run_id)
                self._found_by_step = None  # what was looked up to make the run is not what its program sets

    def same_value(self, run_id: str, key: str, recorded: str, given: str) -> bool:
        """Whether a parameter that is logged again says the same: `050` and `50`, `True` and `true`."""
        passed = self._settings.values.get(key) if self.is_own(run_id) else None
        return given == passed or same_text(recorded, given)

    def outcome(self, outcome: Outcome) -> Outcome:
        """How its own run ended: as the process did, unless it ended well and said something else."""
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
