"""What a record says of how a run was made, as one value."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from proj import record
from proj.errors import NotFoundError, StoreError
from proj.host import Host
from proj.inputs import InputsRecord
from proj.model import ParameterKind, RunRecord

if TYPE_CHECKING:
    from proj.tracking import Tracking

T = TypeVar("T")


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How a run was made. What is None is not recorded."""

    run: RunRecord
    source: record.SourceRecord | None
    command: record.CommandRecord | None
    environment: record.EnvironmentRecord | None
    lock: bytes | None
    """None where the record names none, or has lost it."""
    inputs: InputsRecord | None
    host: Host | None

    @property
    def entry_point(self) -> str:
        """What ran."""
        return self.run.tags.get("mlflow.project.entryPoint", "main")

    @property
    def backend(self) -> str:
        """Where it ran."""
        return self.run.tags.get("mlflow.project.backend", "local")

    @property
    def has_inputs(self) -> bool:
        """Whether files or folders were among the parameters."""
        bound = self.command.parameters if self.command is not None else ()
        return any(each.kind is ParameterKind.PATH and each.value for each in bound)


def read_recipe(tracking: Tracking, run: RunRecord) -> Recipe:
    """Read how a run was made.

    Raises:
        StoreError: A part of the record is damaged, or was written by a newer proj.
    """

    def read(path: str, kind: type[T]) -> T | None:
        content = _content(tracking, run, path)
        if content is None:
            return None
        try:
            found = msgspec.json.decode(content, type=kind)
        except msgspec.MsgspecError as error:
            raise StoreError(f"{path} of run {run.run_id} is damaged: {error}") from error
        written = getattr(found, "format", record.FORMAT)
        if written > record.FORMAT:
            raise StoreError(f"{path} has format {written}; this proj knows {record.FORMAT}: upgrade proj.")
        return found

    environment = read(record.ENVIRONMENT, record.EnvironmentRecord)
    lock = environment.lock if environment is not None else None
    return Recipe(
        run=run,
        source=read(record.SOURCE, record.SourceRecord),
        command=read(record.COMMAND, record.CommandRecord),
        environment=environment,
        lock=_content(tracking, run, lock) if lock is not None else None,
        inputs=read(record.INPUTS, InputsRecord),
        host=read(record.HOST, Host),
    )


def _content(tracking: Tracking, run: RunRecord, path: str) -> bytes | None:
    try:
        with tracking.artifacts.open(run.artifact_uri, path) as file:
            return file.read()
    except NotFoundError:
        return None
