"""Backends written for MLflow (`mlflow.project_backend`: mlflow-slurm, mlflow-yarn …) as backends of ours.

The plugin interface is `mlflow.projects.backend.abstract_backend.AbstractBackend`: `run(project_uri,
entry_point, params, version, backend_config, tracking_uri, experiment_id)` returns a `SubmittedRun` with
`run_id`, `wait()`, `get_status()` and `cancel()`. A plugin fetches the project, makes its environment and
runs it by itself, so we hand it the folder of our checkout and leave the environment to it.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Protocol

from proj.errors import BackendError, FailureCode
from proj.model import Execution, Outcome, Reach, RunStatus, Runtime
from proj.process import Interrupted, signal_name
from proj.times import now_ms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proj.backends.base import Backend, Handle, MetricSink


class SubmittedRun(Protocol):
    """What a plugin returns (`mlflow.projects.submitted_run.SubmittedRun`)."""

    def wait(self) -> bool:
        """Wait for the end; True when it succeeded."""

    def get_status(self) -> object:
        """MLflow's word for the state."""

    def cancel(self) -> None:
        """Stop it."""


class MlflowBackend(Protocol):
    """What a plugin provides."""

    def run(
        self,
        project_uri: str,
        entry_point: str,
        params: Mapping[str, str],
        version: str | None,
        backend_config: dict[str, object],
        tracking_uri: str,
        experiment_id: str,
    ) -> SubmittedRun:
        """Start the project."""


class PluginHandle:
    """A run that a plugin looks after."""

    def __init__(self, submitted: SubmittedRun, started_ms: int) -> None:
        self._submitted = submitted
        self._started_ms = started_ms
        self._cancelled = False
        self._outcome: Outcome | None = None

    @property
    def reference(self) -> str:
        """The plugin's own id of the run, for people."""
        return f"run {getattr(self._submitted, 'run_id', None) or 'without id'}"

    def wait(self) -> Outcome:
        """Wait for the plugin; see `Handle.wait`."""
        if self._outcome is None:
            self._outcome = self._follow()
        return self._outcome

    def cancel(self) -> None:
        """Ask the plugin to stop; see `Handle.cancel`."""
        self._cancelled = True
        self._submitted.cancel()

    def _follow(self) -> Outcome:
        try:
            succeeded = self._submitted.wait()
        except Interrupted as interrupt:
            self._submitted.cancel()
            return self._ended(RunStatus.KILLED, FailureCode.CANCELLED, signal=signal_name(interrupt.signum))
        except Exception as error:  # noqa: BLE001  third-party code: whatever it raises ends the run
            return self._ended(RunStatus.FAILED, FailureCode.USER_EXIT, f"The backend failed: {error}")
        if self._cancelled or str(self._submitted.get_status()) == RunStatus.KILLED.value:
            return self._ended(RunStatus.KILLED, FailureCode.CANCELLED, "The run was cancelled.")
        if succeeded:
            return self._ended(RunStatus.FINISHED)
        return self._ended(RunStatus.FAILED, FailureCode.USER_EXIT, "The backend says that the run failed.")

    def _ended(
        self,
        status: RunStatus,
        failure: FailureCode | None = None,
        message: str | None = None,
        signal: str | None = None,
    ) -> Outcome:
        return Outcome(
            status=status,
            exit_code=0 if status is RunStatus.FINISHED else None,
            failure=failure,
            signal=signal,
            message=message or (f"The run was interrupted by {signal}." if signal else None),
            started_ms=self._started_ms,
            ended_ms=now_ms(),
        )


class PluginBackend:
    """Makes a backend for MLflow one of ours.

    Args:
        plugin: An instance of the class that the plugin registered.
    """

    makes_environment = True

    def __init__(self, plugin: MlflowBackend) -> None:
        self._plugin = plugin

    def accepts(self, runtime: type[Runtime]) -> str | None:  # noqa: ARG002  the interface's
        """None: the plugin makes what it needs."""
        return None

    def submit(self, execution: Execution, on_metric: MetricSink | None = None) -> Handle:  # noqa: ARG002
        """Hand the project to the plugin; see `Backend.submit`."""
        origin = execution.origin
        if origin is None:
            raise BackendError("There is no project to hand over.", code=FailureCode.PROJECT_INVALID)
        started_ms = now_ms()
        try:
            submitted = self._plugin.run(
                origin.uri,
                origin.entry_point,
                dict(origin.parameters),
                None,  # our checkout is at that version already
                json.loads(execution.backend_config),
                os.environ.get("MLFLOW_TRACKING_URI", ""),
                origin.experiment_id,
            )
        except Exception as error:
            raise BackendError(
                f"The backend could not start the run: {error}", code=FailureCode.SOURCE_FAILED
            ) from error
        return PluginHandle(submitted, started_ms)

    def attach(self, execution: Execution, reference: str) -> Handle | None:  # noqa: ARG002  the interface's
        """None: what a plugin started cannot be found again."""
        return None

    def reach(self, execution: Execution) -> Reach | None:  # noqa: ARG002  the interface's
        """Loopback: programs that plugins start inherit nothing of ours, and are not told of it anyway."""
        return Reach()


if TYPE_CHECKING:
    _handle: type[Handle] = PluginHandle
    _backend: type[Backend] = PluginBackend
