"""The docker backend: the command runs in a container of the engine that docker's own command line uses."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from proj import events
from proj.backends.docker import container
from proj.backends.docker.handle import DockerHandle
from proj.backends.docker.outcome import refused
from proj.backends.docker.reach import reach_of
from proj.backends.docker.volumes import make_sources
from proj.backends.metrics_tap import metrics_tap
from proj.errors import BackendError, FailureCode, ImageError
from proj.images.engine import Engine, EngineError
from proj.images.pulling import find
from proj.images.values import LAUNCHER
from proj.model import Execution, ImageRuntime, Reach, Runtime
from proj.process.following import Following

if TYPE_CHECKING:
    from proj.backends.base import Backend, Handle, MetricSink

_NOT_FOUND: Final = 404


class DockerBackend:
    """Runs commands in containers."""

    target = "engine"

    def accepts(self, runtime: type[Runtime]) -> str | None:
        """None for an image; see `Backend.accepts`."""
        if runtime is ImageRuntime:
            return None
        return "The environment is one of this machine: use `--backend local`."

    def submit(self, execution: Execution, on_metric: MetricSink | None = None) -> Handle:
        """Make a container and start it; see `Backend.submit`."""
        runtime = execution.runtime
        if not isinstance(runtime, ImageRuntime):
            raise BackendError(
                "The docker backend runs images only.",
                code=FailureCode.PROJECT_INVALID,
                hint=self.accepts(type(runtime)),
            )
        engine = _engine(execution, runtime)
        body = container.body_of(execution, runtime, local=engine.is_local)
        secrets = container.secrets_of(execution, container.hidden_of(body))
        if engine.is_local:
            make_sources(body["HostConfig"].get("Binds", ()))
        query = {"name": _name(execution), **_platform(body, runtime)}
        name = runtime.name or runtime.image
        try:
            _without_launcher(engine, runtime.image, body)
            made = engine.ask("POST", "/containers/create", query, body)
        except EngineError as error:
            raise refused(error, execution, name) from error
        except ImageError as error:
            raise _unreachable(error) from error
        for sentence in made.get("Warnings") or ():
            events.warning(f"The docker daemon says: {sentence}")
        return _start(engine, made["Id"], execution, secrets, on_metric, name)

    def foretell(self, execution: Execution) -> str:
        """By which `attach` finds what `submit` is about to start; see `Backend`."""
        return f"{container.LABEL_RUN}={execution.run_id}"

    def attach(self, execution: Execution, reference: str) -> Handle | None:
        """Find a container again; None if it is gone, or was never started.

        Raises:
            BackendError: The engine does not tell.
        """
        try:
            engine = Engine()
            found = _find(engine, reference, execution.run_id)
        except ImageError as error:
            raise _unreachable(error) from error
        if found is None:
            return None
        if found["State"]["Status"] == "created":  # its client died before it could start it
            _remove(engine, found["Id"])
            return None
        return DockerHandle(engine, found["Id"], container.resumed(execution, found))

    def reach(self, execution: Execution) -> Reach | None:
        """The engine's gateway; see `Backend.reach`."""
        try:
            return reach_of(Engine(), execution)
        except ImageError as error:
            raise _unreachable(error) from error


def _start(
    engine: Engine,
    container_id: str,
    execution: Execution,
    secrets: bytes,
    on_metric: MetricSink | None,
    name: str,
) -> Handle:
    deadline = None if execution.timeout_s is None else time.monotonic() + execution.timeout_s
    with contextlib.ExitStack() as undo:
        undo.callback(_remove, engine, container_id)
        try:
            following = Following(
                Path(execution.record_dir),
                grace_s=execution.grace_s,
                deadline=deadline,
                quiet=execution.quiet,
                tap=metrics_tap(execution, on_metric),
            )
        except OSError as error:
            raise BackendError(
                f"The container's output cannot be stored: {error.filename}: {error.strerror}.",
                code=FailureCode.UNSCHEDULABLE,
            ) from error
        undo.callback(following.discard)
        handle = DockerHandle(engine, container_id, execution, following)
        attached = undo.enter_context(contextlib.ExitStack())
        try:
            stream = attached.enter_context(engine.attached(container_id, stdin=True))
            engine.ask("POST", f"/containers/{container_id}/start")
            with contextlib.suppress(OSError):  # it has ended already, which its exit code tells
                stream.write_all(secrets)
        except EngineError as error:
            raise refused(error, execution, name) from error
        except ImageError as error:
            raise _unreachable(error) from error
        handle.follow(attached.pop_all(), stream)
        undo.pop_all()
    return handle


def _engine(execution: Execution, runtime: ImageRuntime) -> Engine:
    try:
        engine = Engine()
    except ImageError as error:
        raise _unreachable(error) from error
    if not engine.is_local and execution.code is not None and not runtime.has_code:
        raise BackendError(
            f"The docker daemon at {engine.host} is elsewhere and does not see the project's folder.",
            code=FailureCode.PROJECT_INVALID,
            hint="--build-image puts the code into the image.",
        )
    if not engine.is_local and execution.mounts:
        raise BackendError(
            f"The docker daemon at {engine.host} is elsewhere and does not see {execution.mounts[0].source}.",
            code=FailureCode.PROJECT_INVALID,
            hint="Put the input into the project's folder, or give a URI that the program fetches.",
        )
    return engine


def _unreachable(error: ImageError) -> BackendError:
    return BackendError(error.message, code=FailureCode.UNSCHEDULABLE, hint=error.hint, details=error.details)


def _name(execution: Execution) -> str:
    return f"proj-{execution.run_id[:12]}-{time.time_ns() % 1_000_000:06d}"


def _without_launcher(engine: Engine, image: str, body: dict[str, Any]) -> None:
    """Do without the program that `proj build` starts images with: it runs entry points, and no command."""
    found = find(engine, image) if "Entrypoint" not in body else None
    if found is not None and found.entrypoint[-1:] == (LAUNCHER,):
        # What is before it activates a conda environment, and then runs what it is given.
        body["Entrypoint"] = list(found.entrypoint[:-2]) or [""]


def _platform(body: dict[str, Any], runtime: ImageRuntime) -> dict[str, str]:
    platform = body.pop("platform", None) or (runtime.docker.platform if runtime.docker else None)
    return {"platform": platform} if platform else {}


def _find(engine: Engine, reference: str, run_id: str) -> dict[str, Any] | None:
    try:
        if reference.startswith(container.LABEL_RUN):
            label = json.dumps({"label": [f"{container.LABEL_RUN}={run_id}"]})
            listed = engine.ask("GET", "/containers/json", {"all": "1", "filters": label})
            if not listed:
                return None
            # A run that is made again under its id may have an earlier container, which was kept.
            reference = max(listed, key=lambda each: each["Created"])["Id"]
        found: dict[str, Any] = engine.ask("GET", f"/containers/{reference}/json")
    except EngineError as error:
        if error.status == _NOT_FOUND:
            return None
        raise BackendError(
            f"The docker daemon does not tell of the container {reference[:12]}: {error.said}",
            code=FailureCode.LOST,
        ) from error
    return found if container.labels(found).get(container.LABEL_RUN) == run_id else None


def _remove(engine: Engine, container_id: str) -> None:
    with contextlib.suppress(EngineError, ImageError):
        engine.ask("DELETE", f"/containers/{container_id}", {"force": "1", "v": "1"})


if TYPE_CHECKING:
    _backend: Backend = DockerBackend()
    _handle: type[Handle] = DockerHandle
