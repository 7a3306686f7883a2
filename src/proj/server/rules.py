"""Where servers differ in what they make of the same request; MLflow's own ways are the default."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proj.model import NewRun, RunRecord, RunStatus


class Rules:
    """MLflow's own ways; the embedded endpoint overrides what it knows better."""

    def found_experiment(self, experiment_id: str) -> None:
        """Take note that a client looked up or made an experiment."""

    def shown_run(self, run: RunRecord) -> RunRecord:
        """Return a run as the client that asks for it is to see it."""
        return run

    def new_run(self, new: NewRun) -> NewRun:
        """Return a run to be created as it is to be recorded."""
        return new

    def created_run(self, run: RunRecord) -> None:
        """Take note that a client created a run."""

    def status(self, run_id: str, status: RunStatus) -> RunStatus | None:  # noqa: ARG002
        """Return the status to record where a client sets one; None records nothing."""
        return status

    def same_value(self, run_id: str, key: str, recorded: str, given: str) -> bool:  # noqa: ARG002
        """Whether a parameter that is logged again, in other writing, counts as the same."""
        return False
