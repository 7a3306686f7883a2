"""One family of errors, and the one vocabulary of failure that records, messages and JSON share."""

from __future__ import annotations

import enum

EXIT_USAGE = 2
EXIT_CANNOT_RUN = 125
"""`proj` itself could not run the entry point; the convention of `docker run`, `env` and `timeout`."""


class FailureCode(str, enum.Enum):
    """Why a run did not finish: one word, the same on every backend."""

    PROJECT_INVALID = "project_invalid"
    SOURCE_FAILED = "source_failed"
    ENV_FAILED = "env_failed"
    IMAGE_FAILED = "image_failed"
    IMAGE_PULL = "image_pull"
    UNSCHEDULABLE = "unschedulable"
    QUEUE_WAIT = "queue_wait"
    OOM_KILLED = "oom_killed"
    EVICTED = "evicted"
    PREEMPTED = "preempted"
    DEADLINE = "deadline"
    USER_EXIT = "user_exit"
    SIGNAL = "signal"
    CANCELLED = "cancelled"
    LOST = "lost"
    REFUSED = "refused"
    """The place to run does not take it: rights, quota, a rule of the cluster."""


class ProjError(Exception):
    """Something `proj` was asked for cannot be done.

    Args:
        message: What failed, and on what; one sentence or a short block of lines.
        hint: What to do next; None where the message says it all.
        details: Lines of a tool's own output that explain the cause, shown below the message.
    """

    exit_code: int = EXIT_CANNOT_RUN
    code: str = "error"
    """A stable word for programs; a `FailureCode` value wherever a run's record may carry it."""

    def __init__(self, message: str, *, hint: str | None = None, details: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details


class UsageError(ProjError):
    """The command line or the arguments of a call cannot be meant as they stand."""

    exit_code = EXIT_USAGE
    code = "usage"


class SourceError(ProjError):
    """The project's code cannot be had: missing folder, unreachable host, unknown revision, bad archive."""

    code = FailureCode.SOURCE_FAILED.value


class EnvironmentFailedError(ProjError):
    """The environment cannot be locked, built or verified."""

    code = FailureCode.ENV_FAILED.value


class ImageError(ProjError):
    """An image cannot be had, assembled, or handed on.

    Args:
        message: See `ProjError`.
        code: IMAGE_PULL where it cannot be had from where it is said to be.
        hint: See `ProjError`.
        details: See `ProjError`.
    """

    def __init__(
        self,
        message: str,
        *,
        code: FailureCode = FailureCode.IMAGE_FAILED,
        hint: str | None = None,
        details: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, hint=hint, details=details)
        self.code = code.value


class BackendError(ProjError):
    """The place to run refused or cannot be reached.

    Args:
        message: See `ProjError`.
        code: The failure word of the cause.
        hint: See `ProjError`.
        details: See `ProjError`.
    """

    def __init__(
        self, message: str, *, code: FailureCode, hint: str | None = None, details: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, hint=hint, details=details)
        self.code = code.value


class StoreError(ProjError):
    """The record cannot be read or written."""

    code = "store_failed"


class UnreachableError(StoreError):
    """The tracking server cannot be reached, or says that it is not available now: trying later may help."""

    code = "store_unreachable"


class NotFoundError(StoreError):
    """A run, experiment or artifact that was asked for by name is not there."""

    exit_code = EXIT_USAGE
    code = "not_found"


class ConflictError(StoreError):
    """A change that contradicts what the record already holds, such as a parameter with another value."""

    exit_code = EXIT_USAGE
    code = "conflict"


class AlreadyExistsError(ConflictError):
    """Something of that name is there already."""

    code = "already_exists"


class ParameterConflictError(ConflictError):
    """A parameter is recorded with another value; parameters never change.

    Args:
        message: See `ProjError`.
        conflicts: Triples of key, recorded value and refused value.
        hint: See `ProjError`.
    """

    code = "parameter_conflict"

    def __init__(
        self, message: str, *, conflicts: tuple[tuple[str, str, str], ...], hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.conflicts = conflicts


class DetachedError(ProjError):
    """The user let go of a run that was waited for: it goes on, and its record is closed without us.

    Args:
        message: See `ProjError`.
        run_id: The run.
        hint: See `ProjError`.
    """

    exit_code = 0
    code = "detached"

    def __init__(self, message: str, *, run_id: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.run_id = run_id


class ToolFailedError(ProjError):
    """A program that `proj` called ended with an error.

    Args:
        message: See `ProjError`.
        returncode: The program's exit code; negative for the number of the signal that ended it.
        stdout: Its whole standard output, secrets redacted.
        stderr: Its whole standard error, secrets redacted.
        hint: See `ProjError`.
    """

    code = "tool_failed"

    def __init__(
        self, message: str, *, returncode: int, stdout: str = "", stderr: str = "", hint: str | None = None
    ) -> None:
        lines = [line for line in (stderr or stdout).splitlines() if line.strip()]
        super().__init__(message, hint=hint, details=tuple(lines[-12:]))
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr


class ToolMissingError(ProjError):
    """A program that `proj` needs is not on PATH."""

    code = "tool_missing"
