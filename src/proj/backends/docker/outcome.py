"""What the engine says of a container, in the words of all backends."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from proj.backends.ends import exit_sentence, stopped_verdict
from proj.errors import BackendError, FailureCode
from proj.model import Outcome, RunStatus
from proj.process import signal_name
from proj.times import now_ms

if TYPE_CHECKING:
    from proj.backends.ends import Verdict
    from proj.images.engine import EngineError
    from proj.model import Execution
    from proj.process.following import Stopped

_MIB: Final = 1 << 20
_NOT_FOUND: Final = 404
_FRACTION: Final = re.compile(r"\.(\d{1,6})\d*")

_CAUSES: Final[tuple[tuple[str, FailureCode, str, str | None], ...]] = (
    (
        r"port is already allocated|address already in use",
        FailureCode.UNSCHEDULABLE,
        "a port that it publishes is taken",
        "Publish another one: -A publish=PORT:PORT.",
    ),
    (
        r"containerd\.sock|error while dialing",
        FailureCode.UNSCHEDULABLE,
        "the engine's containerd does not answer",
        "Start the docker daemon anew.",
    ),
    (
        r"no space left on device",
        FailureCode.UNSCHEDULABLE,
        "the engine's disk is full",
        "Make room, for instance with `docker system prune`.",
    ),
    (
        r"could not select device driver|nvidia-container-cli",
        FailureCode.UNSCHEDULABLE,
        "the engine has no GPU for it",
        "Install the NVIDIA container toolkit there, or leave out gpus.",
    ),
    (
        r"executable file not found|no such file or directory|permission denied.*exec",
        FailureCode.IMAGE_FAILED,
        "the image has no such program",
        "Commands run by `sh`: use an image that has one, or see `entrypoint`.",
    ),
)


def refused(error: EngineError, execution: Execution, image: str) -> BackendError:
    """The error for a container that cannot be made or started."""
    said = error.said
    if error.status == _NOT_FOUND and "No such image" in said:
        return BackendError(
            f"The docker daemon has no image {image} any more.",
            code=FailureCode.IMAGE_PULL,
            hint="Run it again: the image is brought or built anew.",
        )
    for pattern, code, sentence, hint in _CAUSES:
        if re.search(pattern, said, re.IGNORECASE | re.DOTALL):
            return BackendError(
                f"The container of {image} cannot be started: {sentence}.",
                code=code,
                hint=hint,
                details=(said[:500],),
            )
    return BackendError(
        f"The docker daemon does not start a container of {image}: {said[:300]}",
        code=FailureCode.PROJECT_INVALID,
        hint="See `docker_env` of the project file and the arguments given by -A."
        if execution.docker_args
        else "See `docker_env` of the project file.",
    )


def outcome_of(inspected: dict[str, Any], stopped: Stopped, execution: Execution, memory: int) -> Outcome:
    """How a container ended.

    Args:
        inspected: What the engine says of it.
        stopped: Whether it was made to end.
        execution: What ran.
        memory: Its limit in bytes; 0: none.
    """
    state = inspected.get("State") or {}
    code = int(state.get("ExitCode") or 0)
    status, failure, message = _judge(state, code, stopped, execution, memory)
    if stopped.output_cut:
        message = f"{message or ''} The end of its output did not come.".strip()
    ended_by = stopped.asked_by if stopped.cause == "cancelled" else None
    return Outcome(
        status=status,
        exit_code=code,
        failure=failure,
        signal=None if ended_by is None else signal_name(ended_by),
        message=message,
        started_ms=started_ms(inspected),
        ended_ms=_ms(state.get("FinishedAt")) or now_ms(),
    )


def _judge(state: dict[str, Any], code: int, stopped: Stopped, execution: Execution, memory: int) -> Verdict:
    made_to_end = stopped_verdict(
        stopped.cause,
        asked_by=stopped.asked_by,
        last_sent=stopped.last_sent,
        timeout_s=execution.timeout_s,
    )
    if made_to_end is not None:
        return made_to_end
    if code == 0:  # whatever the kernel did to a process of it, it got over that
        return RunStatus.FINISHED, None, None
    if state.get("OOMKilled"):
        limit = f" of {memory / _MIB:g} MiB" if memory else ""
        return (
            RunStatus.FAILED,
            FailureCode.OOM_KILLED,
            f"The kernel killed the command because the container's memory{limit} ran out.",
        )
    if state.get("Error"):
        return RunStatus.FAILED, FailureCode.LOST, f"The docker daemon lost the container: {state['Error']}"
    return RunStatus.FAILED, FailureCode.USER_EXIT, exit_sentence(code)


def started_ms(inspected: dict[str, Any]) -> int | None:
    """When a container was started; None if it never was."""
    return _ms((inspected.get("State") or {}).get("StartedAt"))


def lost(message: str) -> Outcome:
    """The outcome of a container that is gone, nobody knows how."""
    return Outcome(status=RunStatus.KILLED, failure=FailureCode.LOST, message=message, ended_ms=now_ms())


def _ms(text: str | None) -> int | None:
    """Milliseconds of the engine's time stamps: RFC 3339 with up to nine digits of a second."""
    if not text or text.startswith("0001-"):
        return None
    text = _FRACTION.sub(lambda match: f".{match[1].ljust(6, '0')}", text).replace("Z", "+00:00")
    return int(datetime.fromisoformat(text).timestamp() * 1000)
