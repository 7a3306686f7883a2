"""A third party's package: a backend, an environment, and a project backend written for MLflow."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from proj.errors import BackendError, EnvironmentFailedError, FailureCode
from proj.model import (
    EnvironmentFacts,
    EnvironmentPlan,
    EnvironmentRequest,
    Execution,
    HostRuntime,
    ImageRuntime,
    Outcome,
    Package,
    PreparedEnvironment,
    Reach,
    RunStatus,
    Runtime,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proj.backends.base import Backend, Handle, MetricSink
    from proj.environments.base import Environment


class LetterHandle:
    """Has answered before anybody asks."""

    reference = "letter 1"

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def wait(self) -> Outcome:
        return self._outcome

    def cancel(self) -> None:
        pass


class LetterBackend:
    """Writes down what it would have to run, with its settings."""

    def accepts(self, runtime: type[Runtime]) -> str | None:
        return "The letter backend cannot send images." if runtime is ImageRuntime else None

    def submit(self, execution: Execution, on_metric: MetricSink | None = None) -> Handle:
        settings = json.loads(execution.backend_config)
        if settings.get("refuse"):
            raise BackendError("The post is closed.", code=FailureCode.UNSCHEDULABLE, hint="Come back.")
        folder = Path(execution.record_dir)
        (folder / "stdout.log").write_text(f"Dear {settings.get('to')}: {execution.command.line}\n")
        (folder / "stderr.log").touch()
        if on_metric is not None:
            on_metric("stamps", 2.0, 0)
        code = int(settings.get("code", 0))
        status = RunStatus.FAILED if code else RunStatus.FINISHED
        failure = FailureCode.USER_EXIT if code else None
        return LetterHandle(Outcome(status=status, exit_code=code, failure=failure, started_ms=1, ended_ms=2))

    def attach(self, execution: Execution, reference: str) -> Handle | None:  # noqa: ARG002  the interface's
        return None

    def reach(self, execution: Execution) -> Reach | None:  # noqa: ARG002  the interface's
        return None


class PaperEnvironment:
    """An environment that is a variable."""

    def plan(self, request: EnvironmentRequest) -> EnvironmentPlan:
        return EnvironmentPlan(kind="paper", summary=f"paper for {request.project_dir.name}", built=True)

    def prepare(self, request: EnvironmentRequest) -> PreparedEnvironment:
        if (request.project_dir / "no-paper").exists():
            raise EnvironmentFailedError("There is no paper left.", hint="Buy some.")
        return PreparedEnvironment(
            kind="paper",
            summary="white paper",
            runtime=HostRuntime(variables={"PAPER": "white"}),
            lock=b"white\n",
            lock_name="paper.lock",
            lock_digest="sha256:0123",
        )

    def facts(self, prepared: PreparedEnvironment) -> EnvironmentFacts:  # noqa: ARG002  the interface's
        return EnvironmentFacts(interpreter="pen", packages=(Package(name="ink", version="1.0"),))


class ClusterRun:
    """What MLflow calls a `SubmittedRun`."""

    run_id = None

    def __init__(self, succeeded: bool) -> None:
        self._succeeded = succeeded

    def wait(self) -> bool:
        return self._succeeded

    def get_status(self) -> str:
        return "FINISHED" if self._succeeded else "FAILED"

    def cancel(self) -> None:
        pass


class ClusterBackend:
    """What MLflow calls an `AbstractBackend`."""

    def run(
        self,
        project_uri: str,
        entry_point: str,
        params: Mapping[str, str],
        version: str | None,
        backend_config: dict[str, object],
        tracking_uri: str,
        experiment_id: str,
    ) -> ClusterRun:
        given = [project_uri, entry_point, dict(params), version, backend_config, tracking_uri, experiment_id]
        Path(os.environ["CLUSTER_LOG"]).write_text(json.dumps(given))
        if backend_config.get("broken"):
            message = "no such queue"
            raise RuntimeError(message)
        return ClusterRun(succeeded=not backend_config.get("fails"))


class Broken:
    """A plugin whose package is in disorder."""

    def __init__(self) -> None:
        message = "a library is missing"
        raise ImportError(message)


if TYPE_CHECKING:
    _backend: type[Backend] = LetterBackend
    _environment: type[Environment] = PaperEnvironment
    _handle: Handle = LetterHandle.__new__(LetterHandle)
